"""`netspec diff`: what it prints, its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from netspec.cli import main
from netspec.weights.files import write_weights
from tests.conftest import ROOT
from tests.nets import input_text

OLD = (
    input_text("data", (2, 3, 8, 8))
    + """
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
"""
)
NEW = OLD.replace("num_output: 4", "num_output: 8 pad: 1").replace("ReLU", "TanH")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def diff(capsys: pytest.CaptureFixture, *arguments: str, **files: str) -> tuple[int, str, str]:
    """The exit status and both streams; `old="…"` writes old.prototxt."""
    for name, text in files.items():
        Path(f"{name}.prototxt").write_text(text)
    status = main(["diff", *arguments])
    return status, *capsys.readouterr()


def test_the_same_prints_nothing(capsys: pytest.CaptureFixture) -> None:
    assert diff(capsys, "a.prototxt", "b.prototxt", a=OLD, b="# b\n" + OLD) == (0, "", "")


def test_a_net(capsys: pytest.CaptureFixture) -> None:
    status, out, err = diff(capsys, "old.prototxt", "new.prototxt", old=OLD, new=NEW)
    assert (status, err) == (1, "")
    assert out == (
        "--- old.prototxt\n+++ new.prototxt\n"
        "~ conv (Convolution), line 2 → 2\n"
        "    convolution_param.num_output: 4 → 8  (line 7 → 7)\n"
        "    convolution_param.pad: not given → 1  (line - → 7)\n"
        "~ relu (ReLU → TanH), line 9 → 9\n"
        '    type: "ReLU" → "TanH"  (line 9 → 9)\n'
        "\n"
        "layer                          old         new\n"
        "conv         output            2×4×6×6     2×8×8×8\n"
        "             shapes of params  4×3×3×3, 4  8×3×3×3, 8\n"
        "             params            112         224\n"
        "             multiply-adds     7,776       27,648\n"
        "relu         output            2×4×6×6     2×8×8×8\n"
        "total, TEST  params            112         224\n"
        "             multiply-adds     7,776       27,648\n"
    )


def test_colors(capsys: pytest.CaptureFixture) -> None:
    files = {"old": OLD, "new": NEW}
    out = diff(capsys, "old.prototxt", "new.prototxt", "--color", "always", **files)[1]
    assert "\x1b[31m4\x1b[0m → \x1b[32m8\x1b[0m" in out


def test_json(capsys: pytest.CaptureFixture) -> None:
    files = {"old": OLD, "new": NEW}
    status, out, _ = diff(capsys, "old.prototxt", "new.prototxt", "--format", "json", **files)
    about = json.loads(out)
    assert (status, about["differ"], about["kind"]) == (1, True, "nets")
    conv = about["changed"][0]
    assert conv["new"] == {"name": "conv", "type": "Convolution", "line": 2}
    assert conv["fields"][1] == {
        "field": "convolution_param.pad",
        "old": None,
        "new": [1],
        "old_line": None,
        "new_line": 7,
        "note": "",
    }
    assert about["costs"][0]["new"]["outputs"] == [[2, 8, 8, 8]]
    same = diff(capsys, "old.prototxt", "old.prototxt", "--format", "json")
    assert (same[0], json.loads(same[1])["differ"]) == (0, False)


def test_unknown_shapes_are_told(capsys: pytest.CaptureFixture) -> None:
    text = OLD.replace("ReLU", "MyLayer").replace('top: "conv" }', 'top: "relu" }')
    status, out, err = diff(capsys, "a.prototxt", "b.prototxt", a=text, b=text)
    told = "note: phase TEST: shapes of 1 layer are not known, and not compared\n"
    assert (status, out, err) == (0, "", told)


def test_solvers(capsys: pytest.CaptureFixture) -> None:
    files = {"a": 'base_lr: 0.1\nnet: "n"\n', "b": 'base_lr: 0.2\nnet: "n"\n'}
    status, out, _ = diff(capsys, "a.prototxt", "b.prototxt", **files)
    assert status == 1
    assert out.endswith("\nbase_lr: 0.1 → 0.2  (line 1 → 1)\n")


def test_weights(capsys: pytest.CaptureFixture) -> None:
    one = np.zeros((2, 3), np.float32)
    for name, arrays in (("a", [one, one[0]]), ("b", [one + 0.5, one])):
        write_weights(f"{name}.caffemodel", "net", [("fc", "", [], [], arrays)])
    status, out, _ = diff(capsys, "a.caffemodel", "b.caffemodel")
    assert (status, out) == (
        1,
        "--- a.caffemodel\n+++ b.caffemodel\n~ fc[1]: 3 → 2×3\n\n"
        "param  shape  largest difference  mean difference  values that differ\n"
        "fc[0]  2×3    0.5                 0.5              6\n\n0 equal\n",
    )
    out = diff(capsys, "a.caffemodel", "b.caffemodel", "--format", "json")[1]
    (change,) = json.loads(out)["changed"]
    assert (change["layer"], change["index"], change["max_difference"]) == ("fc", 0, 0.5)
    assert diff(capsys, "a.caffemodel", "a.caffemodel") == (0, "", "")
    write_weights("a.npz", "net", [("fc", "", [], [], [one, one[0]])])
    assert diff(capsys, "a.caffemodel", "a.npz") == (0, "", "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("net.prototxt", "none.prototxt", "file 'none.prototxt' does not exist"),
        ("net.prototxt", "none.caffemodel", "'none.caffemodel' holds weights, 'net.prototxt' does"),
        ("none.caffemodel", "none.h5", "none.caffemodel"),
        ("net.prototxt", "solver.prototxt", "'net.prototxt' is a net, 'solver.prototxt' a solver"),
        ("net.prototxt", "broken.prototxt", "broken.prototxt:1:8: error: expected"),
        ("net.prototxt", "labels.prototxt", "labels.prototxt:1:1: error"),
        ("net.prototxt", ".", "."),
    ],
)
def test_trouble(old: str, new: str, message: str, capsys: pytest.CaptureFixture) -> None:
    files = {
        "net": OLD,
        "solver": "base_lr: 1\n",
        "broken": "layer {",
        "labels": "item { id: 1 }\n",
    }
    status, out, err = diff(capsys, old, new, **files)
    assert (status, out) == (2, "")
    assert message in err


def test_the_page_shows_what_comes_out(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/fmt_and_diff.md").read_text()
    command = (
        "netspec diff models/bvlc_alexnet/train_val.prototxt models/tf_alexnet/train_val.prototxt"
    )
    shown = page.split(f"    {command}\n\n", 1)[1].split("\n\n", 1)[0]
    _, out, _ = diff(capsys, *command.split()[2:])
    lines = out.splitlines()
    assert all(line[4:] in lines for line in shown.splitlines() if line != "    …")
