"""`netspec solver schedule`: what it prints of a run, with and without the data, and of faults."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from netspec.cli import main
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.lmdb_writer import LmdbWriter

NET = """name: "Tiny"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } \
data_param { source: "train_lmdb" backend: LMDB batch_size: 4 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } \
data_param { source: "test_lmdb" backend: LMDB batch_size: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" \
inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """net: "net.prototxt"
type: "Adam" momentum: 0.9 base_lr: 0.01 lr_policy: "step" gamma: 0.1 stepsize: 50 \
max_iter: 120 iter_size: 2
test_iter: 5 test_interval: 40 snapshot: 50 snapshot_prefix: "snap"
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the net and its solver."""
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)


def make_databases(train: int, test: int) -> None:
    for name, count in (("train_lmdb", train), ("test_lmdb", test)):
        with LmdbWriter(name) as writer:
            for i in range(count):
                datum = Datum(
                    channels=1,
                    height=5,
                    width=5,
                    data=np.full(25, i, np.uint8).tobytes(),
                    label=i % 10,
                )
                writer.put(f"{i:08d}".encode(), datum.SerializeToString())


def schedule(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str, str]:
    status = main(["solver", "schedule", *arguments])
    return status, *capsys.readouterr()


def test_with_the_data(capsys: pytest.CaptureFixture) -> None:
    make_databases(32, 12)
    status, out, err = schedule(capsys, "solver.prototxt")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "solver.prototxt: 120 iterations",
        "",
        "net         Tiny, 260 parameters",
        "update      Adam, momentum 0.9, momentum2 0.999, delta 1e-08, no weight decay",
        "rate        step: 0.01, times 0.1 every 50 iterations",
        "train data  batch 4 × iter_size 2: 8 images an iteration, 960 in all, 30.00 epochs of 32",
        "tests       4: every 40 iterations, and before the first iteration",
        "              #0 net.prototxt: 5 × 3 = 15 images, more than all 12: 3 of them count twice",
        "snapshots   3: every 50 iterations and at the end, snap_iter_N",
        "              1.1 KiB of weights and 2.1 KiB of state each, 9.7 KiB in all",
        "",
        "iteration  learning rate  images by then  epochs",
        "---------  -------------  --------------  ------",
        "   0 – 49           0.01             400   12.50",
        "  50 – 99          0.001             800   25.00",
        "100 – 119         0.0001             960   30.00",
    ]


@pytest.mark.parametrize(
    ("test_iter", "printed"),
    [
        (4, "4 × 3 = 12 images, all 12 once"),
        (8, "8 × 3 = 24 images, all 12, each 2 times"),
        (2, "2 × 3 = 6 images, not all 12: the next test goes on behind them"),
        (9, "9 × 3 = 27 images, more than all 12: 3 of them count 3 times, the others 2"),
    ],
)
def test_what_a_test_covers(capsys: pytest.CaptureFixture, test_iter: int, printed: str) -> None:
    make_databases(4, 12)
    Path("solver.prototxt").write_text(SOLVER.replace("test_iter: 5", f"test_iter: {test_iter}"))
    assert printed in schedule(capsys, "solver.prototxt")[1]


def test_without_the_data(capsys: pytest.CaptureFixture) -> None:
    status, out, err = schedule(capsys, "solver.prototxt")
    assert status == 0
    assert "Tiny, ? parameters: --input gives the shape of its data" in out
    assert "960 in all, ? epochs: the database 'train_lmdb' does not exist" in out
    assert "5 × 3 = 15 images, of ?: the database 'test_lmdb' does not exist" in out
    assert "? bytes: the net's parameters are not known" in out
    assert "the size of its data is unknown: the database 'train_lmdb' does not exist" in err
    assert "… and 1 more like this, at line 3" in err
    status, out, err = schedule(
        capsys, "solver.prototxt", "--input", "data=4,1,5,5", "--input", "label=4"
    )
    assert (status, err) == (0, "")
    assert "Tiny, 260 parameters" in out
    assert "5 × 3 = 15 images" in out  # the batch stays the file's


def test_an_input_that_no_net_has(capsys: pytest.CaptureFixture) -> None:
    status, _, err = schedule(capsys, "solver.prototxt", "--input", "dat=4,1,5,5")
    assert status == 1
    assert (
        "error: no net of the solver has an input 'dat'; there is data, label\n"
        "  hint: did you mean 'data'?"
    ) in err


def test_overrides(capsys: pytest.CaptureFixture) -> None:
    make_databases(32, 12)
    out = schedule(capsys, "solver.prototxt", "--max-iter", "40", "--batch-size", "6")[1]
    assert "batch 6 × iter_size 2: 12 images an iteration, 480 in all, 15.00 epochs of 32" in out
    assert "2: every 40 iterations" in out
    assert "5 × 6 = 30 images" in out
    assert "snapshots   1: at the end" in out


def test_stages_are_the_train_nets(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(
        NET
        + 'layer { name: "more" type: "Nonsense" bottom: "ip" top: "more" include { stage: "s" } }'
    )
    assert schedule(capsys, "solver.prototxt")[0] == 0
    status, out, err = schedule(capsys, "solver.prototxt", "--stage", "s")
    assert (status, err.count("there is no layer type 'Nonsense'")) == (1, 1)
    assert "5 × 3 = 15 images" in out  # the test net has not got it


@pytest.mark.parametrize("fault", ["missing", "wrong"])
def test_a_net_that_cannot_be_read(capsys: pytest.CaptureFixture, fault: str) -> None:
    if fault == "missing":
        Path("net.prototxt").unlink()
    else:
        Path("net.prototxt").write_text(NET.replace('bottom: "ip"', 'bottom: "pi"'))
    status, out, err = schedule(capsys, "solver.prototxt")
    assert status == 1
    assert (
        "the net 'net.prototxt' does not exist"
        if fault == "missing"
        else "layer 'loss' reads blob 'pi'"
    ) in err
    assert "net         ? (it can't be read)" in out
    assert "4: every 40 iterations" in out
    assert "100 – 119         0.0001               ?       ?" in out


def test_json_and_csv(capsys: pytest.CaptureFixture) -> None:
    make_databases(32, 12)
    about = json.loads(schedule(capsys, "solver.prototxt", "--format", "json")[1])
    assert (about["batch_size"], about["dataset_size"], about["images"], about["epochs"]) == (
        4,
        32,
        960,
        30,
    )
    assert about["rates"]["rows"][1] == {
        "first": 50,
        "last": 99,
        "lr": 0.001,
        "images": 800,
        "epochs": 25,
    }
    assert about["tests"]["nets"] == [
        {
            "net": "net.prototxt",
            "stages": [],
            "test_iter": 5,
            "batch_size": 3,
            "dataset_size": 12,
            "images": 15,
        }
    ]
    assert about["snapshots"]["total_bytes"] == 3 * (
        about["snapshots"]["weights_bytes"] + about["snapshots"]["state_bytes"]
    )
    rows = list(
        csv.DictReader(io.StringIO(schedule(capsys, "solver.prototxt", "--format", "csv")[1]))
    )
    assert [(row["first"], row["last"], row["lr"], row["epochs"]) for row in rows][-1] == (
        "100",
        "119",
        "0.0001",
        "30.0",
    )


def test_a_rate_without_sense_is_reported_and_stays_json(capsys: pytest.CaptureFixture) -> None:
    Path("solver.prototxt").write_text(
        SOLVER.replace('"step" gamma: 0.1 stepsize: 50', '"exp" gamma: 1e30')
    )
    status, out, err = schedule(capsys, "solver.prototxt", "--format", "json")
    assert status == 0
    assert "warning: from iteration 2 on the learning rate is inf" in err
    assert json.loads(out)["rates"]["rows"][-1]["lr"] is None


def test_warnings(capsys: pytest.CaptureFixture) -> None:
    Path("solver.prototxt").write_text(SOLVER.replace('"snap"', '"nowhere/snap"') + "power: 2")
    status, _, err = schedule(capsys, "solver.prototxt")
    assert status == 0
    assert "solver.prototxt:4:8: warning: 'power' has no effect with lr_policy 'step'" in err
    assert "nowhere" not in err, "a run makes the folder of its snapshots"


def test_a_wrong_solver(capsys: pytest.CaptureFixture) -> None:
    Path("solver.prototxt").write_text(SOLVER.replace("stepsize: 50", ""))
    status, out, err = schedule(capsys, "solver.prototxt")
    assert (status, out) == (1, "")
    assert "lr_policy 'step' needs 'stepsize'" in err
    assert schedule(capsys, "none.prototxt")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [["schedule"], ["schedule", "s", "--points", "0"], ["schedule", "s", "--points", "200000"]],
)
def test_usage(capsys: pytest.CaptureFixture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["solver", *arguments])
    assert caught.value.code == 2


def test_points(capsys: pytest.CaptureFixture) -> None:
    Path("solver.prototxt").write_text(
        SOLVER.replace('"step" gamma: 0.1 stepsize: 50', '"poly" power: 1')
    )
    rows = schedule(capsys, "solver.prototxt", "--points", "3", "--format", "csv")[1].splitlines()
    assert [row.split(",")[0] for row in rows] == ["first", "0", "40", "80", "119"]


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_the_picture(capsys: pytest.CaptureFixture, suffix: str, magic: bytes) -> None:
    make_databases(32, 12)
    assert schedule(capsys, "solver.prototxt", "-o", f"lr.{suffix}")[0] == 0
    content = Path(f"lr.{suffix}").read_bytes()
    assert content.startswith(magic)
    if suffix == "svg":  # its text stays text
        assert all(
            f">{word}</text>".encode() in content
            for word in ("iterations", "learning rate", "epochs", "solver.prototxt")
        )


def test_a_picture_of_no_known_kind_is_reported_first(capsys: pytest.CaptureFixture) -> None:
    status, out, err = schedule(capsys, "none.prototxt", "-o", "lr.gif")
    assert (status, out) == (1, "")
    assert "no picture format is known by the suffix '.gif'" in err
