"""`netspec time`: Caffe's lines, the table, the object for scripts, of nets without their data."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import netspec
from netspec.cli import main
from tests.conftest import ROOT

MNIST = str(ROOT / "models/mnist_alexnet/train_val.prototxt")
SMALL = ["--input", "data=2,1,28,28"]
NET = """
name: "Tiny"
layer { name: "data" type: "Input" top: "data" top: "label" \
input_param { shape { dim: 4 dim: 10 } shape { dim: 4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" \
inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" \
include { phase: TRAIN } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "net.prototxt").write_text(NET)
    return str(tmp_path / "net.prototxt")


def run(capsys: pytest.CaptureFixture, *options: str) -> str:
    assert main(["time", *options, "--cpu"]) == 0
    return capsys.readouterr().out


def milliseconds(out: str, label: str) -> float:
    found = re.search(rf"^{label}: (\S+) ms\.$", out, re.MULTILINE)
    assert found, label
    return float(found[1])


def test_prints_a_table_and_caffes_lines(tiny: str, capsys: pytest.CaptureFixture) -> None:
    out = run(capsys, tiny, "--iterations", "3")
    lines = out.splitlines()
    assert (
        lines[0] == f"Tiny, phase TRAIN, batch 4, on cpu ({threads()}), torch {torch.__version__}"
    )
    assert "Testing for 3 iterations." in lines
    passes = [milliseconds(out, f"Iteration: {i} forward-backward time") for i in (1, 2, 3)]
    table = lines.index("Average time per layer:")
    assert lines[table + 2].split("  ")[0] == "layer"
    rows = [line.split() for line in lines[table + 4 : table + 9]]
    assert [row[:2] for row in rows] == [
        ["data", "Input"],
        ["ip", "InnerProduct"],
        ["relu", "ReLU"],
        ["loss", "SoftmaxWithLoss"],
        ["accuracy", "Accuracy"],
    ]
    assert rows[0][2:] == ["0.000", "0.000", "0.0%"]
    assert len(rows[1]) == 6, "a layer with multiply-adds has its speed"
    assert rows[4][3] == "0.000", "no gradient goes through Accuracy"
    forward, backward = (
        milliseconds(out, "Average Forward pass"),
        milliseconds(out, "Average Backward pass"),
    )
    assert milliseconds(out, "Average Forward-Backward") == pytest.approx(
        forward + backward, rel=1e-4
    )
    assert (
        milliseconds(out, "Total Time")
        == pytest.approx(3 * (forward + backward), rel=1e-4)
        == pytest.approx(sum(passes), rel=1e-4)
    )
    assert re.fullmatch(r"Whole net at once: forward \S+ ms, backward \S+ ms", lines[-1])


def threads() -> str:
    return "1 thread" if torch.get_num_threads() == 1 else f"{torch.get_num_threads()} threads"


def test_json_holds_what_a_script_needs(capsys: pytest.CaptureFixture) -> None:
    about = json.loads(
        run(capsys, "--model", MNIST, "--iterations", "2", "--format", "json", *SMALL)
    )
    net = netspec.load(MNIST, "TRAIN", inputs={"data": (2, 1, 28, 28)})
    assert [(layer["name"], layer["type"], layer["macs"]) for layer in about["layers"]] == [
        (one.name, one.type, one.macs) for one in net.layers
    ]
    assert (
        about["net"],
        about["phase"],
        about["device"],
        about["batch_size"],
        about["iterations"],
    ) == ("MnistAlexNet", "TRAIN", "cpu", 2, 2)
    assert (about["threads"], about["torch"]) == (torch.get_num_threads(), torch.__version__)
    assert about["forward_ms"] == pytest.approx(
        sum(layer["forward_ms"] for layer in about["layers"])
    )
    assert about["backward_ms"] == pytest.approx(
        sum(layer["backward_ms"] for layer in about["layers"])
    )
    assert about["forward_backward_ms"] == pytest.approx(about["forward_ms"] + about["backward_ms"])
    assert (
        about["total_ms"]
        == pytest.approx(2 * about["forward_backward_ms"])
        == pytest.approx(sum(about["iteration_ms"]))
    )
    assert about["whole_forward_ms"] > 0
    assert about["whole_backward_ms"] > 0
    assert all(
        layer["forward_ms"] > 0 and layer["backward_ms"] > 0 for layer in about["layers"][1:]
    )


def test_the_phase_and_the_state_choose_the_net(tiny: str, capsys: pytest.CaptureFixture) -> None:
    about = json.loads(
        run(capsys, "-model", tiny, "-phase", "TEST", "-iterations", "1", "--format", "json")
    )
    assert about["phase"] == "TEST"
    assert [layer["name"] for layer in about["layers"]] == ["data", "ip", "relu", "accuracy"]


def test_a_net_without_a_loss_has_gradients_from_its_outputs(
    tiny: str, capsys: pytest.CaptureFixture
) -> None:
    note = "the net has no loss: its gradients start at its outputs\n"
    out = run(capsys, tiny, "--phase", "TEST", "--iterations", "1")
    assert note in out
    assert milliseconds(out, "Average Backward pass") > 0
    assert note not in run(capsys, tiny, "--iterations", "1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_traceback(tiny: str, number: int) -> None:
    command = [sys.executable, "-m", "netspec", "time", tiny, "--cpu", "--iterations", "100000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "Iteration: 1 " not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, "interrupted\n")


def test_needs_shapes_but_no_data(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = (
        'layer { name: "data" type: "Data" top: "data" top: "label" '
        'data_param { source: "nowhere_lmdb" batch_size: 4 } }'
    )
    path = tmp_path / "net.prototxt"
    path.write_text(data + NET[NET.index('layer { name: "ip"') :])
    assert main(["time", str(path), "--cpu"]) == 1
    assert "the database 'nowhere_lmdb' does not exist" in capsys.readouterr().err
    assert "Average Forward pass: " in run(
        capsys, str(path), "--iterations", "1", "--input", "data=3,1,4,4"
    )


def test_wrong_nets_and_wrong_usage_are_reported(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["time"]) == 2
    assert "name one net" in capsys.readouterr().err
    assert main(["time", tiny, "--model", tiny]) == 2
    capsys.readouterr()
    assert main(["time", str(tmp_path / "none.prototxt")]) == 1
    assert "none.prototxt' does not exist" in capsys.readouterr().err
    assert main(["time", tiny, "--input", "data=4"]) == 1
    assert "net.prototxt:" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["time", tiny, "--iterations", "0"])
    assert ended.value.code == 2
    assert "must be a whole number from 1, got '0'" in capsys.readouterr().err


def test_python_layers_run_only_where_they_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from netspec.layers import SPECS

    example = SPECS["Python"].example
    (tmp_path / "my_layers.py").write_text(example.code)
    (tmp_path / "net.prototxt").write_text(f"force_backward: true {example.text('Python')}")
    monkeypatch.chdir(tmp_path)
    assert main(["time", "net.prototxt", "--cpu"]) == 1
    assert "which is not allowed" in capsys.readouterr().err
    about = json.loads(
        run(
            capsys, "net.prototxt", "--iterations", "1", "--allow-python-layers", "--format", "json"
        )
    )
    assert about["layers"][-1]["backward_ms"] > 0
