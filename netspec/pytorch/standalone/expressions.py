"""Modules without params as the expression that a person writes: `F.relu(conv1)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from netspec.pytorch.fused_convolution import Fused
from netspec.pytorch.layers.arithmetic import EltwiseProduct, EltwiseSum
from netspec.pytorch.layers.lrn import LRN
from netspec.pytorch.layers.neuron import AbsVal
from netspec.pytorch.layers.shape import Concat, Slice
from netspec.pytorch.standalone.constructor import float_text, pair


def expression(module: nn.Module, bottoms: list[str]) -> str | None:
    """The call or the formula that gives what the module gives; None where it has no short one."""
    write = EXPRESSIONS.get(type(module))
    return write(module, *bottoms) if write is not None else None


def fused_text(module: Fused, convolved: str, summands: list[str]) -> str:
    """What a convolution does behind its own top, in torch's words."""
    text = " + ".join([convolved, *summands])
    if module.activation == "none":
        return text
    return f"F.{module.activation}({', '.join([text, *map(float_text, module.scalars)])})"


def _max_pool(module: Any, x: str) -> str:
    return f"F.max_pool2d({x}, {_window(module)})"


def _avg_pool(module: Any, x: str) -> str:
    return f"F.avg_pool2d({x}, {_window(module)})"


def _window(module: Any) -> str:
    parts = [pair(module.kernel_size)]
    if module.stride != module.kernel_size:
        parts.append(f"stride={pair(module.stride)}")
    if pair(module.padding) != "0":
        parts.append(f"padding={pair(module.padding)}")
    if module.ceil_mode:
        parts.append("ceil_mode=True")
    return ", ".join(parts)


def _sum(module: EltwiseSum, *bottoms: str) -> str | None:
    factors = module.coefficients or [1.0] * len(bottoms)
    text = ""
    for factor, bottom in zip(factors, bottoms, strict=True):
        sign = (" - " if factor < 0 else " + ") if text else ("-" if factor < 0 else "")
        size = abs(factor)
        text += sign + (bottom if size == 1 else f"{float_text(size)} * {bottom}")
    return text


def _product(module: EltwiseProduct, *bottoms: str) -> str | None:
    return " * ".join(bottoms) if module.stable_grad else None


def _lrn(module: LRN, x: str) -> str | None:
    if module.within_channel:
        return None
    settings = f"alpha={float_text(module.alpha)}, beta={float_text(module.beta)}"
    return f"F.local_response_norm({x}, {module.size}, {settings}, k={float_text(module.k)})"


def _slice(module: Slice, x: str) -> str:
    cuts = list(module.points) or module.tops
    return f"torch.tensor_split({x}, {cuts}, {module.axis})"


def _flatten(module: nn.Flatten, x: str) -> str:
    end = "" if module.end_dim == -1 else f", {module.end_dim}"
    return f"torch.flatten({x}, {module.start_dim}{end})"


# a formula's bottoms are names or calls, so that it needs no parentheses
EXPRESSIONS: dict[type, Callable[..., str | None]] = {
    nn.ReLU: lambda module, x: f"F.relu({x})",
    nn.ReLU6: lambda module, x: f"F.relu6({x})",
    nn.LeakyReLU: lambda module, x: f"F.leaky_relu({x}, {float_text(module.negative_slope)})",
    nn.ELU: lambda module, x: f"F.elu({x}, {float_text(module.alpha)})",
    nn.SiLU: lambda module, x: f"F.silu({x})",
    nn.Mish: lambda module, x: f"F.mish({x})",
    nn.Softplus: lambda module, x: f"F.softplus({x}, threshold={float_text(module.threshold)})",
    nn.Sigmoid: lambda module, x: f"torch.sigmoid({x})",
    nn.Tanh: lambda module, x: f"torch.tanh({x})",
    nn.Softmax: lambda module, x: f"F.softmax({x}, dim={module.dim})",
    nn.Flatten: _flatten,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveMaxPool2d: lambda module, x: f"F.adaptive_max_pool2d({x}, 1)",
    nn.AdaptiveAvgPool2d: lambda module, x: f"F.adaptive_avg_pool2d({x}, 1)",
    AbsVal: lambda module, x: f"{x}.abs()",
    Concat: lambda module, *bottoms: f"torch.cat([{', '.join(bottoms)}], {module.axis})",
    EltwiseSum: _sum,
    EltwiseProduct: _product,
    LRN: _lrn,
    Slice: _slice,
}
