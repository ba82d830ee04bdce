"""Small nets for mobile devices: MobileNet, ShuffleNet, SENet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.layers.window import window_of
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.convolution import (
    ConvolutionND,
    build_convolution,
    convolution_module,
    emit_for_each,
)
from netspec.pytorch.layers.layer_module import LayerModule


class ShuffleChannel(LayerModule):
    """Interleaves groups of channels.

    Shapes: (N, C, H, W), of which the last ones may be missing → (N, C, H, W).
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def extra_repr(self) -> str:
        return f"group={self.group}"

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(*x.shape, *[1] * (4 - x.dim()))
        if self.group == 1:
            return x
        return torch.channel_shuffle(x, self.group)


class Axpy(LayerModule):
    """a · x + y.

    Shapes: a (N, C) or (N, C, 1, 1), x and y (N, C, …).
    """

    def forward(self, a: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return torch.addcmul(y, a.reshape(*x.shape[:2], *[1] * (x.dim() - 2)), x)


class _LeakyReLU6(torch.autograd.Function):
    """min(max(x, 0) + slope · min(x, 0), 6).

    The gradient asks x for the upper edge, whatever a slope below 0 makes of it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return nn.functional.leaky_relu(x, slope).clamp_(max=6)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return leaky_relu6_gradient(grad, x, ctx.slope), None


def leaky_relu6_gradient(grad: Tensor, x: Tensor, slope: float) -> Tensor:
    return torch.where(x > 0, grad, grad * slope).mul_(x < 6)


class LeakyReLU6(LayerModule):
    """A ReLU6 with a slope below 0."""

    def __init__(self, negative_slope: float) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope:g}"

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = _LeakyReLU6.apply(x, self.negative_slope)
        return result


class _HardSwish(torch.autograd.Function):
    """x · min(max(x + 3, 0), 6) / 6, whose slope at -3 and 3 themselves is (2x + 3) / 6."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return nn.functional.hardswish(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        slope = x.mul(1 / 3).add_(0.5)
        return slope.masked_fill_(x < -3, 0).masked_fill_(x > 3, 1).mul_(grad)


class HardSwish(LayerModule):
    """x · min(max(x + 3, 0), 6) / 6."""

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = _HardSwish.apply(x)
        return result


class _HardSigmoid(torch.autograd.Function):
    """min(max(0.2 · x + 0.5, 0), 1), with a gradient of 0.2 everywhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.mul(0.2).add_(0.5).clamp_(0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * 0.2


class HardSigmoid(LayerModule):
    """min(max(0.2 · x + 0.5, 0), 1)."""

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = _HardSigmoid.apply(x)
        return result


def build_convolution_depthwise(layer: Layer) -> nn.Module:
    p, weight = layer.message.convolution_param, layer.params[0].shape
    window, channels = window_of(p, 2), weight[0]
    if 0 in window.dilation:
        return ConvolutionND(weight, channels, p.bias_term, window, channels, 1)
    return convolution_module(channels, channels, window, channels, p.bias_term)


def build_shuffle_channel(layer: Layer) -> nn.Module:
    return ShuffleChannel(layer.field("shuffle_channel_param").group)


def build_relu6(layer: Layer) -> nn.Module:
    slope = layer.field("relu6_param").negative_slope
    return LeakyReLU6(slope) if slope else nn.ReLU6()


def _relu6_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return leaky_relu6_gradient(grad, bottom, getattr(module, "negative_slope", 0.0))


BUILDERS: dict[str, Builder] = {
    "DepthwiseConvolution": Builder(build_convolution, emit_for_each, leaves_top=always),
    "ConvolutionDepthwise": Builder(build_convolution_depthwise, leaves_top=always),
    "ShuffleChannel": Builder(build_shuffle_channel),
    "Axpy": Builder(lambda layer: Axpy(), leaves_top=always),
    "ReLU6": Builder(build_relu6, gradient=_relu6_gradient),
    "HardSwish": Builder(lambda layer: HardSwish()),
    "HardSigmoid": Builder(lambda layer: HardSigmoid(), leaves_top=always),
    "Mish": Builder(lambda layer: nn.Mish()),
}
