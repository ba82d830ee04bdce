"""Convolutions and dense layers in 16 bits: what is narrow, what stays fp32, what is refused."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest
import torch

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.pytorch.precision import set_precision
from netspec.pytorch.time_layers import time_layers
from netspec.weights.files import read_weights

ROOT = Path(netspec.__file__).parents[1]
BRANCHES = """
name: "Branches"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn"
  scale_param { filler { value: 2 } bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "one" type: "Convolution" bottom: "bn" top: "one" param { name: "w" }
  convolution_param { num_output: 4 kernel_size: 1 bias_term: false
    weight_filler { type: "xavier" } } }
layer { name: "two" type: "Convolution" bottom: "bn" top: "two" param { name: "w" }
  convolution_param { num_output: 4 kernel_size: 1 bias_term: false
    weight_filler { type: "xavier" } } }
layer { name: "norm" type: "LRN" bottom: "one" top: "norm" }
layer { name: "cat" type: "Concat" bottom: "norm" bottom: "two" top: "cat" }
layer { name: "ip" type: "InnerProduct" bottom: "cat" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
layer { name: "log" type: "Power" bottom: "ip" top: "twice" power_param { scale: 2 } }
"""


NARROW = [("bf16", torch.bfloat16), ("fp16", torch.float16)]


def seen_types(module: torch.nn.Module, *inputs: torch.Tensor) -> dict[str, tuple]:
    """Of each submodule the types of its first bottom and its top."""
    seen: dict[str, tuple] = {}
    for name, submodule in module.named_children():
        submodule.register_forward_hook(
            lambda _, bottoms, top, name=name: seen.update({name: (bottoms[0].dtype, top.dtype)})
        )
    seen["outputs"] = tuple({value.dtype for value in module(*inputs).values()})
    return seen


@pytest.mark.parametrize(("precision", "narrow"), NARROW)
def test_weights_are_narrow_and_sums_are_wide(
    load_text, precision: str, narrow: torch.dtype
) -> None:
    wide = torch.float32
    module = netspec.compile(load_text(BRANCHES), seed=1)
    for blob in module.params["bn"][1:]:
        blob.fill_(1)
    data = torch.randn(2, 3, 9, 9)
    expected = module(data)
    set_precision(module, precision, "cpu")
    got = module(data)
    assert all(value.dtype == wide for value in (*got.values(), *module.parameters()))
    for name, value in expected.items():
        assert torch.allclose(got[name], value, rtol=0.05, atol=0.05)
        assert not torch.equal(got[name], value)
    seen = seen_types(module, data)
    assert seen["conv"] == seen["one"] == seen["two"] == seen["ip"] == (narrow, narrow)
    assert (seen["bn"], seen["norm"]) == ((narrow, narrow), (narrow, narrow))
    assert seen["scale"] == seen["prob"] == seen["log"] == (wide, wide)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_gradients_reach_the_params_in_fp32(load_text, precision: str) -> None:
    module = netspec.compile(load_text(BRANCHES), seed=1)
    for blob in module.params["bn"][1:]:  # a variance of 0 would make it more than fp16 holds
        blob.fill_(1)
    set_precision(module, precision, "cpu")
    for parameter in module.parameters():
        parameter.requires_grad_()
    sum(value.square().sum() for value in module(torch.randn(2, 3, 9, 9)).values()).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32, name
        assert parameter.grad.isfinite().all(), name


def test_a_copy_and_a_pickle_compute_the_same(load_text) -> None:
    module = netspec.compile(load_text(BRANCHES), seed=1)
    set_precision(module, "bf16", "cpu")
    data = torch.randn(2, 3, 9, 9)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert list(other.state_dict()) == list(module.state_dict())
        assert all(torch.equal(other(data)[name], value) for name, value in module(data).items())


def test_each_layer_is_timed_in_it(load_text) -> None:
    times = time_layers(load_text(BRANCHES), "cpu", 1, lambda index, seconds: None, "bf16")
    assert all(layer.forward > 0 for layer in times.layers if layer.layer.type != "Input")


@pytest.mark.parametrize("command", ["train", "test", "time"])
def test_what_the_cpu_lacks_is_refused(
    command: str, run_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    net, weights = run_folder / "net.prototxt", run_folder / "w.safetensors"
    netspec.save_weights(netspec.compile(net), weights)
    words = {"train": [run_folder / "solver.prototxt"], "test": [net, weights], "time": [net]}
    arguments = [command, *map(str, words[command]), "--cpu", "--precision", "tf32"]
    assert main(arguments) == 1
    assert "precision tf32: a CPU computes in fp32, bf16 or fp16" in capsys.readouterr().err


def test_a_torch_without_fp16_on_the_cpu_is_told(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def conv2d(*_: object) -> None:
        raise RuntimeError("\"slow_conv2d_cpu\" not implemented for 'Half'")

    monkeypatch.setattr(torch.nn.functional, "conv2d", conv2d)
    with pytest.raises(NetspecError, match="fp16: this torch has no convolutions in it for a CPU"):
        netspec.Solver(run_folder / "solver.prototxt", precision="fp16")


def test_a_precision_that_does_not_exist(run_folder: Path) -> None:
    with pytest.raises(NetspecError, match="fp32, bf16, fp16 or tf32, got 'int8'"):
        netspec.Solver(run_folder / "solver.prototxt", precision="int8")


def test_a_run_in_bf16_goes_on_bit_for_bit(run_folder: Path) -> None:
    path = run_folder / "solver.prototxt"
    whole = netspec.Solver(path, precision="bf16")
    whole.step(12)
    expected = {name: value.clone() for name, value in whole.module.state_dict().items()}
    saved = read_weights(run_folder / "snap_iter_6.caffemodel")
    assert all(blob.dtype == "float32" for blobs in saved.values() for blob in blobs)
    again = netspec.Solver(path, precision="bf16")
    again.restore(run_folder / "snap_iter_6.solverstate")
    again.step(6)
    for name, value in again.module.state_dict().items():
        assert torch.equal(value, expected[name]), name
    single = netspec.Solver(path)
    single.step(12)
    assert not torch.equal(single.module.state_dict()["conv.weight"], expected["conv.weight"])


@pytest.mark.parametrize("has_unit", [True, False])
def test_a_cpu_that_gains_nothing_is_told(
    has_unit: bool, run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_unit)
    options = ["--cpu", "--precision", "bf16", "--iterations", "1"]
    assert main(["time", str(run_folder / "net.prototxt"), *options]) == 0
    assert ("no matrix unit" in capsys.readouterr().err) != has_unit


def test_the_run_says_its_precision(run_folder: Path, capsys: pytest.CaptureFixture) -> None:
    solver, log = str(run_folder / "solver.prototxt"), run_folder / "run.jsonl"
    assert main(["train", solver, "--precision", "bf16", "--log", str(log)]) == 0
    assert "on cpu, bf16" in capsys.readouterr().out
    assert json.loads(log.read_text().splitlines()[0])["precision"] == "bf16"


def test_a_module_is_compiled_in_it(load_text) -> None:
    net, data = load_text(BRANCHES), torch.randn(2, 3, 9, 9)
    module = netspec.compile(net, seed=1, precision="bf16")
    assert seen_types(module, data)["conv"] == (torch.bfloat16, torch.bfloat16)
    with pytest.raises(NetspecError, match="tf32: a CPU computes in fp32, bf16 or fp16"):
        netspec.compile(net, precision="tf32")
    with pytest.raises(NetspecError, match="got 'int8'"):
        netspec.compile(net, precision="int8")


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_a_module_that_need_not_be_exact(run_folder: Path, phase: str) -> None:
    """Folded for TEST, and the report of its weights goes along."""
    path, weights = run_folder / "net.prototxt", run_folder / "w.safetensors"
    plain = netspec.compile(path, phase, seed=1)
    plain.params["bn"][1].fill_(0.5)
    plain.params["bn"][2].fill_(1)
    netspec.save_weights(plain, weights)
    fast = netspec.compile(path, phase, weights=weights, exact=False)
    assert fast.load_report is not None
    assert "conv" in fast.load_report.loaded
    assert ("bn" in fast.params) == (phase == "TRAIN")
    inputs = torch.randn(4, 1, 6, 6), torch.zeros(4)
    torch.manual_seed(1)
    expected = plain(*inputs)
    torch.manual_seed(1)
    assert torch.allclose(fast(*inputs)["loss"], expected["loss"], rtol=1e-4)


def test_its_planes_lie_channels_last_unless_exact(load_text) -> None:
    net = load_text(BRANCHES[: BRANCHES.index('layer { name: "norm"')])
    assert netspec.compile(net).params["conv"][0].stride() == (27, 9, 3, 1)
    assert netspec.compile(net, exact=False).params["conv"][0].stride() == (27, 1, 9, 3)


# models/mnist_alexnet/solver.prototxt, its rate's drop and its end at a quarter of theirs
MNIST_SOLVER = """
net: "{root}/models/mnist_alexnet/train_val.prototxt" type: "Adam"
base_lr: 0.001 momentum: 0.9 momentum2: 0.999 lr_policy: "multistep" gamma: 0.1 stepvalue: 150
max_iter: 200 test_iter: 6 test_interval: 1000 test_initialization: false
random_seed: 1 solver_mode: CPU snapshot_after_train: false
"""


@pytest.mark.slow
def test_training_in_bf16_is_as_accurate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of the last five tests, of 360 sample digits each; three minutes of a core."""
    monkeypatch.chdir(tmp_path)
    assert main(["dataset", "sample", "--only", "mnist_alexnet"]) == 0
    Path("solver.prototxt").write_text(MNIST_SOLVER.format(root=ROOT))
    accuracy = {}
    for precision in ("fp32", "bf16"):
        solver = netspec.Solver("solver.prototxt", precision=precision)
        solver.step(150)
        tests = []
        for _ in range(5):
            solver.step(10)
            tests.append(solver.test()[0]["accuracy"][0])
        accuracy[precision] = sum(tests) / len(tests)
    assert accuracy["fp32"] > 0.95
    assert accuracy["bf16"] >= accuracy["fp32"] - 0.005, accuracy
