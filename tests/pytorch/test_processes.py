"""One run in several processes: real ones, on this machine and on two that the test makes of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from netspec.cli import main
from netspec.data.lmdb_writer import LmdbWriter
from netspec.pytorch.processes import lost
from netspec.schema.caffe_pb2 import Datum
from netspec.weights.files import read_weights
from netspec.weights.snapshot_files import newest_snapshot

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
# Trains as one of two processes, then tells what its weights and history are: `torchrun` gives it its place.
MEMBER = """
import hashlib, sys, torch
from netspec.pytorch.processes import join
from netspec.pytorch.train import Solver
processes = join(torch.device("cpu"))
solver = Solver(sys.argv[1], device="cpu", processes=processes)
solver.step(7)
learned = [blob for blob in solver.updater.blobs if isinstance(blob, torch.nn.Parameter)]
data = b"".join(tensor.detach().numpy().tobytes() for tensor in [*learned, *solver.updater.history])
open(f"{sys.argv[2]}/rank_{processes.rank}.txt", "w").write(hashlib.sha256(data).hexdigest())
solver.close()
processes.leave()
"""


@pytest.fixture
def pair_folder(run_folder: Path) -> Path:
    """A run without what each process has of its own: BatchNorm's statistics and dropout."""
    net = (run_folder / "net.prototxt").read_text()
    lines = [line for line in net.splitlines() if 'name: "bn"' not in line and 'name: "drop"' not in line]
    (run_folder / "net.prototxt").write_text("\n".join(lines).replace('"bn"', '"conv"'))
    text = (run_folder / "solver.prototxt").read_text().replace("base_lr: 0.05", "base_lr: 0.005").replace("display: 4", "display: 1")
    (run_folder / "solver.prototxt").write_text(text)
    return run_folder


def train(folder: Path, *options: str, status: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "netspec", "train", str(folder / "solver.prototxt"), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=240, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def logged(path: Path, event: str) -> list[dict]:
    return [found for line in path.read_text().splitlines() if (found := json.loads(line))["event"] == event]


def assert_close(folder: Path, one: str, two: str) -> None:
    a, b = read_weights(folder / f"{one}.caffemodel"), read_weights(folder / f"{two}.caffemodel")
    for name, arrays in a.items():
        for x, y in zip(arrays, b[name], strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6, err_msg=name)


def test_two_processes_with_a_batch_of_4_train_as_one_with_8(pair_folder: Path) -> None:
    prefix, log = str(pair_folder / "two"), pair_folder / "two.jsonl"
    out = train(pair_folder, "--nproc", "2", "--snapshot-prefix", prefix, "--log", str(log)).stdout
    assert "batch 4 × 2 processes = 8, 8 images an iteration, 11 records, on cpu" in out
    net = (pair_folder / "net.prototxt").read_text()
    (pair_folder / "net.prototxt").write_text(net.replace("batch_size: 4", "batch_size: 8"))
    one = pair_folder / "one.jsonl"
    assert main(["train", str(pair_folder / "solver.prototxt"), "--snapshot-prefix", str(pair_folder / "one"), "--log", str(one)]) == 0
    assert_close(pair_folder, "one_iter_12", "two_iter_12")
    rows = [(logged(one, event), logged(log, event)) for event in ("train", "test")]
    assert (len(rows[0][0]), len(rows[1][0])) == (12, 3)
    for singles, pairs in rows:
        for single, pair in zip(singles, pairs, strict=True):
            assert single["iter"] == pair["iter"]
            assert single["outputs"] == {name: pytest.approx(value, rel=1e-4, abs=1e-5) for name, value in pair["outputs"].items()}
    starts = logged(log, "start")[0]
    assert (starts["processes"], starts["effective_batch"], starts["images_per_iteration"]) == (2, 8, 8)


@pytest.mark.slow
def test_global_batch_and_iter_size_and_a_resumed_pair(pair_folder: Path) -> None:
    text = (pair_folder / "solver.prototxt").read_text()
    (pair_folder / "solver.prototxt").write_text(text + " iter_size: 2 clip_gradients: 0.5 ")
    assert main(["train", str(pair_folder / "solver.prototxt"), "--snapshot-prefix", str(pair_folder / "one")]) == 0
    pair = ["--nproc", "2", "--global-batch", "--snapshot-prefix"]
    out = train(pair_folder, *pair, str(pair_folder / "two")).stdout
    assert "batch 2 × 2 processes = 4, iter_size 2, 8 images an iteration" in out
    assert_close(pair_folder, "one_iter_12", "two_iter_12")
    train(pair_folder, *pair, str(pair_folder / "cut"), "--max-iter", "6")
    train(pair_folder, *pair, str(pair_folder / "cut"), "--resume")
    for name in ("solverstate", "caffemodel"):
        halves, whole = (pair_folder / f"{run}_iter_12.{name}" for run in ("cut", "two"))
        assert halves.read_bytes().replace(b"/cut_iter", b"/two_iter") == whole.read_bytes(), "bit for bit"
    assert "3 processes can't share a batch_size of 4" in train(pair_folder, "--nproc", "3", "--global-batch", status=1).stderr


@pytest.mark.slow
def test_the_ranks_have_the_same_weights_though_not_every_param_is_reached(run_folder: Path) -> None:
    net = (run_folder / "net.prototxt").read_text()  # a branch whose gradient is held back
    side = 'layer { name: "side" type: "InnerProduct" bottom: "bn" top: "side" inner_product_param { num_output: 3 } }\n'
    ends = 'layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "side" top: "sum" propagate_down: true propagate_down: false }\n'
    at = net.index('layer { name: "loss"')
    (run_folder / "net.prototxt").write_text(net[:at] + side + ends + net[at:].replace('bottom: "ip"', 'bottom: "sum"'))
    (run_folder / "member.py").write_text(MEMBER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, str(run_folder / "member.py"), str(run_folder / "solver.prototxt"), str(run_folder)]
    subprocess.run(command, env=ENVIRONMENT, timeout=240, check=True)
    assert (run_folder / "rank_0.txt").read_text() == (run_folder / "rank_1.txt").read_text()


def start(folder: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "netspec", "train", str(folder / "solver.prototxt"), "--nproc", "2", "--max-iter", "1000000", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def wait_for(process: subprocess.Popen, word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    _, err = process.communicate()
    pytest.fail(f"the run ended without '{word}': {err}")


def members(process: subprocess.Popen) -> list[int]:
    """The processes of a run, by rank."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = {}
    for child in children:
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            ranks[int(child)] = len(ranks)
    return list(ranks)


@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_the_loss_of_a_process_ends_the_run_and_its_snapshot_stands(pair_folder: Path, rank: int) -> None:
    process = start(pair_folder)
    wait_for(process, "snapshot ")
    os.kill(members(process)[rank], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    assert f"process {rank} of 2 was ended by SIGKILL, so the run ends; its snapshots stand" in err
    assert len(err.splitlines()) == 1, "who has only lost the others says nothing, and neither does torch"
    state, faults = newest_snapshot(str(pair_folder / "snap"))
    assert state is not None
    assert faults == {}
    assert main(["train", str(pair_folder / "solver.prototxt"), "--snapshot", str(state), "--max-iter", "1"]) == 0


def test_a_bad_record_of_another_process_is_told(pair_folder: Path) -> None:
    shutil.rmtree(pair_folder / "train_lmdb")
    with LmdbWriter(pair_folder / "train_lmdb") as writer:
        for i in range(11):  # record 1 is the first of rank 1
            datum = Datum(channels=1, height=8, width=8, data=bytes(64), label=7 if i == 1 else 0)
            writer.put(f"{i:08d}".encode(), datum.SerializeToString())
    text = (pair_folder / "solver.prototxt").read_text().replace("test_iter: 2 test_interval: 6", "")
    (pair_folder / "solver.prototxt").write_text(text)
    err = train(pair_folder, "--nproc", "2", status=1).stderr
    assert re.search(r"process 1: .*error: layer 'loss': item 0 of the batch has label 7, but there are 3 classes", err)
    assert "it is record 1 (from 0) of its 11" in err
    assert "process 1 of 2 has ended with status 1" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_what_all_processes_meet_is_told_once(pair_folder: Path) -> None:
    (pair_folder / "net.prototxt").unlink()
    err = train(pair_folder, "--nproc", "2", status=1).stderr
    assert err.count("the net 'net.prototxt' is not there") == 1


@pytest.mark.slow
def test_a_loss_that_is_no_number_in_several_processes(pair_folder: Path) -> None:
    err = train(pair_folder, "--nproc", "2", "--base-lr", "1e30", status=1).stderr
    assert re.search(r"the loss is (nan|inf) at iteration \d", err)
    assert "is the first whose output is not finite" in err


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [False, True])
def test_signals_reach_all_processes(pair_folder: Path, to_all: bool) -> None:
    process = start(pair_folder)
    wait_for(process, "iteration 3 ")
    process.send_signal(signal.SIGHUP)
    wait_for(process, "snapshot ")
    wait_for(process, "iteration ")
    for pid in [process.pid, *(members(process) if to_all else [])]:  # Ctrl-C reaches every process of the terminal
        os.kill(pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.splitlines()[-1]) == (0, "stopped early"), err


def test_ctrl_c_before_the_training_is_no_success(pair_folder: Path) -> None:
    process = start(pair_folder)
    deadline = time.monotonic() + 60
    while len(members(process)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    for pid in [process.pid, *members(process)]:  # they import torch now
        os.kill(pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


@pytest.mark.slow
def test_no_process_outlives_its_launcher(pair_folder: Path) -> None:
    process = start(pair_folder, "--sigint_effect", "none")
    wait_for(process, "iteration 3 ")
    left = members(process)
    process.kill()
    process.communicate(timeout=120)  # their standard output ends with them
    assert [pid for pid in left if Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()] == []


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
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "KeyError: 'a bug'")
    assert (tmp_path / "log.txt").read_text() == "the tail of a Python layer's own log"


def test_the_loss_of_others_is_told_without_advice_on_sockets() -> None:
    error = lost(RuntimeError("[/build/gloo/pair.cc:537] Read error [10.0.0.1]:80: Connection reset by peer. This is typically … GLHF!"))
    assert str(error) == "error: another process of the run has ended, so this one stops (Read error [10.0.0.1]:80: Connection reset by peer)"


TWO_MACHINES = """
set -e
mount -t tmpfs tmpfs /run
ip netns add a; ip netns add b
ip link add va netns a type veth peer name vb netns b
for n in a b; do ip -n $n link set lo up; ip -n $n link set v$n up; done
ip -n a addr add 10.77.0.1/24 dev va; ip -n b addr add 10.77.0.2/24 dev vb
run() {
  ip netns exec $1 env GLOO_SOCKET_IFNAME=v$1 "$PYTHON" -m torch.distributed.run --nnodes 2 --nproc-per-node 1 --node-rank $2 \
    --master-addr 10.77.0.1 --master-port 29511 -m netspec train "$SOLVER" --cpu
}
run b 1 > "$OUT" 2>&1 &
run a 0
wait
"""


def may_make_machines() -> bool:
    if not shutil.which("ip") or not shutil.which("unshare"):
        return False
    trial = "mount -t tmpfs tmpfs /run && ip netns add a && ip link add va netns a type veth peer name vb"
    return subprocess.run(["unshare", "-Urnm", "bash", "-c", trial], capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not may_make_machines(), reason="no network namespaces here: they need iproute2 and a kernel that lets users make them")
def test_torchrun_on_two_machines_of_one_process_each(pair_folder: Path) -> None:
    environment = {**ENVIRONMENT, "PYTHON": sys.executable, "SOLVER": str(pair_folder / "solver.prototxt"), "OUT": str(pair_folder / "b.txt")}
    command = ["unshare", "-Urnm", "bash", "-c", TWO_MACHINES]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + (pair_folder / "b.txt").read_text()
    assert "batch 4 × 2 processes = 8" in done.stdout
    assert "done" in done.stdout.splitlines()
    assert "iteration" not in (pair_folder / "b.txt").read_text(), "rank 0 alone tells"
    net = (pair_folder / "net.prototxt").read_text()
    (pair_folder / "net.prototxt").write_text(net.replace("batch_size: 4", "batch_size: 8"))
    assert main(["train", str(pair_folder / "solver.prototxt"), "--snapshot-prefix", str(pair_folder / "one")]) == 0
    assert_close(pair_folder, "one_iter_12", "snap_iter_12")
