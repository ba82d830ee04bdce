"""`netspec train` at the command line.

How runs end, what their logs say of it, and what is left to go on from.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from netspec.cli import main
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.lmdb_writer import LmdbWriter
from netspec.weights.snapshot_files import sole_writer

NET = """
name: "Tiny"
layer { name: "data" type: "Data" top: "data" top: "label" \
data_param { source: "train_lmdb" backend: LMDB batch_size: 4 }
  transform_param { scale: 0.01 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" \
inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" \
include { phase: TEST } }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.05 momentum: 0.9 lr_policy: "fixed" \
max_iter: 6 display: 2 random_seed: 5 solver_mode: CPU
test_iter: 2 test_interval: 2 snapshot: 3 snapshot_prefix: "snap"
"""
ENDLESS = ("--max-iter", "1000000", "--test-interval", "1000000", "--display", "1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory with a solver, its net, and a database.

    It has 11 random records of 3 classes.
    """
    write_database(tmp_path / "train_lmdb")
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_database(path: Path, damaged: int | None = None) -> None:
    rng = np.random.default_rng(0)
    with LmdbWriter(path, replace=True) as writer:
        for i in range(11):
            pixels = rng.integers(0, 256, (1, 4, 4), np.uint8)
            datum = Datum(channels=1, height=4, width=4, data=pixels.tobytes(), label=i % 3)
            writer.put(
                f"{i:08d}".encode(), b"\xff\xff\xff" if i == damaged else datum.SerializeToString()
            )


def train(*options: str) -> int:
    return main(["train", "solver.prototxt", *options])


def change(name: str, *pairs: tuple[str, str]) -> None:
    text = Path(name).read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    Path(name).write_text(text)


def states(prefix: str = "snap") -> list[int]:
    return sorted(
        int(path.name.split("_iter_")[1].split(".")[0])
        for path in Path().glob(f"{prefix}_iter_*.solverstate*")
        if path.suffix != ".json"
    )


def events(path: str = "run.jsonl") -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def start(*options: str, stdout: int | None = subprocess.PIPE) -> subprocess.Popen:
    command = [sys.executable, "-m", "netspec", "train", "solver.prototxt", *options]
    return subprocess.Popen(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for(process: subprocess.Popen, word: str) -> None:
    assert process.stdout is not None
    if not any(word in line for line in process.stdout):
        pytest.fail(f"the run ended without '{word}': {process.stderr and process.stderr.read()}")


def test_a_bad_record_on_the_way_ends_the_run_and_every_log_reports_why(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    write_database(folder / "train_lmdb", damaged=9)
    change("solver.prototxt", ("test_iter: 2 test_interval: 2", ""), ("snapshot: 3", "snapshot: 1"))
    assert train("--log", "run.jsonl", "--caffe-log", "run.log") == 1
    assert "record 9 ('00000009') of 'train_lmdb' is no Datum" in capsys.readouterr().err
    end = events()[-1]
    assert (end["event"], end["reason"], end["iter"]) == ("end", "failed", 2)
    assert "record 9 ('00000009')" in end["message"]
    errors = [line for line in Path("run.log").read_text().splitlines() if line.startswith("E")]
    assert "record 9 ('00000009')" in errors[0]
    assert states() == [1, 2], "what was learned up to there stands"


@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGTERM, ()), (signal.SIGHUP, ("--sighup_effect", "stop"))],
    ids=["SIGTERM", "SIGHUP as stop"],
)
def test_a_signal_stops_the_run_the_log_reports_so_and_resume_goes_on(
    folder: Path, capsys: pytest.CaptureFixture, number: int, options: tuple[str, ...]
) -> None:
    process = start(*ENDLESS, "--log", "run.jsonl", *options)
    wait_for(process, "iteration 4 ")
    process.send_signal(number)
    process.communicate(timeout=60)
    end = events()[-1]
    assert (process.returncode, end["event"], end["reason"]) == (128 + number, "end", "stopped")
    assert end["iter"] == max(states()) > 4
    assert train("--resume", "--max-iter", str(end["iter"] + 1), "--log", "run.jsonl") == 0
    assert f"resuming at iteration {end['iter']} from " in capsys.readouterr().out
    assert [event["reason"] for event in events() if event["event"] == "end"] == ["stopped", "done"]


def test_a_signal_ends_a_long_test_too(folder: Path) -> None:
    process = start("--test-iter", "100000000", "--log", "run.jsonl")
    wait_for(process, "a test reads 100,000,000 batches")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert (process.returncode, events()[-1]["reason"], states()) == (130, "stopped", [0])


SLEEPER = """
import time
import caffe

class Sleeper(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(1)
    def forward(self, bottom, top):
        print("asleep", flush=True)
        time.sleep(100)
    def backward(self, top, propagate_down, bottom): pass
"""


@pytest.mark.parametrize(
    "processes",
    [
        pytest.param((), id="one process"),
        pytest.param(("--nproc", "2"), id="two processes", marks=pytest.mark.slow),
    ],
)
def test_a_second_signal_stops_now(folder: Path, processes: tuple[str, ...]) -> None:
    (folder / "sleeper.py").write_text(SLEEPER)
    layer = (
        'layer { name: "s" type: "Python" bottom: "data" top: "s" python_param { module: "sleeper" '
        'layer: "Sleeper" } }\n'
    )
    change("net.prototxt", ('layer { name: "ip"', layer + 'layer { name: "ip"'))
    process = start("--allow-python-layers", "--log", "run.jsonl", *processes)
    wait_for(process, "asleep")
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert time.monotonic() - begin < 20
    assert (process.returncode, printed) == (
        130,
        "stopping after this iteration; a second signal stops at once\nstopping now\n",
    )
    assert states() == []
    assert processes or events()[-1]["reason"] == "stopped"


WARNER = """
import warnings
import caffe
import torch

class Warner(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(1)
    def forward(self, bottom, top):
        warnings.warn("lr_scheduler.step() is called too early\\nsee the docs", UserWarning)
        warnings.warn("the function is to go", FutureWarning)
        torch.set_warn_always(True)
        with torch.enable_grad():
            torch.ones(2, requires_grad=True).sum().backward(create_graph=True)
    def backward(self, top, propagate_down, bottom): pass
"""


@pytest.mark.parametrize(
    "processes",
    [pytest.param((), id="one"), pytest.param(("--nproc", "2"), id="two", marks=pytest.mark.slow)],
)
def test_a_librarys_warning_is_a_line_without_its_source(
    folder: Path, processes: tuple[str, ...]
) -> None:
    (folder / "warner.py").write_text(WARNER)
    layer = (
        'layer { name: "s" type: "Python" bottom: "data" top: "s" python_param { module: "warner" '
        'layer: "Warner" } }\n'
    )
    change("net.prototxt", ('layer { name: "ip"', layer + 'layer { name: "ip"'))
    process = start("--allow-python-layers", "--max-iter", "2", *processes)
    _, printed = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    lines = printed.splitlines()
    assert "warning: lr_scheduler.step() is called too early" in lines
    assert all(line.startswith("warning: ") for line in lines)
    assert not any(word in printed for word in ("UserWarning", ".py:", "see the docs", "to go"))
    assert any("create_graph=True" in line for line in lines), "torch's own"
    assert len(lines) == len(processes or "1") * 2


WRONG = {
    "Log": ("Log", ""),
    "Power": ("Power", "power_param { power: -1 scale: 0 }"),
    "Exp": ("Exp", "exp_param { scale: 1000 shift: 200 }"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("display", ["2", "0"])
def test_the_first_layer_that_is_not_finite_is_named(
    folder: Path, capsys: pytest.CaptureFixture, kind: str, display: str
) -> None:
    layer, setting = WRONG[kind]
    change(
        "net.prototxt",
        ('bottom: "data" top: "ip"', 'bottom: "late" top: "ip"'),
        (
            'layer { name: "ip"',
            f"""
layer {{ name: "fine" type: "Power" bottom: "data" top: "fine" power_param {{ shift: -3 }} }}
layer {{ name: "culprit" type: "{layer}" bottom: "fine" top: "wrong" {setting} }}
layer {{ name: "after" type: "Power" bottom: "wrong" top: "late" power_param {{ scale: 2 }} }}
layer {{ name: "ip\"""",
        ),
    )
    change("solver.prototxt", ("display: 2", f"display: {display}"))
    assert train("--log", "run.jsonl") == 1
    message = capsys.readouterr().err
    assert "at iteration 0: the run stops, its snapshots stand" in message
    assert (
        f"layer 'culprit' ({layer}) is the first whose output is not finite: 'wrong'; "
        "its bottoms and params are finite"
    ) in message
    assert (states(), events()[-1]["reason"]) == ([], "failed")


@pytest.mark.parametrize("prefix", ["[a]*?snap", "two words", "Größe", "folder"])
def test_any_prefix_is_written_found_again_and_pruned(
    folder: Path, capsys: pytest.CaptureFixture, prefix: str
) -> None:
    (folder / "folder").mkdir()
    assert train("--snapshot-prefix", prefix) == 0
    assert (
        train("--snapshot-prefix", prefix, "--resume", "--max-iter", "7", "--keep-last", "1") == 0
    )
    assert "resuming at iteration 6 from " in capsys.readouterr().out
    written = {str(path.relative_to(folder)) for path in folder.rglob("*_iter_*")}
    whole = "folder/solver" if prefix == "folder" else prefix
    assert written == {
        f"{whole}_iter_7.{end}" for end in ("caffemodel", "solverstate", "solverstate.json")
    }


def test_a_run_in_hdf5_goes_on_in_binary_and_prunes_both(folder: Path) -> None:
    change("solver.prototxt", ("snapshot: 3", "snapshot: 3 snapshot_format: HDF5"))
    assert train() == 0
    assert sorted(path.name for path in folder.glob("snap_iter_6*")) == [
        "snap_iter_6.caffemodel.h5",
        "snap_iter_6.solverstate.h5",
        "snap_iter_6.solverstate.h5.json",
    ]
    change("solver.prototxt", (" snapshot_format: HDF5", ""))
    assert train("--resume", "--max-iter", "7", "--keep-last", "1") == 0
    assert {path.name for path in folder.glob("snap_*")} == {
        f"snap_iter_7.{end}" for end in ("caffemodel", "solverstate", "solverstate.json")
    }


def test_a_log_on_a_full_disk_is_reported_once_and_the_training_goes_on(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train("--log", "/dev/full") == 0
    assert capsys.readouterr().err == (
        "warning: the log '/dev/full' can't be written: No space left on device; "
        "the training goes on\n"
    )
    assert states() == [3, 6]


def test_old_snapshots_of_the_folder_are_not_the_new_runs_to_delete(folder: Path) -> None:
    assert train("--max-iter", "20") == 0
    assert train("--max-iter", "5", "--keep-last", "1", "--overwrite") == 0
    assert states() == [5, 6, 9, 12, 15, 18, 20], (
        "3 was written over, and went as the new run's own"
    )


def test_of_equal_tests_the_first_is_the_best_and_one_that_is_no_number_never_is(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    change("solver.prototxt", ("snapshot: 3", "snapshot: 0"), ("test_iter: 2", "test_iter: 11"))
    assert train("--base-lr", "0", "--keep-best", "accuracy") == 0
    assert states() == [2, 6], "the first tested after a training step, and the last"
    capsys.readouterr()
    change(
        "net.prototxt",
        (
            'top: "accuracy" include { phase: TEST } }',
            """top: "a" include { phase: TEST } }
layer { name: "s" type: "Power" bottom: "a" top: "s" power_param { shift: -2 } \
include { phase: TEST } }
layer { name: "l" type: "Log" bottom: "s" top: "metric" loss_weight: 1 include { phase: TEST } }""",
        ),
    )
    assert train("--keep-best", "metric", "--snapshot-prefix", "nan") == 0
    assert "best metric" not in capsys.readouterr().out
    assert states("nan") == [6]


def test_a_run_takes_up_a_state_with_more_test_nets_than_it_had(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train("--max-iter", "3") == 0
    capsys.readouterr()
    one = 'net: "net.prototxt"'
    change(
        "solver.prototxt",
        (one, 'train_net: "net.prototxt" test_net: "net.prototxt" test_net: "net.prototxt"'),
        ("test_iter: 2", "test_iter: 2 test_iter: 1"),
    )
    assert train("--resume") == 0
    out = capsys.readouterr().out
    assert "test 0 at iteration 4 " in out
    assert "test 1 at iteration 6 " in out


def test_a_run_that_was_done_is_done_again_without_training_or_writing(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train() == 0
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("snap_*")}
    capsys.readouterr()
    assert train("--resume") == 0
    assert capsys.readouterr().out.endswith("done\n")
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("snap_*")} == before


def test_a_run_that_branches_off_deletes_nothing_of_the_run_it_came_from(folder: Path) -> None:
    assert train("--max-iter", "9", "--snapshot-prefix", "old") == 0
    assert (
        train(
            "--snapshot",
            "old_iter_6.solverstate",
            "--snapshot-prefix",
            "new",
            "--max-iter",
            "12",
            "--keep-last",
            "1",
        )
        == 0
    )
    assert (states("old"), states("new")) == ([3, 6, 9], [12])


@pytest.mark.parametrize(
    "options", [(), ("--keep-best", "accuracy")], ids=["without --keep-best", "another metric"]
)
def test_the_best_of_an_earlier_part_stays(folder: Path, options: tuple[str, ...]) -> None:
    change("solver.prototxt", ("snapshot: 3", "snapshot: 0"))
    assert train("--keep-best", "loss", "--max-iter", "5") == 0
    (best,) = set(states()) - {5}
    assert train("--resume", "--max-iter", "7", "--keep-last", "1", *options) == 0
    assert best in states()


def test_a_resumed_run_does_not_need_the_weights_that_it_began_with(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train("--max-iter", "1", "--snapshot-prefix", "pre") == 0
    change("solver.prototxt", ("snapshot: 3", 'snapshot: 3 weights: "pre_iter_1.caffemodel"'))
    assert train("--resume", "--max-iter", "3") == 0
    Path("pre_iter_1.caffemodel").unlink()
    assert train("--resume") == 0
    assert train("--resume", "--snapshot-prefix", "other") == 1
    assert "file 'pre_iter_1.caffemodel' does not exist" in capsys.readouterr().err


def test_the_layer_is_named_whichever_part_of_an_iteration_went_wrong(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    change(
        "net.prototxt",
        (
            'layer { name: "loss"',
            """layer { name: "first" type: "Reduction" bottom: "label" top: "first" }
layer { name: "l" type: "Log" bottom: "first" top: "l" loss_weight: 1 }
layer { name: "loss\"""",
        ),
        ("batch_size: 4", "batch_size: 1"),
    )
    change("solver.prototxt", ("test_iter: 2 test_interval: 2", "iter_size: 3"))
    assert train() == 1  # record 0 has label 0
    assert "layer 'l' (Log) is the first whose output is not finite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-iter", "99999999999"),
        ("--test-iter", "many"),
        ("--base-lr", "nan"),
        ("--base-lr", "1e39"),
    ],
)
def test_a_number_that_a_solver_can_not_hold_is_a_usage_error(
    folder: Path, capsys: pytest.CaptureFixture, option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        train(option, value)
    assert ended.value.code == 2
    assert f"argument {option}: " in capsys.readouterr().err


def test_a_run_whose_reader_is_gone_still_heeds_ctrl_c(folder: Path) -> None:
    process = start(*ENDLESS, "--log", "run.jsonl")
    wait_for(process, "iteration 3 ")
    assert process.stdout is not None
    process.stdout.close()  # as `| tee LOG` does, which Ctrl-C ends as well
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    warning = "warning: the output can't be written: Broken pipe; the training goes on without it\n"
    assert (process.returncode, printed) == (
        130,
        warning + "stopping after this iteration; a second signal stops at once\n",
    )
    assert events()[-1]["reason"] == "stopped"
    assert events()[-1]["iter"] in states()


def test_output_to_a_full_disk_does_not_end_the_run(folder: Path) -> None:
    with open("/dev/full", "w") as full:
        process = start("--log", "run.jsonl", stdout=full.fileno())
        _, printed = process.communicate(timeout=60)
    assert printed == (
        "warning: the output can't be written: No space left on device; "
        "the training goes on without it\n"
    )
    assert (process.returncode, events()[-1]["reason"], states()) == (0, "done", [3, 6])


def test_a_terminal_that_closes_does_not_end_the_run(folder: Path) -> None:
    ours, theirs = os.openpty()
    command = [
        sys.executable,
        "-m",
        "netspec",
        "train",
        "solver.prototxt",
        *ENDLESS,
        "--log",
        "run.jsonl",
    ]
    process = subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    os.close(theirs)
    seen = b""
    while b"iteration 3 " not in seen:
        seen += os.read(ours, 65536)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert events()[-1]["reason"] == "stopped"
    assert events()[-1]["iter"] in states()


@pytest.mark.parametrize(("way", "best"), [("max", max), ("min", min)])
def test_what_is_neither_loss_nor_accuracy_needs_its_direction(
    folder: Path, capsys: pytest.CaptureFixture, way: str, best
) -> None:
    change(
        "net.prototxt",
        (
            'top: "accuracy" include { phase: TEST } }',
            """top: "accuracy" include { phase: TEST } }
layer { name: "p" type: "Power" bottom: "accuracy" top: "percent" power_param { scale: 100 } \
include { phase: TEST } }""",
        ),
    )
    change(
        "solver.prototxt", ("snapshot: 3", "snapshot: 0"), ("test_interval: 2", "test_interval: 1")
    )
    assert train("--keep-best", "percent") == 1
    assert (
        "is neither a loss nor an Accuracy: is more of it better, or less?"
        in capsys.readouterr().err
    )
    assert train("--keep-best", f"percent:{way}", "--max-iter", "9", "--log", "run.jsonl") == 0
    values = {
        event["iter"]: event["outputs"]["percent"]
        for event in events()
        if event["event"] == "test" and event["iter"]
    }
    (last,) = [event for event in events() if event["event"] == "best"][-1:]
    assert last["value"] == best(values.values())
    assert last["iter"] in states()


def test_what_a_killed_run_has_left_is_cleared_whatever_the_prefix(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    Path("[a]_iter_3.solverstate.writing").mkdir()
    assert train("--snapshot-prefix", "[a]") == 0
    assert capsys.readouterr().err == ""
    assert not list(folder.glob("*.writing"))


def test_a_log_goes_on_in_a_log_only(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert train("--log", "run.jsonl", "--caffe-log", "run.log", "--max-iter", "2") == 0
    capsys.readouterr()
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for option, name in (
        ("--log", "net.prototxt"),
        ("--log", "run.log"),
        ("--caffe-log", "net.prototxt"),
        ("--caffe-log", "run.jsonl"),
    ):
        for more in (
            ["--resume"],
            ["--snapshot", "snap_iter_2.solverstate"],
            ["--snapshot-prefix", "new"],
        ):
            assert train(option, name, *more) == 1
            assert f"error: '{name}' already exists and is not a log " in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert train("--log", "run.jsonl", "--caffe-log", "run.log", "--resume") == 0


def test_two_runs_of_one_prefix_do_not_write_over_each_other(
    folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netspec.weights.snapshot_files.LOCK_PATIENCE", 0.2)
    with sole_writer("snap"):
        assert main(["train", str(folder / "solver.prototxt")]) == 1
        assert "another run is writing the snapshots 'snap_iter_*'" in capsys.readouterr().err
    assert main(["train", str(folder / "solver.prototxt")]) == 0
    assert not list(folder.glob("*.lock"))


def test_a_run_does_not_write_over_another_ones_snapshots_or_log(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train("--log", "run.jsonl", "--caffe-log", "run.log") == 0
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    capsys.readouterr()
    assert train() == 1
    assert capsys.readouterr().err == (
        "error: snapshots 'snap_iter_*' of another run already exist\n"
        "  hint: --resume goes on with that run, --overwrite writes over it, "
        "--snapshot-prefix PATH puts this run's elsewhere\n"
    )
    for option, log in (("--log", "run.jsonl"), ("--caffe-log", "run.log")):
        assert train("--snapshot-prefix", "new", option, log) == 1
        hint = "  hint: --resume goes on with that run, --overwrite writes over it\n"
        assert capsys.readouterr().err == f"error: the log '{log}' already exists\n{hint}"
    for option, path, near in (
        ("--snapshot", "snap_itr_3.solverstate", "solverstate"),
        ("--weights", "snap_iter_3.caffmodel", "caffemodel"),
    ):
        assert train(option, path) == 1, "a mistyped name is no reason to advise --overwrite"
        assert capsys.readouterr().err == (
            f"{path}: error: file '{path}' does not exist\n"
            f"  hint: did you mean 'snap_iter_3.{near}'?\n"
        )
    assert train("--snapshot-prefix", "new", "--max-iter", "1") == 0
    assert train("--snapshot", "new_iter_1.solverstate") == 1, (
        "it goes on from another run's, and would write over this one's"
    )
    assert {name: Path(name).read_bytes() for name in kept} == kept
    assert train("--snapshot", "snap_iter_3.solverstate", "--log", "run.jsonl") == 0, "its own"
    assert train("--resume", "--max-iter", "7", "--log", "run.jsonl") == 0
    assert len([event for event in events() if event["event"] == "start"]) == 3
    assert train("--overwrite", "--max-iter", "2", "--log", "run.jsonl") == 0
    assert [event["iter"] for event in events() if event["event"] == "start"] == [0]
    assert train("--resume", "--overwrite") == 2


def test_weights_alone_are_not_written_over_either(folder: Path) -> None:
    assert train() == 0
    for state in folder.glob("snap_iter_*.solverstate*"):
        state.unlink()
    assert train() == 1


def test_a_run_that_writes_no_snapshot_does_not_mind_those_of_another(folder: Path) -> None:
    assert train() == 0
    change("solver.prototxt", ("snapshot: 3", "snapshot_after_train: false"))
    assert train() == 0


def test_resume_asks_which_is_meant_where_an_older_snapshot_is_further_on(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train() == 0
    assert train("--overwrite", "--max-iter", "4") == 0
    capsys.readouterr()
    assert train("--resume") == 1
    assert capsys.readouterr().err == (
        "error: 'snap_iter_4.solverstate' was written last, but 'snap_iter_6.solverstate', "
        "which is older, is further on\n"
        "  hint: say which is meant: `--snapshot snap_iter_4.solverstate` or `--snapshot "
        "snap_iter_6.solverstate`\n"
    )
    assert train("--snapshot", "snap_iter_4.solverstate", "--max-iter", "7") == 0
    assert train("--resume", "--max-iter", "8") == 0
    Path("snap_iter_3.solverstate.json").unlink()
    Path("snap_iter_8.caffemodel").write_bytes(b"")
    assert train("--resume") == 0, "what is not whole is no rival"


def test_the_folder_of_the_snapshots_is_made(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert train("--snapshot-prefix", "new/deep/") == 0
    assert capsys.readouterr().out.splitlines()[0] == "made the folder 'new/deep' for the snapshots"
    assert Path("new/deep/solver_iter_6.solverstate").exists()
    assert train("--snapshot-prefix", "net.prototxt/x") == 1
    assert (
        "error: the folder 'net.prototxt' of the snapshots can't be made: "
        in capsys.readouterr().err
    )


def test_options_may_be_spelled_as_caffe_spells_its_words(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert (
        main(
            [
                "train",
                "solver.prototxt",
                "--max_iter",
                "1",
                "--snapshot_prefix=new",
                "--sigint-effect",
                "none",
            ]
        )
        == 0
    )
    assert Path("new_iter_1.solverstate").exists()
    capsys.readouterr()
    assert main(["train", "solver.prototxt", "--max-itr", "1"]) == 2
    assert (
        capsys.readouterr().err
        == "netspec train: there is no option '--max-itr'; did you mean '--max-iter'?\n"
    )


def test_a_run_that_goes_on_otherwise_than_before_says_so(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["train", "solver.prototxt", "--batch-size", "2", "--max-iter", "4"]) == 0
    capsys.readouterr()
    assert (
        main(
            [
                "train",
                "solver.prototxt",
                "--resume",
                "--weights",
                "none.caffemodel",
                "--max-iter",
                "4",
                "--log",
                "log",
            ]
        )
        == 0
    )
    printed = capsys.readouterr()
    assert (
        "warning: the run before read 2 records in a forward pass, this one reads 4: "
        "it goes on at the same record"
    ) in printed.err
    assert "warning: --weights is not read, for the run goes on from its snapshot" in printed.err
    assert "the run is at iteration 4, its max_iter is 4: nothing is left to train" in printed.out


def test_a_wrong_file_is_reported_in_a_line(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["train", "net.prototxt"]) == 1
    assert capsys.readouterr().err.startswith(
        "net.prototxt: error: 'net.prototxt' is a net, not a solver\n  hint: "
    )
    assert main(["shapes", "solver.prototxt"]) == 1
    assert "'solver.prototxt' is a solver, not a net" in capsys.readouterr().err
    Path("x.caffemodel").write_bytes(b"\n\0\x01")
    assert main(["train", "x.caffemodel"]) == 1
    assert "'x.caffemodel' is not text" in capsys.readouterr().err
    assert main(["train", "solver.prototxt", "--log", "a", "--caffe-log", "a"]) == 2
