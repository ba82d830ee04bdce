"""`netspec shapes`: the table, JSON and CSV that a user or a script reads.

And what the command does not import.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from netspec.cli import main
from tests.conftest import ROOT

ALEXNET = str(ROOT / "models/bvlc_alexnet/train_val.prototxt")
DEPLOY = str(ROOT / "models/bvlc_alexnet/deploy.prototxt")


def shapes(capsys: pytest.CaptureFixture, *options: str) -> str:
    assert main(["shapes", *options]) == 0
    return capsys.readouterr().out


def test_table_shows_alexnets_sizes(capsys: pytest.CaptureFixture) -> None:
    out = shapes(capsys, ALEXNET, "--input", "data=10,3,227,227")
    assert out.startswith("AlexNet, phase TEST\n")
    row = next(line for line in out.splitlines() if line.startswith("conv2"))
    assert row.split() == [
        "conv2",
        "Convolution",
        "pool1",
        "conv2",
        "10×256×27×27",
        "256×48×5×5,",
        "256",
        "307,456",
        "2,239,488,000",
    ]
    assert "60,965,224 parameters" in out
    for size in ("227×227", "55×55", "27×27", "13×13", "6×6"):
        assert f"×{size}" in out


def test_json_has_what_a_script_needs(capsys: pytest.CaptureFixture) -> None:
    about = json.loads(shapes(capsys, DEPLOY, "--format", "json"))
    assert (about["name"], about["phase"], about["inputs"], about["outputs"]) == (
        "AlexNet",
        "TEST",
        ["data"],
        ["prob"],
    )
    assert about["blobs"]["pool5"] == [10, 256, 6, 6]
    assert about["params"]["conv2"] == [[256, 48, 5, 5], [256]]
    (conv1,) = (layer for layer in about["layers"] if layer["name"] == "conv1")
    assert {"type", "bottoms", "tops", "macs", "params", "span"} < set(conv1)
    assert conv1["macs"] == 10 * 96 * 55 * 55 * 3 * 11 * 11
    assert conv1["params"] == 96 * 3 * 11 * 11 + 96
    assert conv1["span"]["path"] == DEPLOY
    assert sum(layer["params"] for layer in about["layers"]) == 60_965_224


def test_csv_has_a_row_a_layer(capsys: pytest.CaptureFixture) -> None:
    rows = list(csv.DictReader(io.StringIO(shapes(capsys, DEPLOY, "--format", "csv"))))
    assert [row["output"] for row in rows if row["layer"] == "fc6"] == ["10x4096"]
    assert sum(int(row["count"]) for row in rows) == 60_965_224


def test_phase_decides_which_layers_there_are(capsys: pytest.CaptureFixture) -> None:
    train, test = (
        shapes(capsys, ALEXNET, "--phase", phase, "--input", "data=2,3,227,227")
        for phase in ("TRAIN", "test")
    )
    assert "accuracy" not in train
    assert "accuracy" in test


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--input", "dta=1,3,227,227"],
            "has no input 'dta'; it has data, label\n  hint: did you mean 'data'?",
        ),
        (["--input", "data=1,3,x"], "'--input data=1,3,x' is not a shape"),
        (
            ["--input", "data=1,3,5,5"],
            "layer 'conv1': a window of 11 does not fit into a height of 5",
        ),
    ],
)
def test_wrong_inputs_are_reported(
    capsys: pytest.CaptureFixture, options: list[str], message: str
) -> None:
    assert main(["shapes", ALEXNET, *options]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_missing_file_and_a_wrong_command(capsys: pytest.CaptureFixture) -> None:
    assert main(["shapes", "nowhere.prototxt"]) == 1
    assert "file 'nowhere.prototxt' does not exist" in capsys.readouterr().err
    assert main(["shaeps"]) == 2
    assert "did you mean 'shapes'?" in capsys.readouterr().err


def test_columns_in_the_order_that_is_asked_for(capsys: pytest.CaptureFixture) -> None:
    out = shapes(capsys, DEPLOY, "--columns", "macs,layer")
    assert out.splitlines()[2].split() == ["multiply-adds", "layer"]
    assert "377,487,360  fc6" in out
    (conv1,) = (
        layer
        for layer in json.loads(
            shapes(capsys, DEPLOY, "--columns", "layer,output,count", "--format", "json")
        )["layers"]
        if layer["layer"] == "conv1"
    )
    assert conv1 == {"layer": "conv1", "output": [[10, 96, 55, 55]], "count": 34_944}
    csv_lines = shapes(capsys, DEPLOY, "--columns", "tops,line", "--format", "csv").splitlines()
    assert csv_lines[:2] == ["tops,line", "data,4"]


def test_sort_puts_the_largest_numbers_first_and_texts_from_a_to_z(
    capsys: pytest.CaptureFixture,
) -> None:
    def first(column: str) -> str:
        options = ("--sort", column, "--columns", "layer", "--format", "csv")
        return shapes(capsys, DEPLOY, *options).splitlines()[1]

    assert [first("macs"), first("count"), first("layer")] == ["conv2", "fc6", "conv1"]


GROUPS = """name: "groups"
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "in/1x1" type: "Convolution" bottom: "x" top: "in/1x1"
  convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "in/relu" type: "ReLU" bottom: "in/1x1" top: "in/1x1" }
layer { name: "in/3x3" type: "Convolution" bottom: "x" top: "in/3x3"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "res2a_x" type: "Convolution" bottom: "in/1x1" top: "res2a_x"
  convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "bn2a_x" type: "BatchNorm" bottom: "res2a_x" top: "res2a_x" }
layer { name: "res2a" type: "Eltwise" bottom: "res2a_x" bottom: "in/1x1" top: "res2a" }
"""


def test_groups_add_up_the_layers_of_a_block(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    path = tmp_path / "groups.prototxt"
    path.write_text(GROUPS)
    rows = list(
        csv.DictReader(io.StringIO(shapes(capsys, str(path), "--group", "--format", "csv")))
    )
    assert [row["layer"] for row in rows] == ["data", "in", "res2a"]
    assert rows[1] == {
        "layer": "in",
        "type": "3 layers",
        "bottoms": "x",
        "tops": "in/1x1 in/3x3",
        "output": "1x2x8x8 1x4x8x8",
        "params": "",
        "count": str(2 * 3 + 2 + 4 * 27 + 4),
        "macs": str(64 * (2 * 3 + 4 * 27)),
        "line": "3",
    }
    assert (rows[2]["bottoms"], rows[2]["tops"]) == ("in/1x1", "res2a")
    about = json.loads(shapes(capsys, str(path), "--group", "--format", "json"))
    assert [group["macs"] for group in about["groups"]] == [0, 64 * 114, 64 * (4 + 2)]


def test_markdown_is_a_table_with_numbers_to_the_right(capsys: pytest.CaptureFixture) -> None:
    lines = shapes(capsys, DEPLOY, "--format", "markdown", "--columns", "layer,count").splitlines()
    assert lines[:4] == ["AlexNet, phase TEST", "", "| layer | count |", "| --- | --: |"]
    assert "| fc6 | 37,752,832 |" in lines


def test_operations_add_up_below_the_table(capsys: pytest.CaptureFixture) -> None:
    out = shapes(capsys, DEPLOY, "--columns", "layer,comparisons,divisions").splitlines()
    # the ReLUs', the poolings' over 3×3 and the Softmax's
    relu = 96 * 55**2 + 256 * 27**2 + 2 * 384 * 13**2 + 256 * 13**2 + 2 * 4096
    pool = 9 * (96 * 27**2 + 256 * 13**2 + 256 * 6**2)
    assert out[-1].endswith(f", {10 * (relu + pool + 1000):,} comparisons, 10,000 divisions")
    assert ["pool5", "829,440"] in [line.split() for line in out]


def test_batch_takes_the_place_of_the_files(capsys: pytest.CaptureFixture) -> None:
    out = shapes(capsys, DEPLOY, "--batch", "3", "--columns", "output", "--format", "csv")
    assert out.splitlines()[1::23] == ["3x3x227x227", "3x1000"]


MEMORY = (ALEXNET, "--input", "data=8,3,227,227", "--memory")


def test_memory_of_a_training_step(capsys: pytest.CaptureFixture) -> None:
    """The step is what tests/pytorch/test_training_memory.py measures."""
    out = shapes(capsys, *MEMORY)
    assert out.startswith("AlexNet, phase TRAIN\n")
    lines = out.partition("memory in fp32, batch 8:\n")[2].splitlines()
    found = {line.strip().split("  ")[0]: line.split("(")[1] for line in lines}
    params = f"{4 * 60_965_224:,} bytes)"
    assert found["params"] == found["history of SGD"] == found["gradients of params"] == params
    assert found["data"] == f"{4 * 8 * (3 * 227 * 227 + 1):,} bytes)"
    assert list(found)[-2:] == ["kept for the backward pass", "training step at its peak"]


def test_memory_by_solver_and_precision(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text(
        f'net: "{ALEXNET}"\ntype: "Adam"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 1\n'
    )
    options = ("--solver", str(solver), "--precision", "bf16")
    assert "history of Adam" in shapes(capsys, *MEMORY, *options)
    about = json.loads(shapes(capsys, *MEMORY, *options, "--format", "json"))
    assert about["memory"]["history_bytes"] == 2 * 2 * 60_965_224
    assert about["memory"]["params_bytes"] == 2 * 60_965_224


def test_memory_of_a_net_without_a_loss(capsys: pytest.CaptureFixture) -> None:
    assert shapes(capsys, DEPLOY, "--memory").endswith("the net has no loss: it does not train\n")


def test_batch_fit_finds_the_largest_batch_that_trains(capsys: pytest.CaptureFixture) -> None:
    def step(batch: int) -> int:
        options = ("--batch", str(batch), "--format", "json")
        step_bytes: int = json.loads(shapes(capsys, *MEMORY, *options))["memory"]["step_bytes"]
        return step_bytes

    fit = ("--batch-fit", "1.5GiB")
    about = json.loads(shapes(capsys, *MEMORY[:-1], *fit, "--format", "json"))
    assert step(about["batch"]) == about["step_bytes"] <= 1.5 * 2**30 < step(about["batch"] + 1)
    text = shapes(capsys, *MEMORY[:-1], *fit)
    assert text == f"batch {about['batch']}: a training step takes 1.5 GiB of 1.5 GiB\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([ALEXNET, *MEMORY[1:3], "--batch-fit", "100M"], "a training step with 1 item takes 709"),
        ([DEPLOY, "--batch-fit", "1G"], "has no loss: it does not train"),
        ([ALEXNET, *MEMORY[1:3], "--solver", "nowhere"], "file 'nowhere' does not exist"),
    ],
)
def test_memory_that_can_not_be_told(
    capsys: pytest.CaptureFixture, options: list[str], message: str
) -> None:
    assert main(["shapes", *options]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_memory_behind_an_unknown_type(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    path = tmp_path / "unknown.prototxt"
    path.write_text(GROUPS.replace('"in/3x3" type: "Convolution"', '"in/3x3" type: "Odd"'))
    assert main(["shapes", str(path), "--memory"]) == 1
    captured = capsys.readouterr()
    assert "layer 'in/3x3': the shape of 'in/3x3' is unknown, so is its memory" in captured.err
    assert captured.out == ""


def test_memory_has_no_csv(capsys: pytest.CaptureFixture) -> None:
    assert main(["shapes", *MEMORY, "--format", "csv"]) == 2
    assert "--memory has no csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch-fit", "8 apples"], "must be a number of bytes such as 8GiB or 512MiB"),
        (["--batch", "0"], "must be a whole number from 1, got '0'"),
        (["--columns", "layer,coutn"], "there is no column 'coutn'; did you mean 'count'?"),
        (["--columns", ","], "names no column"),
        (["--sort", "q"], "there is no column 'q'; the columns are layer, type,"),
    ],
)
def test_a_wrong_column_is_a_wrong_usage(
    capsys: pytest.CaptureFixture, options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["shapes", DEPLOY, *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


HEAVY = ("torch", "yaml", "graphviz", "lmdb", "h5py", "PIL", "numpy")


@pytest.mark.parametrize("arguments", [["shapes", ALEXNET], ["check", ALEXNET, DEPLOY], None])
def test_heavy_packages_stay_out(arguments: list[str] | None) -> None:
    run = (
        "import netspec"
        if arguments is None
        else f"from netspec.cli import main; main({arguments!r})"
    )
    script = (
        f"import sys; {run}; print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"
