"""--compile: the same numbers and names, and what is missing for it is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.pytorch import compiled_pass
from netspec.pytorch.compiled_pass import CompiledPass
from netspec.weights.files import read_weights

CPU = torch.device("cpu")
OVERWRITTEN = """
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 3 } }
layer { name: "act" type: "Sigmoid" bottom: "y" top: "y" }
layer { name: "twice" type: "Scale" bottom: "y" top: "y" scale_param { filler { value: 2 } } }
layer { name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """torch.compile as a list of what it is called with; it compiles nothing."""
    calls: list[Any] = []

    def compile(module: torch.nn.Module, **options: Any) -> Callable[..., Any]:
        def call(*inputs: torch.Tensor) -> Any:
            calls.append(module)
            return module(*inputs)

        return call

    monkeypatch.setattr(torch, "compile", compile)
    return calls


def test_training_and_tests_go_through_it(run_folder: Path, fake: list[Any]) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt", compile=True)
    solver.solve()
    (test_module,) = solver.test_modules
    assert fake.count(solver.module) == 13  # and one more pass for the last loss
    assert fake.count(test_module) == 3 * 2
    assert len(fake) == 13 + 6


def test_the_commands_say_so(
    run_folder: Path, fake: list[Any], capsys: pytest.CaptureFixture
) -> None:
    net, log = str(run_folder / "net.prototxt"), run_folder / "run.jsonl"
    arguments = ["train", str(run_folder / "solver.prototxt"), "--compile", "--log", str(log)]
    assert main(arguments) == 0
    assert "on cpu, compiled" in capsys.readouterr().out
    assert json.loads(log.read_text().splitlines()[0])["compile"] is True
    count = len(fake)
    weights = str(run_folder / "snap_iter_12.caffemodel")
    assert main(["test", net, weights, "--iterations", "2", "--compile"]) == 0
    assert len(fake) == count + 2
    assert main(["time", net, "--iterations", "2", "--compile", "--format", "json"]) == 0
    assert len(fake) == count + 2 + 3
    assert main(["test", net, weights, "--oversample", "--compile"]) == 2


@pytest.mark.parametrize("command", ["train", "test", "time"])
def test_without_a_compiler_it_is_refused(
    command: str, run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    net, weights = run_folder / "net.prototxt", run_folder / "w.safetensors"
    netspec.save_weights(netspec.compile(net), weights)
    monkeypatch.setenv("CXX", "no-such-compiler")
    words = {"train": [run_folder / "solver.prototxt"], "test": [net, weights], "time": [net]}
    assert main([command, *map(str, words[command]), "--cpu", "--compile"]) == 1
    message = "--compile needs the C++ compiler 'no-such-compiler' (CXX names another)"
    assert message in capsys.readouterr().err


def test_without_pythons_headers_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, load_text: Callable[..., Net], tmp_path: Path
) -> None:
    module = netspec.compile(load_text(OVERWRITTEN))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(NetspecError, match=r"Python's headers: '.*/Python.h' does not exist"):
        CompiledPass(module, CPU)


def test_a_gradient_of_overwritten_memory_is_refused(load_text: Callable[..., Net]) -> None:
    module = netspec.compile(load_text(OVERWRITTEN), phase="TEST")
    CompiledPass(module, CPU)
    with pytest.raises(NetspecError, match=r"layer 'act': torch.compile can't differentiate"):
        CompiledPass(module, CPU, learns=True)


def test_faults_of_the_data_and_of_torch(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code finds an index out of bounds, but not whose it is."""
    net = run_folder / "net.prototxt"
    net.write_text(net.read_text().replace("num_output: 3", "num_output: 2"))
    fault: Exception = RuntimeError("index out of bounds: 0 <= tmp8 < 2L")

    def call(*_: torch.Tensor) -> None:
        raise fault

    monkeypatch.setattr(torch, "compile", lambda module, **_: call)
    solver = netspec.Solver(run_folder / "solver.prototxt", compile=True)
    with pytest.raises(NetspecError, match="item 2 of the batch has label 2") as caught:
        solver.test()
    assert "record 2" in caught.value.diagnostics[0].notes[0].message
    fault = BackendCompilerFailed(lambda: None, ValueError("no such node"), None)  # type: ignore
    with pytest.raises(NetspecError, match=r"torch.compile fails on this net: .*no such node"):
        solver.test()


@pytest.mark.parametrize(
    ("layer", "adds_up", "has_graphs"),
    [
        ('type: "InnerProduct" bottom: "x" inner_product_param { num_output: 3 }', False, True),
        ('type: "InnerProduct" bottom: "x" inner_product_param { num_output: 3 }', True, False),
        (
            'type: "LSTM" bottom: "x" bottom: "cont" recurrent_param { num_output: 3 }',
            False,
            False,
        ),
    ],
)
def test_what_is_read_later_is_in_no_cuda_graph(
    load_text: Callable[..., Net],
    monkeypatch: pytest.MonkeyPatch,
    layer: str,
    adds_up: bool,
    has_graphs: bool,
) -> None:
    monkeypatch.setattr(compiled_pass, "require_compiler", lambda device: None)
    inputs = """layer { name: "data" type: "Input" top: "x" top: "cont"
      input_param { shape { dim: 4 dim: 2 dim: 3 } shape { dim: 4 dim: 2 } } }"""
    module = netspec.compile(load_text(inputs + f'layer {{ name: "y" top: "y" {layer} }}'))
    compiled = CompiledPass(module, torch.device("cuda"), adds_up=adds_up)
    assert compiled.has_graphs == has_graphs


def test_a_fault_of_torch_in_the_backward_pass(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch compiles that pass when it first runs."""

    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, loss: torch.Tensor) -> torch.Tensor:
            return loss.clone()

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            raise BackendCompilerFailed(lambda: None, ValueError("no such node"), None)  # type: ignore

    def compile(module: torch.nn.Module, **_: Any) -> Callable[..., Any]:
        return lambda *inputs: {
            name: Failing.apply(top) if top.requires_grad else top
            for name, top in module(*inputs).items()
        }

    monkeypatch.setattr(torch, "compile", compile)
    solver = netspec.Solver(run_folder / "solver.prototxt", compile=True)
    with pytest.raises(NetspecError, match=r"torch.compile fails on this net: .*no such node"):
        solver.step(1)


@pytest.mark.parametrize(("compile", "hint"), [(True, False), (False, True)])
def test_checkpointing_is_advised_where_it_can_be_had(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, compile: bool, hint: bool
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(netspec.Solver, "solve", full)
    options = netspec.RunOptions(compile=compile)
    with pytest.raises(NetspecError, match="does not suffice") as caught:
        netspec.train(run_folder / "solver.prototxt", options)
    assert ("--checkpoint auto" in str(caught.value)) == hint


@pytest.mark.slow
def test_a_compiled_run_has_the_numbers_and_the_names_of_any(run_folder: Path) -> None:
    """With dropout; and it goes on bit for bit. The compiler works for minutes."""
    path = run_folder / "solver.prototxt"
    plain = netspec.Solver(path)
    plain.step(6)
    expected = read_weights(run_folder / "snap_iter_6.caffemodel")
    whole = netspec.Solver(path, compile=True)
    assert list(whole.module.state_dict()) == list(plain.module.state_dict())
    whole.step(6)
    for (name, value), other in zip(
        whole.module.state_dict().items(), plain.module.state_dict().values(), strict=True
    ):
        assert torch.allclose(value, other, rtol=1e-3, atol=1e-5), name
    got = read_weights(run_folder / "snap_iter_6.caffemodel")
    assert list(got) == list(expected)
    assert whole.test()[0]["loss"] == pytest.approx(plain.test()[0]["loss"], rel=1e-4)
    whole.step(2)
    again = netspec.Solver(path, compile=True)
    again.restore(run_folder / "snap_iter_6.solverstate")
    again.step(2)
    for name, value in again.module.state_dict().items():
        assert torch.equal(value, whole.module.state_dict()[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_compiled_in_16_bits(run_folder: Path, precision: str) -> None:
    losses = []
    for compile in (False, True):
        solver = netspec.Solver(
            run_folder / "solver.prototxt", precision=precision, compile=compile
        )
        losses.append([float(solver.step(1)["loss"]) for _ in range(3)])
    assert losses[1] == pytest.approx(losses[0], rel=0.03)
