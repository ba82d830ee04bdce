"""--rename, --skip-layer, --strict: which layers of a file a net takes, in every command alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec import WeightChoice
from netspec.cli import main
from netspec.weights.files import write_weights

NET = """name: "n"
layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: [1, 2] } } }
layer { name: "one" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "two" type: "InnerProduct" bottom: "y" top: "z"
  inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "z" bottom: "z" top: "loss" }
"""
SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "s"\n'
FIXED = {"a": [(3, 2), (3,)], "two": [(1, 3), (1,)]}  # what the file has


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)
    write("w.caffemodel", FIXED)
    return tmp_path


def write(path: str, layers: dict[str, list[tuple[int, ...]]]) -> None:
    write_weights(
        path,
        "n",
        [
            (name, "InnerProduct", [], [], [np.full(shape, 7, np.float32) for shape in shapes])
            for name, shapes in layers.items()
        ],
    )


def test_a_layer_of_another_name_is_loaded(folder) -> None:
    module = netspec.compile(
        "net.prototxt", weights="w.caffemodel", choice=WeightChoice({"a": "one"}, ["two"])
    )
    assert module.load_report.loaded == ["one"]
    assert module.load_report.missing == ["two"]
    assert (module.params["one"][0] == 7).all()
    assert not (module.params["two"][0] == 7).any()


def test_two_layers_change_places(folder) -> None:
    write("w.caffemodel", {"one": [(1, 3), (1,)], "two": [(3, 2), (3,)]})
    module = netspec.compile(
        "net.prototxt",
        weights="w.caffemodel",
        choice=WeightChoice({"one": "two", "two": "one"}, strict=True),
    )
    assert module.load_report.loaded == ["one", "two"]


def test_of_several_files_one_has_to_have_the_layer(folder) -> None:
    write("v.caffemodel", {"b": [(1, 3), (1,)]})
    files = ["w.caffemodel", "v.caffemodel"]
    choice = WeightChoice({"a": "one", "b": "two"}, ["two"], strict=True)
    module = netspec.compile("net.prototxt", weights=files, choice=choice)
    assert module.load_report.loaded == ["one", "two"]
    with pytest.raises(netspec.NetspecError, match="no weight file has a layer 'c'"):
        netspec.compile(
            "net.prototxt", weights=files, choice=WeightChoice({"a": "one", "c": "two"})
        )


WRONG = {
    "a name that the file lacks": (
        ["--rename", "aa=one"],
        "'w.caffemodel' has no layer 'aa' with weights",
        "did you mean 'a'?",
    ),
    "a name that the net lacks": (
        ["--rename", "a=ones"],
        "'a' is renamed to 'ones', but the net 'n' has no such layer with params",
        "did you mean 'one'?",
    ),
    "a name to leave out": (
        ["--skip-layer", "tow"],
        "'w.caffemodel' has no layer 'tow' with weights",
        "did you mean 'two'?",
    ),
    "two of one name": (
        ["--rename", "a=two"],
        "'w.caffemodel' would have two layers 'two'",
        "--skip-layer two",
    ),
    "strict": (
        ["--strict"],
        "'w.caffemodel' has other layers than the net: it lacks one; it has beside the net's a",
        "--rename",
    ),
    "renamed and left out": (
        ["--rename", "a=one", "--skip-layer", "a"],
        "layer 'a' is both renamed and left out",
        "",
    ),
    "no two names": (["--rename", "a"], "'--rename a' is not two names", "fc8=fc8_flowers"),
    "two new names": (
        ["--rename", "a=one", "--rename", "a=two"],
        "layer 'a' is renamed to 'one' and to 'two'",
        "",
    ),
}
COMMANDS = {
    "train": ["train", "solver.prototxt", "--weights", "w.caffemodel", "--cpu"],
    "test": ["test", "net.prototxt", "w.caffemodel", "--iterations", "1", "--cpu"],
    "export": ["export", "net.prototxt", "out.h5", "--weights", "w.caffemodel"],
    "weights": ["weights", "w.caffemodel", "--against", "net.prototxt"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(("options", "message", "hint"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_told_by_every_command(
    folder, capsys, command, options, message, hint
) -> None:
    assert main([*command, *options]) in (1, 2)
    err = capsys.readouterr().err
    assert message in err
    assert hint in err or (command[0] == "train" and "usage" not in err)
    assert not Path("out.h5").exists()
    assert not [*folder.glob("s_iter*")]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_fits_is_taken_by_every_command(folder, command) -> None:
    assert main([*command, "--rename", "a=one", "--strict"]) == 0


def test_time_reads_no_weights(folder, capsys) -> None:
    command = ["time", "net.prototxt", "--weights", "no", "--iterations", "1", "--cpu"]
    assert main([*command, "--rename", "a=b"]) == 0
    assert main([*command, "--rename", "a"]) == 1


def test_a_choice_without_weights_is_told(folder, capsys) -> None:
    assert main(["export", "net.prototxt", "out.h5", "--rename", "a=one"]) == 1
    assert "go with --weights" in capsys.readouterr().err
    assert main(["train", "solver.prototxt", "--cpu", "--skip-layer", "a"]) == 1
    assert "no weight file has a layer 'a'" in capsys.readouterr().err
    options = ["--snapshot", "s_iter_0.solverstate", "--rename", "a=one"]
    assert main(["train", "solver.prototxt", "--cpu", *options]) == 2
    assert "--rename and --skip-layer go with --weights" in capsys.readouterr().err
