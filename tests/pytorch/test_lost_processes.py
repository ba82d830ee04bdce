"""Runs in several processes that end early: killed, told to end, or with a fault.

And how they go on.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.cli import main
from netspec.pytorch.processes import lost
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.lmdb_writer import LmdbWriter
from netspec.weights.snapshot_files import newest_snapshot
from tests.pytorch import real_runs
from tests.pytorch.real_runs import (
    ENVIRONMENT,
    PAIR,
    TORCHRUN,
    assert_same_bits,
    changed,
    members,
    members_of_torchrun,
    run,
    train,
    wait_for,
)

pair_folder, start = real_runs.pair_folder, real_runs.start  # fixtures


@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_the_loss_of_a_process_ends_the_run_and_its_snapshot_stands(
    start: Callable[..., subprocess.Popen], pair_folder: Path, rank: int
) -> None:
    process = start(pair_folder, *PAIR)
    wait_for(process, "snapshot ")
    os.kill(members(process)[rank], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    assert (
        f"process {rank} of 2 was ended by SIGKILL, so the run ends; "
        "snapshots that it has written stand"
    ) in err
    assert len(err.splitlines()) == 1, (
        "who has only lost the others says nothing, and neither does torch"
    )
    state, faults = newest_snapshot(str(pair_folder / "snap"))
    assert state is not None
    assert faults == {}
    assert (
        main(
            [
                "train",
                str(pair_folder / "solver.prototxt"),
                "--snapshot",
                str(state),
                "--max-iter",
                "1",
            ]
        )
        == 0
    )


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_torchrun_restarts_a_run_that_has_lost_a_process(
    start: Callable[..., subprocess.Popen], run_folder: Path, rank: int
) -> None:
    changed(run_folder, lr_policy='"fixed"', snapshot="20", test_interval="50", display="10")
    launcher = [*TORCHRUN, "--max-restarts", "2"]
    outs = []
    for name in ("cut", "all"):
        process = start(
            run_folder,
            "--cpu",
            "--resume",
            "--snapshot-prefix",
            str(run_folder / name),
            launcher=launcher,
            ends="400",
        )
        if name == "cut":
            wait_for(process, "iteration 50 ")
            os.kill(members_of_torchrun(process)[rank], signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        outs.append(out)
    assert ["resuming at iteration" in out for out in outs] == [True, False]
    assert_same_bits(run_folder, "cut", "all", 400)


def test_a_bad_record_of_another_process_is_reported(pair_folder: Path) -> None:
    shutil.rmtree(pair_folder / "train_lmdb")
    with LmdbWriter(pair_folder / "train_lmdb") as writer:
        for i in range(11):  # record 1 is the first of rank 1
            datum = Datum(channels=1, height=8, width=8, data=bytes(64), label=7 if i == 1 else 0)
            writer.put(f"{i:08d}".encode(), datum.SerializeToString())
    text = (
        (pair_folder / "solver.prototxt").read_text().replace("test_iter: 2 test_interval: 6", "")
    )
    (pair_folder / "solver.prototxt").write_text(text)
    err = train(pair_folder, "--nproc", "2", status=1).stderr
    assert re.search(
        r"process 1: .*error: layer 'loss': item 0 of the batch has label 7, "
        r"but there are 3 classes",
        err,
    )
    assert "it is record 1 (from 0) of its 11" in err
    assert "process 1 of 2 has ended with status 1" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_what_all_processes_meet_is_reported_once(pair_folder: Path) -> None:
    (pair_folder / "net.prototxt").unlink()
    err = train(pair_folder, "--nproc", "2", status=1).stderr
    assert err.count("the net 'net.prototxt' does not exist") == 1


WRONG_FILE = """
from argparse import Namespace
from netspec.diagnostics import NetspecError
from netspec.pytorch.launch import guarded_member
def run(args):
    raise NetspecError("the net is not there")
guarded_member(run, Namespace())
"""


def test_a_process_that_is_late_does_not_report_again(tmp_path: Path) -> None:
    errors = []
    for rank in "10":  # so slow can rank 0 be on a busy machine
        environment = {
            **ENVIRONMENT,
            "RANK": rank,
            "WORLD_SIZE": "2",
            "NETSPEC_MEETING": f"file://{tmp_path}/meeting",
        }
        errors.append(run([sys.executable, "-c", WRONG_FILE], environment).stderr)
    assert errors == ["process 1: error: the net is not there\n", ""]


@pytest.mark.slow
def test_a_loss_that_is_no_number_in_several_processes(pair_folder: Path) -> None:
    err = train(pair_folder, "--nproc", "2", "--base-lr", "1e30", status=1).stderr
    assert re.search(r"the loss is (nan|inf) at iteration \d", err)
    assert "is the first whose output is not finite" in err


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [False, True])
def test_signals_reach_all_processes(
    start: Callable[..., subprocess.Popen], pair_folder: Path, to_all: bool
) -> None:
    process = start(pair_folder, *PAIR)
    wait_for(process, "iteration 3 ")
    process.send_signal(signal.SIGHUP)
    wait_for(process, "snapshot ")
    wait_for(process, "iteration ")
    # Ctrl-C reaches every process of the terminal
    for pid in [process.pid, *(members(process) if to_all else [])]:
        os.kill(pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.splitlines()[-1]) == (130, "stopped early"), err
    assert err.splitlines() == [
        "taking a snapshot after this iteration",
        "stopping after this iteration; a second signal stops at once",
    ]


def test_ctrl_c_before_the_training_is_no_success(
    start: Callable[..., subprocess.Popen], pair_folder: Path
) -> None:
    process = start(pair_folder, *PAIR)
    deadline = time.monotonic() + 60
    while len(members(process)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    for pid in [process.pid, *members(process)]:  # they import torch now
        os.kill(pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (
        130,
        "",
        "stopping after this iteration; a second signal stops at once\ninterrupted\n",
    )


@pytest.mark.slow
@pytest.mark.parametrize("by_torchrun", [False, True])
def test_no_process_outlives_its_launcher(
    start: Callable[..., subprocess.Popen], pair_folder: Path, tmp_path: Path, by_torchrun: bool
) -> None:
    (tmp_path / "temporary").mkdir()
    launcher = TORCHRUN if by_torchrun else ()
    options = ["--cpu"] if by_torchrun else PAIR
    process = start(
        pair_folder,
        *options,
        "--sigint_effect",
        "none",
        launcher=launcher,
        TMPDIR=str(tmp_path / "temporary"),
    )
    wait_for(process, "iteration 3 ")
    left = members_of_torchrun(process) if by_torchrun else members(process)
    process.kill()
    process.communicate(timeout=30)  # their standard output ends with them
    assert [
        pid
        for pid in left
        if Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
    ] == []
    assert by_torchrun or list((tmp_path / "temporary").glob("netspec-*")) == []


BUG = """
import sys
from argparse import Namespace
from netspec.pytorch.launch import guarded_member
def run(args):
    global file
    file = open(sys.argv[1], "w")
    file.write("the tail of a Python layer's own log")
    raise KeyError("a bug")
guarded_member(run, Namespace())
"""


def test_a_bug_ends_a_process_at_once_and_open_files_are_whole(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "RANK": "1", "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", BUG, str(tmp_path / "log.txt")]
    done = run(command, environment)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "KeyError: 'a bug'")
    assert (tmp_path / "log.txt").read_text() == "the tail of a Python layer's own log"


def test_the_loss_of_others_is_reported_without_advice_on_sockets() -> None:
    error = lost(
        RuntimeError(
            "[/build/gloo/pair.cc:537] Read error [10.0.0.1]:80: Connection reset by peer. "
            "This is typically … GLHF!"
        )
    )
    assert str(error) == (
        "error: another process of the run has ended, so this one stops (Read error "
        "[10.0.0.1]:80: Connection reset by peer)"
    )
