"""Training in fp16: its loss scale, the updates that it skips, what a snapshot keeps of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.listener import Listener
from netspec.pytorch import loss_scale
from netspec.pytorch.loss_scale import LossScale
from tests.pytorch import real_runs
from tests.pytorch.real_runs import assert_same_bits, logged, train

pair_folder = real_runs.pair_folder  # a fixture


class Skips(Listener):
    """Keeps which iterations had no update."""

    def __init__(self) -> None:
        self.events: list[tuple[int, float, int]] = []

    def skipped(self, iteration: int, loss_scale: float, count: int) -> None:
        self.events.append((iteration, loss_scale, count))


def test_the_scale_goes_the_way_of_torchs_grad_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_scale, "GROWTH_INTERVAL", 3)
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs, ours = torch.amp.GradScaler("cpu", growth_interval=3), LossScale()
    for step, overflows in enumerate([0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0]):
        grad = torch.tensor([1.0 + step, float("inf") if overflows else 2.0])
        weight.grad = grad.clone()
        theirs.scale(torch.zeros(()))  # makes its scale tensor
        theirs.unscale_(optimizer)
        assert ours.unscale([grad]) != overflows
        assert torch.equal(grad, weight.grad)
        ours.back_off() if overflows else ours.grow()
        theirs.step(optimizer)
        theirs.update()
        assert ours.scale == theirs.get_scale()
        assert ours.good_steps == theirs.state_dict()["_growth_tracker"]
    assert ours.skipped == 3


@pytest.mark.parametrize("setting", ["", "iter_size: 3", "clip_gradients: 0.1"])
def test_the_gradients_of_an_update_are_those_of_fp32(run_folder: Path, setting: str) -> None:
    path = run_folder / "solver.prototxt"
    path.write_text(path.read_text() + setting)
    weights = {}
    for precision in ("fp32", "fp16"):
        solver = netspec.Solver(path, precision=precision)
        if solver.loss_scale:
            solver.loss_scale.scale = 1024.0
        solver.step(1)
        assert not solver.loss_scale or solver.loss_scale.good_steps == 1
        weights[precision] = solver.updater.history
    for narrow, wide in zip(weights["fp16"], weights["fp32"], strict=True):
        assert torch.allclose(narrow, wide, rtol=0.02, atol=2e-4)
    assert any(map(torch.ne, weights["fp16"][0].flatten(), weights["fp32"][0].flatten()))


def test_an_overflow_leaves_weights_and_history_as_they_were(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_scale, "INITIAL_SCALE", 2.0**40)
    path = run_folder / "solver.prototxt"
    path.write_text(path.read_text() + "snapshot_diff: true")
    heard = Skips()
    solver = netspec.Solver(path, precision="fp16", listener=heard)
    learned = [blob for blob in solver.updater.blobs if isinstance(blob, torch.nn.Parameter)]
    before = [blob.clone() for blob in learned]
    solver.step(2)
    assert solver.iter == 2
    assert heard.events == [(0, 2.0**39, 1), (1, 2.0**38, 2)]
    assert all(map(torch.equal, learned, before))
    changes = solver.updater.changes or []
    assert changes
    assert not any(tensor.any() for tensor in (*solver.updater.history, *changes))
    solver.loss_scale.scale = 256.0
    solver.step(1)
    assert len(heard.events) == 2
    assert not any(map(torch.equal, learned, before))


def test_a_run_in_fp16_goes_on_bit_for_bit(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_scale, "GROWTH_INTERVAL", 4)
    path = run_folder / "solver.prototxt"
    whole = netspec.Solver(path, precision="fp16")
    whole.step(12)
    saved = json.loads((run_folder / "snap_iter_6.solverstate.json").read_text())
    assert saved["precision"] == "fp16"
    assert saved["loss_scale"]["skipped"]
    assert whole.loss_scale.skipped > saved["loss_scale"]["skipped"]
    again = netspec.Solver(path)
    again.restore(run_folder / "snap_iter_6.solverstate")
    assert again.precision == "fp16"
    assert again.loss_scale.state == saved["loss_scale"]
    again.step(6)
    assert again.loss_scale.state == whole.loss_scale.state
    expected = whole.module.state_dict()
    for name, value in again.module.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert again.test() == whole.test()


PYTHON = 'layer { name: "p" type: "Python" python_param { module: "own" layer: "Loss" } %s }'
FIXED = """
import caffe
class Loss(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top): top[0].data[...] = bottom[0].data
    def backward(self, top, down, bottom): bottom[0].diff[...] = 1
"""
RECURRENT = """
layer { include { phase: TRAIN } name: "rows" type: "Reshape" bottom: "data" top: "rows"
  reshape_param { shape { dim: 4 dim: 1 dim: -1 } } }
layer { include { phase: TRAIN } name: "p" type: "Lstm" bottom: "rows" top: "p"
  lstm_param { num_output: 2 %s } }
layer { include { phase: TRAIN } name: "mean" type: "Reduction" bottom: "p" top: "mean"
  loss_weight: 1 }
"""


@pytest.mark.parametrize(
    ("layers", "is_refused"),
    [
        (PYTHON % 'bottom: "ip" top: "own" loss_weight: 1', True),
        (PYTHON % 'bottom: "data" top: "own"', False),  # no gradient passes it
        (RECURRENT % "clipping_threshold: 0.1", True),
        (RECURRENT % "", False),
    ],
)
def test_layers_that_keep_the_scale_for_themselves(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, layers: str, is_refused: bool
) -> None:
    monkeypatch.chdir(run_folder)
    (run_folder / "own.py").write_text(FIXED)
    net = run_folder / "net.prototxt"
    net.write_text(net.read_text() + layers)
    options = {"allow_python_layers": True, "precision": "fp16"}
    if not is_refused:
        assert netspec.Solver("solver.prototxt", **options).loss_scale is not None
        return
    with pytest.raises(NetspecError, match=r"precision fp16: layer 'p' .* loss scale"):
        netspec.Solver("solver.prototxt", **options)


def test_gradients_that_no_scale_helps_end_the_run(run_folder: Path) -> None:
    """sqrt(0) has a value, and no gradient."""
    net = run_folder / "net.prototxt"
    net.write_text(
        net.read_text()[: net.read_text().index('layer { name: "conv"')]
        + """
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 1 } }
layer { name: "root" type: "Power" bottom: "ip" top: "root" power_param { power: 0.5 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "root" bottom: "label" top: "loss" }
"""
    )
    solver = netspec.Solver(run_folder / "solver.prototxt", precision="fp16")
    with pytest.raises(NetspecError, match="not finite at iteration 30, whatever") as caught:
        solver.step(100)
    (fault,) = caught.value.diagnostics
    assert "layer 'ip' (InnerProduct) is the last whose params" in fault.notes[0].message


def test_a_loss_that_is_not_finite_still_ends_the_run(run_folder: Path) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt", precision="fp16")
    with torch.no_grad():
        solver.module.params["ip"][1].fill_(float("nan"))
    with pytest.raises(NetspecError, match="the loss is nan at iteration 0"):
        solver.step(1)
    assert not solver.loss_scale.skipped


def test_the_logs_say_how_often(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(loss_scale, "INITIAL_SCALE", 2.0**40)
    log, caffe_log = run_folder / "run.jsonl", run_folder / "run.log"
    arguments = ["train", str(run_folder / "solver.prototxt"), "--precision", "fp16"]
    arguments += ["--max-iter", "3", "--log", str(log), "--caffe-log", str(caffe_log)]
    assert main(arguments) == 0
    events = logged(log, "skipped")
    assert [(event["iter"], event["loss_scale"]) for event in events] == [
        (i, 2.0 ** (39 - i)) for i in range(3)
    ]
    assert "Iteration 2, update skipped (3 in all), scale = 1.37439e+11" in caffe_log.read_text()
    assert "3 of 3 updates skipped: their gradients overflow in fp16" in capsys.readouterr().out


def test_another_precision_is_warned_of(run_folder: Path, capsys: pytest.CaptureFixture) -> None:
    solver = str(run_folder / "solver.prototxt")
    assert main(["train", solver, "--precision", "bf16", "--max-iter", "6"]) == 0
    capsys.readouterr()
    assert main(["train", solver, "--resume", "--max-iter", "8"]) == 0
    captured = capsys.readouterr()
    assert "on cpu, bf16" in captured.out
    assert "computed in" not in captured.err
    assert main(["train", solver, "--resume", "--max-iter", "10", "--precision", "fp32"]) == 0
    captured = capsys.readouterr()
    assert "the run before computed in bf16, this one goes on in fp32" in captured.err
    assert "bf16" not in captured.out


@pytest.mark.parametrize(
    "damage",
    [
        {"precision": 5},
        {"loss_scale": 5},
        {"loss_scale": {"scale": 0, "good_steps": 0, "skipped": 0}},
        {"loss_scale": {"scale": 2.0, "good_steps": -1, "skipped": 0}},
        {"loss_scale": {"scale": 2.0}},
    ],
)
def test_a_damaged_scale_is_reported(run_folder: Path, damage: dict) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt", precision="fp16")
    state = solver.snapshot()
    path = Path(f"{state}.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(NetspecError, match="is damaged"):
        solver.restore(state)


def test_a_snapshot_of_a_precision_that_the_device_lacks(run_folder: Path) -> None:
    state = netspec.Solver(run_folder / "solver.prototxt").snapshot()
    path = Path(f"{state}.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"precision": "tf32"}))
    with pytest.raises(NetspecError, match="tf32: a CPU computes in fp32, bf16 or fp16"):
        netspec.Solver(run_folder / "solver.prototxt").restore(state)
    netspec.Solver(run_folder / "solver.prototxt", precision="fp32").restore(state)


@pytest.mark.slow
def test_two_processes_skip_alike(pair_folder: Path) -> None:
    """And a pair that is resumed goes on bit for bit."""
    arguments = ["--nproc", "2", "--precision", "fp16", "--log"]
    whole, parts = pair_folder / "whole.jsonl", pair_folder / "parts.jsonl"
    prefix = [f"--snapshot-prefix={pair_folder / name}" for name in ("whole", "parts")]
    train(pair_folder, *arguments, str(whole), prefix[0])
    train(pair_folder, *arguments, str(parts), prefix[1], "--max-iter", "6")
    train(pair_folder, "--nproc", "2", "--resume", "--log", str(parts), prefix[1])
    assert_same_bits(pair_folder, "whole", "parts", 12)
    skips = [[event["iter"] for event in logged(path, "skipped")] for path in (whole, parts)]
    assert skips[0]
    assert skips[0] == skips[1]
