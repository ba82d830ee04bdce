"""`netspec shapes`: the table, JSON and CSV that a user or a script reads.

And what the command does not import.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

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
