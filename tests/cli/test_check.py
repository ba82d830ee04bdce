"""`netspec check`: its exit status, what goes to which stream, which files it takes for what."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest
import yaml

from netspec.cli import COMMANDS, main
from netspec.cli.parser import command_parser
from netspec.schema import caffe_pb2
from tests.conftest import REFERENCE, ROOT

NET = """layer { name: "data" type: "Input" top: "data" \
input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "relu" type: "ReLU" bottom: "data" top: "relu" }
"""
SOLVER = 'net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 10\n'
WARNED = NET + 'layer { name: "relu" type: "ReLU" bottom: "relu" top: "more" }\n'


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(capsys: pytest.CaptureFixture, *arguments: str, **files: str) -> tuple[int, str, str]:
    """The exit status and both streams; `net="…"` writes net.prototxt, `net_yaml` net.yaml."""
    for name, text in files.items():
        stem, _, suffix = name.partition("_")
        Path(f"{stem}.{suffix or 'prototxt'}").write_text(text)
    status = main(["check", *arguments])
    return status, *capsys.readouterr()


def test_a_right_net(capsys: pytest.CaptureFixture) -> None:
    assert check(capsys, "net.prototxt", net=NET) == (0, "net.prototxt: TEST net: no faults\n", "")


def test_a_wrong_net(capsys: pytest.CaptureFixture) -> None:
    status, out, err = check(
        capsys, "net.prototxt", net=NET.replace('bottom: "data"', 'bottom: "dta"')
    )
    assert (status, out) == (1, "net.prototxt: TEST net: 1 error\n")
    assert err == (
        "net.prototxt:2:43: error: layer 'relu' reads blob 'dta', which no earlier layer makes\n"
        '  layer { name: "relu" type: "ReLU" bottom: "dta" top: "relu" }\n'
        "                                            ^^^^^\n  hint: did you mean 'data'?\n"
        "net.prototxt:1:41: note: 'data' is made here\n"
    )


def test_a_wrong_net_as_json(capsys: pytest.CaptureFixture) -> None:
    wrong = NET.replace('bottom: "data"', 'bottom: "dta"')
    status, out, err = check(capsys, "net.prototxt", "gone", "--format", "json", net=wrong)
    net, gone = json.loads(out)
    assert (status, err) == (1, "")
    assert (net["path"], net["kind"]) == ("net.prototxt", "TEST net")
    (fault,) = net["diagnostics"]
    assert fault == {
        "severity": "error",
        "rule": None,
        "message": "layer 'relu' reads blob 'dta', which no earlier layer makes",
        "span": {"path": "net.prototxt", "line": 2, "column": 43},
        "hint": "did you mean 'data'?",
        "suggestions": ["data"],
        "notes": [
            {
                "severity": "note",
                "rule": None,
                "message": "'data' is made here",
                "span": {"path": "net.prototxt", "line": 1, "column": 41},
                "hint": None,
                "suggestions": [],
                "notes": [],
            }
        ],
    }
    assert gone["diagnostics"][0]["span"] == {"path": "gone", "line": None, "column": None}


def test_warnings_do_not_fail(capsys: pytest.CaptureFixture) -> None:
    status, out, err = check(capsys, "net.prototxt", net=WARNED)
    assert (status, out) == (0, "net.prototxt: TEST net: 1 warning\n")
    assert "net.prototxt:3:15: warning: two layers are named 'relu'" in err


def test_several_files(capsys: pytest.CaptureFixture) -> None:
    status, out, err = check(
        capsys,
        "a.prototxt",
        "b.yaml",
        "none.prototxt",
        "c.prototxt",
        a=NET,
        b_yaml="nme: a\n",
        c=WARNED + "x: 1\ny: 2\n",
    )
    assert status == 1
    assert out.splitlines() == [
        "a.prototxt: TEST net: no faults",
        "b.yaml: TRAIN and TEST net: 1 error",
        "none.prototxt: not read: 1 error",
        "c.prototxt: TEST net: 2 errors, 1 warning",
        "4 files, 4 errors, 1 warning",
    ]
    assert "b.yaml:1:1: error: a net has no field 'nme'" in err
    assert "error: file 'none.prototxt' does not exist" in err


def test_a_right_file_behind_a_wrong_one_does_not_help(capsys: pytest.CaptureFixture) -> None:
    assert check(capsys, "a.prototxt", "b.prototxt", a="x: 1", b=NET)[0] == 1


def test_a_mistyped_folder_is_reported_with_the_nearest(capsys: pytest.CaptureFixture) -> None:
    Path("models/alexnet").mkdir(parents=True)
    for path, hint in (
        ("modles/alexnet/a.prototxt", "folder 'modles' does not exist; did you mean 'models'?"),
        (
            "models/alxnet/a.prototxt",
            "folder 'models/alxnet' does not exist; did you mean 'models/alexnet'?",
        ),
        ("q/a.prototxt", "folder 'q' does not exist"),
    ):
        assert (
            check(capsys, path)[2]
            == f"{path}: error: file '{path}' does not exist\n  hint: {hint}\n"
        )


def test_a_syntax_error(capsys: pytest.CaptureFixture) -> None:
    status, out, err = check(capsys, "net.prototxt", net=NET + "layer {")
    assert (status, out) == (1, "net.prototxt: not read: 1 error\n")
    assert err.splitlines() == [
        "net.prototxt:3:8: error: expected a field name or '}', got end of the file",
        "  layer {",
        "         ^",
        "net.prototxt:3:7: note: this '{' is not closed",
    ]


def test_a_solver(capsys: pytest.CaptureFixture) -> None:
    assert check(capsys, "solver.prototxt", solver=SOLVER, net=NET) == (
        0,
        "solver.prototxt: solver and its net: no faults\n",
        "",
    )
    status, out, err = check(
        capsys, "solver.prototxt", solver=SOLVER.replace("fixed", "fixd") + "typo: 1\n"
    )
    assert (status, out[:24]) == (1, "solver.prototxt: solver ")
    assert "solver.prototxt:5:1: error: a solver has no field 'typo'" in err


def test_a_solver_is_checked_with_the_net_that_it_names(capsys: pytest.CaptureFixture) -> None:
    wrong = NET.replace('bottom: "data"', 'bottom: "dta"')
    tested = SOLVER + "test_iter: 1 test_interval: 1\n"  # the same net twice, its faults once
    status, out, err = check(capsys, "solver.prototxt", solver=tested, net=wrong)
    assert (status, out) == (1, "solver.prototxt: solver and its net: 1 error\n")
    assert err.startswith("net.prototxt:2:43: error: layer 'relu' reads blob 'dta'")
    status, out, err = check(capsys, "solver.prototxt", "net.prototxt", solver=tested, net=wrong)
    assert (status, err.count("error:")) == (1, 1)
    assert out.splitlines() == [
        "solver.prototxt: solver: no faults",
        "net.prototxt: TEST net: 1 error",
        "2 files, 1 error",
    ]
    status, out, err = check(capsys, "solver.prototxt", solver=tested, net="layer {")
    assert (status, out) == (1, "solver.prototxt: solver and its net: 1 error\n")


def test_a_solver_whose_net_is_not_there(capsys: pytest.CaptureFixture) -> None:
    status, _, err = check(
        capsys, "solver.prototxt", solver=SOLVER.replace("net.prototxt", "none.prototxt")
    )
    assert status == 1
    assert "solver.prototxt:1:6: error: the net 'none.prototxt' does not exist" in err


INNER = """net_param {
  input: "data" input_dim: [4, 3, 8, 8]
  layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" \
inner_product_param { num_output: 3 } }
  layers { name: "drop" type: DROPOUT bottom: "fc" top: "fc" include { phase: TRAIN } }
}
base_lr: 0.1 lr_policy: "fixed" max_iter: 3 test_iter: 1 test_iter: 1 test_interval: 2
"""


def test_a_net_within_a_solver(capsys: pytest.CaptureFixture) -> None:
    assert check(capsys, "solver.prototxt", "--no-advice", solver=INNER) == (
        0,
        "solver.prototxt: solver: no faults\n",
        "",
    )
    wrong = INNER.replace('bottom: "data"', 'bottom: "dta"').replace(
        'bottom: "fc" top: "fc"', 'bottom: "fc" top: "fc" dropout_param { dropout_ratio: 2 }'
    )
    status, out, err = check(capsys, "solver.prototxt", solver=wrong)
    assert (status, out) == (1, "solver.prototxt: solver: 2 errors\n")
    assert (
        "solver.prototxt:3:51: error: layer 'fc' reads blob 'dta', which no earlier layer makes"
        in err
    )
    assert ": error: layer 'drop': 'dropout_ratio' must be at least 0 and below 1, got 2" in err


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('net: "net.prototxt"', "solver and its net"),
        (SOLVER, "solver and its net"),
        (SOLVER + "debug_info: true snapshot: 1", "solver and its net"),
        ("base_lr: 0.1", "solver"),
        ('name: "a"', "TRAIN and TEST net"),
        ("debug_info: true", "TRAIN and TEST net"),
        ("x: 1", "TRAIN and TEST net"),
        (NET + SOLVER, "TEST net"),  # settings of a solver that went into a net
        ('input: "a" base_lr: 1 momentum: 1', "TRAIN and TEST net"),
    ],
)
def test_nets_and_solvers_are_distinguished_by_their_fields(
    capsys: pytest.CaptureFixture, text: str, what: str
) -> None:
    assert check(capsys, "file.prototxt", file=text, net=NET)[1].startswith(
        f"file.prototxt: {what}: "
    )


UNKNOWN_FIELD = "layer {{ name: 'r{0}' type: 'ReLU' bottom: 'data' top: 'r{0}' slope: {0} }}\n"


def test_each_kind_of_fault_is_reported_once(capsys: pytest.CaptureFixture) -> None:
    net = NET + "".join(UNKNOWN_FIELD.format(i) for i in range(12)) + "x: 1\n"
    status, out, err = check(capsys, "net.prototxt", net=net)
    assert (status, out) == (1, "net.prototxt: TEST net: 13 errors\n")
    assert [line for line in err.splitlines() if "error:" in line or "more" in line] == [
        "net.prototxt:3:58: error: 'layer' has no field 'slope'",
        "  … and 11 more like this, at lines 4, 5, 6, 7, 8, 9, 10, 11, …",
        "net.prototxt:15:1: error: a net has no field 'x'",
    ]
    _, out, err = check(capsys, "net.prototxt", "--all")
    assert err.count("error:") == 13
    assert "more like this" not in err


def test_at_most_twenty_kinds_of_a_file_are_shown(capsys: pytest.CaptureFixture) -> None:
    net = (
        'layer { name: "relu" type: "ReLU" bottom: "data" top: "more" }\n'
        + NET
        + "".join(f"x{i}: 1\nx{i}: 1\n" for i in range(30))
    )
    net = net.splitlines(keepends=True)
    status, out, err = check(capsys, "net.prototxt", net="".join([*net[1:3], net[0], *net[3:]]))
    assert (status, out) == (1, "net.prototxt: TEST net: 60 errors, 1 warning\n")
    assert (err.count("error:"), err.count("warning:")) == (20, 0)
    assert (
        err.splitlines()[-1]
        == "net.prototxt: 20 more errors, 1 more warning not shown; --all shows them"
    )
    assert main(["shapes", "--strict", "net.prototxt"]) == 1
    assert capsys.readouterr().err.endswith("not shown; netspec check --all shows them\n")
    assert check(capsys, "net.prototxt", "--all")[2].count("error:") == 60


def test_colors(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    wrong = NET.replace('bottom: "data"', 'bottom: "dta"')
    plain = check(capsys, "net.prototxt", net=wrong)[2]
    colored = check(capsys, "net.prototxt", "--color", "always")[2]
    assert "\x1b" not in plain
    assert re.sub("\x1b\\[[0-9;]*m", "", colored).splitlines() == [
        "error: layer 'relu' reads blob 'dta', which no earlier layer makes",
        " --> net.prototxt:2:43",
        "  |",
        '2 | layer { name: "relu" type: "ReLU" bottom: "dta" top: "relu" }',
        "  |                                           ^^^^^",
        "  = hint: did you mean 'data'?",
        "note: 'data' is made here",
        " --> net.prototxt:1:41",
        "  |",
        "1 | " + NET.splitlines()[0][:100],
        "  |                                         ^^^^^^",
    ]
    for arguments, environment, expected in (
        ([], {"FORCE_COLOR": "1"}, colored),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, plain),
        (["--color=never"], {"FORCE_COLOR": "1"}, plain),
        (["--color=always"], {"NO_COLOR": "1"}, colored),
        (["--col", "always"], {}, colored),
        (["--color", "auto"], {}, plain),
    ):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            assert check(capsys, "net.prototxt", *arguments)[2] == expected
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert check(capsys, "net.prototxt")[2] == colored
    assert check(capsys, "--color", "blue", "net.prototxt") == (
        2,
        "",
        "netspec: --color takes auto, always, never, got 'blue'\n",
    )


def test_data_that_are_not_there_are_one_warning(capsys: pytest.CaptureFixture) -> None:
    layer = (
        'layer {{ name: "{0}" type: "Data" top: "{0}" '
        'data_param {{ source: "{0}_lmdb" batch_size: 4 }} transform_param {{ crop_size: 8 }} }}\n'
    )
    status, out, err = check(capsys, "net.prototxt", net=layer.format("a") + layer.format("b"))
    assert (status, out) == (0, "net.prototxt: TRAIN and TEST net: 1 warning\n")
    assert "net.prototxt:1:62: warning: layer 'a': the database 'a_lmdb' does not exist" in err
    assert "net.prototxt:2:62: note: layer 'b': the database 'b_lmdb' does not exist" in err


def test_an_empty_file(capsys: pytest.CaptureFixture) -> None:
    for name, text in (("net", ""), ("net", " # nothing\n"), ("net_yaml", "")):
        path = name.replace("_", ".") if "_" in name else "net.prototxt"
        status, out, err = check(capsys, path, **{name: text})
        assert (status, out, err) == (
            1,
            f"{path}: not a net: 1 error\n",
            f"{path}: error: '{path}' is empty: a net is expected\n",
        )


# The text, and what it is reported to be.
OTHER_TEXTS = {
    "label map": (
        'item { name: "background" label: 0 display_name: "background" }\n' * 3,
        "a label map",
    ),
    "labels": (
        "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n",
        "a list of labels or names",
    ),
    "classes": ("cat\ndog\n", "a list of labels or names"),
    "images": ("cat/1.jpg 0\ndog 2/1.jpg 1\n", "a list of labels or names"),
    "images and labels": ("cat/1.jpg 0\ndog/1.jpg 1\n", "a list of images and labels"),
    "windows": ("# 0\na/b.png\n3\n10\n10\n0\n", "a list of windows"),
    "page": (
        "<!DOCTYPE html>\n<html></html>\n",
        "HTML or XML, such as a page that a download left behind",
    ),
    "JSON": ('{"model": "alexnet"}', "JSON"),
    "blob": (
        "num: 1 channels: 3 height: 1 width: 1 data: 1 data: 2 data: 3",
        "a blob, such as a mean file",
    ),
    "one layer": ('name: "a" type: "ReLU" bottom: "b" top: "a"', "a single layer"),
}


@pytest.mark.parametrize(("text", "kind"), OTHER_TEXTS.values(), ids=OTHER_TEXTS)
def test_texts_of_another_kind(capsys: pytest.CaptureFixture, text: str, kind: str) -> None:
    for command in ("check", "shapes"):
        Path("file.prototxt").write_text(text)
        assert main([command, "file.prototxt"]) == 1
        err = capsys.readouterr().err
        assert err.count("error:") == 1
        assert f"error: 'file.prototxt' is {kind}, not a net or a solver\n" in err


def test_binary_files_of_another_kind(capsys: pytest.CaptureFixture) -> None:
    weights = caffe_pb2.NetParameter(name="a")
    weights.layer.add(name="fc", type="InnerProduct").blobs.add(
        data=[1, 2], shape=caffe_pb2.BlobShape(dim=[2])
    )
    state = caffe_pb2.SolverState(iter=3, learned_net="a.caffemodel")
    state.history.add(data=[0, 0])
    mean = caffe_pb2.BlobProto(num=1, channels=1, height=1, width=2, data=[0, 0])
    for name, message, kind in (
        ("a.caffemodel", weights, "a caffemodel"),
        ("a.solverstate", state, "a solverstate"),
        ("mean.binaryproto", mean, "a blob, such as a mean file"),
    ):
        Path(name).write_bytes(message.SerializeToString())
        for command in ("check", "shapes"):
            assert main([command, name]) == 1
            err = capsys.readouterr().err
            assert err.startswith(
                f"{name}: error: '{name}' is {kind}, not a net or a solver\n  hint: "
            )
    Path("folder").mkdir()
    assert check(capsys, "folder")[::2] == (
        1,
        "folder: error: there is no net or solver in 'folder'\n",
    )


KEYS = {  # what SARIF 2.1.0 requires of its objects, and what of them is written
    "log": ({"version", "runs"}, {"$schema"}),
    "run": ({"tool"}, {"columnKind", "artifacts", "results"}),
    "result": ({"message"}, {"level", "locations", "relatedLocations", "ruleId", "ruleIndex"}),
    "region": ({"startLine", "startColumn", "endLine", "endColumn"}, set()),
}


def _require(kind: str, value: dict) -> None:
    required, optional = KEYS[kind]
    assert required <= value.keys() <= required | optional


def test_sarif(capsys: pytest.CaptureFixture) -> None:
    wrong = NET.replace('bottom: "data"', 'bottom: "dta"')
    arguments = ("a b.prototxt", "gone", "--format", "sarif")
    Path("a b.prototxt").write_text(wrong)
    status, out, err = check(capsys, *arguments)
    log = json.loads(out)
    assert (status, err, log["version"]) == (1, "", "2.1.0")
    _require("log", log)
    (run,) = log["runs"]
    _require("run", run)
    assert run["tool"]["driver"]["name"] == "netspec"
    assert [each["location"]["uri"] for each in run["artifacts"]] == ["a%20b.prototxt", "gone"]
    fault, gone = run["results"]
    _require("result", fault)
    assert (fault["level"], fault["message"]) == (
        "error",
        {
            "text": "layer 'relu' reads blob 'dta', which no earlier layer makes\n"
            "hint: did you mean 'data'?"
        },
    )
    (place,) = fault["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "a%20b.prototxt"},
        "region": {"startLine": 2, "startColumn": 43, "endLine": 2, "endColumn": 48},
    }
    (related,) = fault["relatedLocations"]
    assert related["message"] == {"text": "'data' is made here"}
    _require("region", related["physicalLocation"]["region"])
    assert gone["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "gone"}}}]


def test_workflow_commands(capsys: pytest.CaptureFixture) -> None:
    wrong = WARNED.replace('bottom: "data"', 'bottom: "100%,\\n"')
    Path("a,b.prototxt").write_text(wrong)
    status, out, err = check(capsys, "a,b.prototxt", "--format", "github")
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        "::error file=a%2Cb.prototxt,line=2,endLine=2,col=43,endColumn=52::layer 'relu' reads "
        "blob '100%25,\\n', which no earlier layer makes",
        "::warning file=a%2Cb.prototxt,line=3,endLine=3,col=15,endColumn=21::two layers are named "
        "'relu'; weights are saved and loaded by name%0Ahint: give each layer a name of its own"
        "%0Aa,b.prototxt:2:15: the first one is here",
    ]


def test_folders(capsys: pytest.CaptureFixture) -> None:
    Path("nets/.git").mkdir(parents=True)
    for name, text in {
        "b.prototxt": NET,
        "a.yaml": "layer: {name: a, type: Relu, bottom: b, top: a}\n",
        ".git/hidden.prototxt": "x",
        "labels.prototxt": 'item { name: "a" label: 0 }\n',
        "names.pbtxt": "cat\ndog\n",
        "graph.pbtxt": 'node { name: "a" op: "Const" }\n',
        "triton.pbtxt": 'name: "a" platform: "x" max_batch_size: 8 input [{ name: "b" }] output: 1',
        "workflow.yml": "name: CI\non: push\njobs: {}\n",
        "template.yaml": "a: {{ .Values.x }}\n",
        "broken.prototxt": "layer {",
        "readme.md": "x",
    }.items():
        (Path("nets") / name).write_text(text)
    (Path("nets") / "weights.prototxt").write_bytes(
        caffe_pb2.BlobProto(num=1, channels=1, height=1, width=2, data=[0, 0]).SerializeToString()
    )
    status, out, _ = check(capsys, "nets", "nets/b.prototxt")
    assert status == 1
    assert out.splitlines() == [
        "nets/a.yaml: TRAIN and TEST net: 2 errors",
        "nets/b.prototxt: TEST net: no faults",
        "nets/broken.prototxt: not read: 1 error",
        "3 files, 3 errors, 7 files of another kind passed over",
    ]
    # what is named is meant
    assert (
        "nets/labels.prototxt: not a net: 1 error"
        in check(capsys, "nets", "nets/labels.prototxt")[1]
    )


def test_files_of_another_kind_may_be_skipped(capsys: pytest.CaptureFixture) -> None:
    labels = 'item { name: "a" label: 0 }\n'
    arguments = ("labels.prototxt", "net.prototxt", "gone.prototxt", "--skip-other-files")
    status, out, err = check(capsys, *arguments, labels=labels, net=NET)
    assert status == 1
    assert out.splitlines() == [
        "net.prototxt: TEST net: no faults",
        "gone.prototxt: not read: 1 error",
        "2 files, 1 error, 1 file of another kind passed over",
    ]
    assert "file 'gone.prototxt' does not exist" in err


def test_a_folder_that_cannot_be_read(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    Path("nets").mkdir()
    monkeypatch.setattr("os.scandir", refuse)
    assert check(capsys, "nets")[::2] == (
        1,
        "nets: error: 'nets' can't be read: Permission denied\n",
    )


def test_hooks_of_pre_commit() -> None:
    hooks = {
        hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    }
    assert set(hooks) == {"netspec-check", "netspec-fmt"}
    for name, file in (
        ("netspec-check", "models/a/train_val.prototxt"),
        ("netspec-check", "models/a/solver.yaml"),
        ("netspec-fmt", "deploy.prototxt"),
    ):
        assert {"id", "name", "entry", "language", "files"} <= hooks[name].keys()
        assert re.search(hooks[name]["files"], file)
    program, command, *options = hooks["netspec-check"]["entry"].split()
    assert (program, command) == ("netspec", "check")
    parser = command_parser(command, COMMANDS[command])
    assert parser.parse_args([*options, "a.prototxt"]).skip_other_files


def test_stdin(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def given(text: bytes, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
        return check(capsys, "-", *arguments)

    assert given(NET.encode()) == (0, "<stdin>: TEST net: no faults\n", "")
    assert given(b"layer {")[2].startswith("<stdin>:1:8: error: expected a field name")
    yaml = b"layer: [{name: a, type: Input, top: a, input_param: {shape: {dim: 1}}}]\n"
    assert given(yaml, "--stdin-filename", "x.yaml")[:2] == (0, "x.yaml: TEST net: no faults\n")
    Path("nets").mkdir()
    Path("nets/net.prototxt").write_text(NET)
    assert given(SOLVER.encode(), "--stdin-filename", "nets/solver.prototxt")[:2] == (
        0,
        "nets/solver.prototxt: solver and its net: no faults\n",
    )
    assert given(b"a\0")[2].startswith("<stdin>: error: '<stdin>' is not text")
    monkeypatch.setattr("netspec.syntax.read.MAX_BYTES", 5)
    assert "the standard input has more than" in given(b"123456")[2]
    monkeypatch.setattr("sys.stdin", None)
    assert check(capsys, "-")[2] == "<stdin>: error: the standard input is closed\n"


def test_what_is_no_file(capsys: pytest.CaptureFixture) -> None:
    os.mkfifo("pipe")
    for path, what in (("pipe", "a named pipe (FIFO)"), ("/dev/zero", "a device")):
        assert check(capsys, path)[::2] == (
            1,
            f"{path}: error: '{path}' can't be read: it is {what}, expected a regular file\n",
        )


def test_a_file_that_does_not_exist(capsys: pytest.CaptureFixture) -> None:
    Path("models").mkdir()
    Path("models/train_val.prototxt").write_text(NET)
    for path, hint in (
        ("models/trainval.prototxt", "\n  hint: did you mean 'models/train_val.prototxt'?"),
        (
            "model/train_val.prototxt",
            "\n  hint: folder 'model' does not exist; did you mean 'models'?",
        ),
        ("x", ""),
    ):
        assert check(capsys, path)[2] == f"{path}: error: file '{path}' does not exist{hint}\n"


def test_phases(capsys: pytest.CaptureFixture) -> None:
    text = (
        NET
        + 'layer { name: "t" type: "Nonsense" bottom: "relu" top: "t" include { phase: TRAIN } }'
    )
    assert (
        check(capsys, "net.prototxt", net=text)[1] == "net.prototxt: TRAIN and TEST net: 1 error\n"
    )
    assert check(capsys, "net.prototxt", "--phase", "TEST")[:2] == (
        0,
        "net.prototxt: TEST net: no faults\n",
    )
    assert check(capsys, "net.prototxt", "--phase", "train")[:2] == (
        1,
        "net.prototxt: TRAIN net: 1 error\n",
    )


def test_a_fault_of_both_phases_is_reported_once(capsys: pytest.CaptureFixture) -> None:
    _, _, err = check(capsys, "net.prototxt", net=NET.replace("ReLU", "Relu"))
    assert err.count("error:") == 1


def test_stages_and_levels(capsys: pytest.CaptureFixture) -> None:
    text = NET + (
        'layer { name: "t" type: "Nonsense" bottom: "relu" top: "t" '
        'include { stage: "a" stage: "b" min_level: 2 } }'
    )
    for arguments, status in (
        (["--stage", "a,b"], 0),
        (["--stage", "a,b", "--level", "2"], 1),
        (["--level=3", "--stage=b,a,c"], 1),
        (["--level=3"], 0),
    ):
        assert check(capsys, "net.prototxt", *arguments, net=text)[0] == status


def test_unknown_sizes_and_layers_of_tomorrow_are_no_errors(capsys: pytest.CaptureFixture) -> None:
    text = (
        'layer { name: "db" type: "Data" top: "data" '
        'data_param { source: "none" batch_size: 4 } }\n'
    )
    text += (
        'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" '
        "inner_product_param { num_output: 3 axis: 7 } }\n"
    )
    status, out, err = check(capsys, "net.prototxt", net=text)
    assert (status, out) == (0, "net.prototxt: TRAIN and TEST net: 1 warning\n")
    assert "warning: layer 'db': the size of its data is unknown" in err
    assert check(capsys, "net.prototxt", "--input", "data=4,3,8,8")[0] == 1


ONE_PHASE = NET.replace("input_param", "include { phase: TRAIN } input_param")


def test_a_net_for_one_phase_only(capsys: pytest.CaptureFixture) -> None:
    assert check(capsys, "net.prototxt", net=ONE_PHASE) == (
        0,
        "net.prototxt: TRAIN net: no faults\n",
        "",
    )
    status, _, err = check(capsys, "net.prototxt", "--phase", "TEST")
    assert status == 1
    assert "layer 'relu' reads blob 'data', which no earlier layer makes" in err
    assert (
        "net.prototxt:1:41: note: 'data' is made by layer 'data' here, which phase TEST leaves out"
        in err
    )


@pytest.mark.parametrize("rule", ["include { phase: TEST }", "exclude { phase: TRAIN }"])
def test_a_rule_for_a_phase_without_data(capsys: pytest.CaptureFixture, rule: str) -> None:
    text = (
        ONE_PHASE
        + f'layer {{ name: "softmax" type: "Softmax" bottom: "relu" top: "prob" {rule} }}\n'
    )
    status, out, err = check(capsys, "net.prototxt", net=text)
    assert (status, out) == (0, "net.prototxt: TRAIN net: 1 warning\n")
    assert err.startswith(
        "net.prototxt:1:48: warning: no layer makes data in phase TEST, so that only the TRAIN "
        "net is checked\n"
    )
    assert (
        f"net.prototxt:3:{text.splitlines()[2].index(rule) + 1}: note: "
        "this rule asks for phase TEST"
    ) in err


def test_a_phase_whose_data_ask_for_a_stage(capsys: pytest.CaptureFixture) -> None:
    text = (
        ONE_PHASE.splitlines()[0].replace("phase: TRAIN", 'phase: TEST stage: "test-on-train"')
        + "\n"
        + ONE_PHASE
    )
    status, out, err = check(capsys, "net.prototxt", net=text)
    assert (status, out) == (0, "net.prototxt: TRAIN net: 1 warning\n")
    assert "hint: its data ask for a stage: --stage test-on-train\n" in err
    assert check(capsys, "net.prototxt", "--stage", "test-on-train") == (
        0,
        "net.prototxt: TRAIN and TEST net: no faults\n",
        "",
    )


def test_which_phases_are_meant(capsys: pytest.CaptureFixture) -> None:
    loss = (
        'layer { name: "loss" type: "EuclideanLoss" bottom: "relu" bottom: "data" top: "loss" }\n'
    )
    for text, what in (
        (NET, "TEST net"),
        ('input: "data" input_dim: [2, 3, 8, 8]\n' + NET.splitlines()[1], "TEST net"),
        (NET + loss, "TRAIN and TEST net"),
        (NET + loss.replace("top", "include { phase: TEST } top"), "TRAIN and TEST net"),
        (NET.replace('top: "relu"', 'top: "relu" loss_weight: 1'), "TRAIN and TEST net"),
        (NET.replace("Input", "DummyData").replace("input_", "dummy_data_"), "TRAIN and TEST net"),
        (NET.replace("input_param", "exclude { phase: TRAIN } input_param"), "TEST net"),
        (NET.splitlines()[1], "TRAIN and TEST net"),
    ):
        assert check(capsys, "net.prototxt", net=text)[1].startswith(f"net.prototxt: {what}: "), (
            text
        )


def test_a_net_without_data(capsys: pytest.CaptureFixture) -> None:
    assert check(capsys, "net.prototxt", net=NET.splitlines()[1])[:2] == (
        1,
        "net.prototxt: TRAIN and TEST net: 1 error\n",
    )
    text = NET.replace("input_param", 'include { stage: "a" } input_param')
    assert check(capsys, "net.prototxt", net=text)[0] == 1
    assert check(capsys, "net.prototxt", "--stage", "a", net=text)[0] == 0


def test_given_shapes_go_to_the_phases_that_have_them(capsys: pytest.CaptureFixture) -> None:
    rule = "include {{ phase: {1} }}"
    dummy = (
        f'layer {{{{ name: "{{0}}" type: "Input" top: "{{0}}" {rule} }}}}\n'
        f'layer {{{{ type: "Silence" bottom: "{{0}}" {rule} }}}}\n'
    )
    text = dummy.format("a", "TRAIN") + dummy.format("b", "TEST")
    assert check(capsys, "net.prototxt", "--input", "a=1,2", "--input", "b=3", net=text)[0] == 0


NO_RULE = "netspec check: there is no rule 'no-wieght-filler'; did you mean 'no-weight-filler'?"


def test_usage(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", "--phase", "VALIDATE", "net.prototxt"])
    assert caught.value.code == 2
    capsys.readouterr()
    for arguments, message in (
        ([], "netspec check: expected a FILE; see netspec check --help"),
        (["a", "--format", "markdown"], "netspec check: --format markdown goes with --explain"),
        (["a", "--select", "no-wieght-filler"], NO_RULE),
        (["a", "--ignore", "dead-end,no-wieght-filler"], NO_RULE),
        (["--explain", "no-wieght-filler"], NO_RULE),
    ):
        assert check(capsys, *arguments) == (2, "", f"{message}\n")
    assert main(["check", "--nonsense"]) == 2
    assert main(["check", "--input", "data=3,x", "net.prototxt"]) == 1
    assert "'--input data=3,x' is not a shape" in capsys.readouterr().err


def test_nothing_of_a_users_text_reaches_the_terminal_as_a_command(
    capsys: pytest.CaptureFixture,
) -> None:
    _, _, err = check(
        capsys,
        "net.prototxt",
        net=NET
        + 'layer { name: "\\033[31m\\n" type: "\x1b]0;x\x07" bottom: "data" top: "t" } # \x1b[2J\n',
    )
    assert "\x1b" not in err
    assert "\x07" not in err
    assert "layer '\\x1b[31m\\n': there is no layer type '\\x1b]0;x\\x07'" in err


def test_carets_stand_below_wide_characters(capsys: pytest.CaptureFixture) -> None:
    _, _, err = check(capsys, "net.prototxt", net='name: "网络" nme: "é网"\n')
    assert err.splitlines()[1:3] == ['  name: "网络" nme: "é网"', "  " + " " * 13 + "^^^"]


def test_a_long_line_is_cut_around_the_carets(capsys: pytest.CaptureFixture) -> None:
    _, _, err = check(
        capsys,
        "net.prototxt",
        net=" ".join(f"input_dim: {i}" for i in range(500)) + " nme: 1 " + "input_dim: 1 " * 500,
    )
    _, line, carets, hint = err.splitlines()[-4:]
    assert len(line) <= 102
    assert line[carets.index("^") : carets.rindex("^") + 1] == "nme"
    assert hint == "  hint: did you mean 'name'?"


@pytest.mark.parametrize(
    "path", sorted(REFERENCE.glob("upgrade/*.prototxt")), ids=lambda path: path.name
)
def test_the_originals_files_have_no_errors(capsys: pytest.CaptureFixture, path: Path) -> None:
    status, _, err = check(capsys, str(path))
    allowed = path.name.startswith("old_solver")  # its net is not here
    assert status == int(allowed), err


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("models/*/*.prototxt"), *ROOT.glob("models/*/*.yaml")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_our_own_files_have_no_errors(
    capsys: pytest.CaptureFixture, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert check(capsys, str(path))[0] == 0
