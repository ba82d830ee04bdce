"""Regions of a net that repeat, compiled once: what they compute, how many there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

import netspec
from netspec.graph import Net
from netspec.pytorch.repeated_regions import by_regions

HEAD = """
layer { name: "data" type: "Input" top: "r0" input_param { shape { dim: 2 dim: 4 dim: 5 dim: 5 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
"""
BLOCK = """
layer { name: "c@" type: "Convolution" bottom: "r<" top: "c@" convolution_param { num_output: 4
  kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "n@" type: "BatchNorm" bottom: "c@" top: "c@" }
layer { name: "a@" type: "ReLU" bottom: "c@" top: "c@" }
layer { name: "d@" type: "Dropout" bottom: "c@" top: "c@" }
layer { name: "r@" type: "Eltwise" bottom: "r<" bottom: "c@" top: "r@" }
"""
TAIL = """
layer { name: "ip" type: "InnerProduct" bottom: "r<" top: "ip" inner_product_param { num_output: 3
  weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def blocks(count: int, change: tuple[str, str] = ("", ""), at: int = 0) -> str:
    """A net of residual blocks, one of which is changed."""
    text = HEAD
    for i in range(1, count + 1):
        block = BLOCK.replace("@", str(i)).replace("<", str(i - 1))
        text += block.replace(*change) if i == at else block
    return text + TAIL.replace("<", str(count))


class Compiler:
    """Counts what it is given, and compiles nothing."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        self.count += 1
        return forward


def trained(module: torch.nn.Module, run: Callable[..., Any]) -> list[torch.Tensor]:
    """The outputs, the gradients and the buffers after a pass."""
    torch.manual_seed(1)
    data = torch.randn(2, 4, 5, 5)
    outputs = run(data, torch.tensor([0.0, 2.0]))
    outputs["loss"].backward()
    grads = [param.grad for param in module.parameters() if param.grad is not None]
    return [*outputs.values(), *grads, *module.buffers()]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_five_blocks_are_compiled_once(load_text: Callable[..., Net], precision: str) -> None:
    net = load_text(blocks(5), phase="TRAIN")
    whole, parts = (netspec.compile(net, seed=1, precision=precision) for _ in range(2))
    compiler = Compiler()
    by = by_regions(parts, compiler)
    assert by is not None
    assert len([node for node in by.graph.nodes if node.op == "call_module"]) >= 5
    assert compiler.count <= 3  # the blocks, and what stands before and behind them
    for got, expected in zip(trained(parts, by), trained(whole, whole), strict=True):
        assert torch.equal(got, expected)
    assert list(parts.state_dict()) == list(whole.state_dict())


@pytest.mark.parametrize(
    "change",
    [
        ("pad: 1", "pad: 1 bias_term: false"),
        ("convolution_param", "param { lr_mult: 0 } convolution_param"),
        ('"BatchNorm"', '"BatchNorm" batch_norm_param { eps: 0.01 }'),
        ('"Dropout"', '"Dropout" dropout_param { dropout_ratio: 0.2 }'),
        ('type: "Eltwise"', 'type: "Eltwise" eltwise_param { operation: MAX }'),
    ],
)
def test_a_block_that_differs_stands_alone(
    load_text: Callable[..., Net], change: tuple[str, str]
) -> None:
    net = load_text(blocks(5, change, at=3), phase="TRAIN")
    whole, parts = (netspec.compile(net, seed=1) for _ in range(2))
    compiler = Compiler()
    by = by_regions(parts, compiler)
    assert by is not None
    assert compiler.count >= 3  # two blocks, the other, two blocks, what is behind them
    for got, expected in zip(trained(parts, by), trained(whole, whole), strict=True):
        assert torch.equal(got, expected)


def test_where_nothing_repeats_the_net_is_one_piece(load_text: Callable[..., Net]) -> None:
    module = netspec.compile(load_text(blocks(1), phase="TRAIN"))
    assert by_regions(module, Compiler()) is None


def test_a_blob_that_is_read_far_away_leaves_its_region(load_text: Callable[..., Net]) -> None:
    """Of one copy alone, and in place behind it."""
    text = blocks(4) + (
        'layer { name: "far" type: "Eltwise" bottom: "r2" bottom: "c3" top: "far" }\n'
        'layer { name: "far_relu" type: "ReLU" bottom: "far" top: "far" }'
    )
    net = load_text(text, phase="TRAIN")
    whole, parts = (netspec.compile(net, seed=1) for _ in range(2))
    by = by_regions(parts, Compiler())
    assert by is not None
    for got, expected in zip(trained(parts, by), trained(whole, whole), strict=True):
        assert torch.equal(got, expected)


@pytest.mark.slow
def test_torch_compiles_a_region_once(load_text: Callable[..., Net]) -> None:
    from torch._dynamo.utils import counters

    net = load_text(blocks(6), phase="TRAIN")
    whole, parts = (netspec.compile(net, seed=1) for _ in range(2))
    counters.clear()
    compile = partial(torch.compile, dynamic=False, backend="aot_eager")
    by = by_regions(parts, compile)
    assert by is not None
    got = trained(parts, by)
    assert counters["stats"]["unique_graphs"] <= 3
    assert not counters["graph_break"]
    for value, expected in zip(got, trained(whole, whole), strict=True):
        assert torch.allclose(value, expected, rtol=1e-4, atol=1e-5)
