"""Convolution over one to three spatial axes with torch's own modules, over more with theirs in turn."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from netspec.graph import Layer
from netspec.layers.window import Window, window_of

_MODULES = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_FUNCTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class ConvolutionND(nn.Module):
    """Convolution where torch has no module: a channel axis other than 1, or more than three spatial axes."""

    def __init__(self, weight_shape: tuple[int, ...], bias: bool, window: Window, group: int, axis: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(weight_shape))
        self.bias = nn.Parameter(torch.empty(weight_shape[0])) if bias else None
        self.window, self.group, self.axis = window, group, axis

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, {self.window}, group={self.group}, axis={self.axis}"

    def forward(self, x: Tensor) -> Tensor:
        leading = x.shape[: self.axis]
        y = convolve(x.reshape(-1, *x.shape[self.axis :]), self.weight, self.bias, self.window, self.group)
        return y.reshape(*leading, *y.shape[1:])


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, group: int) -> Tensor:
    """Convolution over any number of spatial axes. Beyond three, the first is summed over its kernel's places.

    Shapes: x (N, C, …), weight (out, C/group, …).
    """
    axes = x.dim() - 2
    if axes <= 3:
        return _FUNCTIONS[axes](x, weight, bias, window.stride, window.pad, window.dilation, group)
    rest = Window(window.kernel[1:], window.stride[1:], window.pad[1:], window.dilation[1:])
    x = F.pad(x, (0, 0) * (axes - 1) + (window.pad[0], window.pad[0]))
    places = (x.shape[2] - window.extent(0)) // window.stride[0] + 1
    total: Tensor | None = None
    for k in range(window.kernel[0]):
        start = k * window.dilation[0]
        taken = x[:, :, start : start + (places - 1) * window.stride[0] + 1 : window.stride[0]].movedim(2, 1)
        part = convolve(taken.reshape(-1, *taken.shape[2:]), weight[:, :, k], None, rest, group)
        part = part.reshape(x.shape[0], places, *part.shape[1:]).movedim(1, 2)
        total = part if total is None else total + part
    assert total is not None
    return total if bias is None else total + bias.reshape(-1, *[1] * axes)


def build_convolution(layer: Layer) -> nn.Module:
    p = layer.message.convolution_param
    bottom, weight = layer.bottom_blobs[0].shape or (), layer.params[0].shape
    axes = len(weight) - 2
    window = window_of(p, axes)
    axis = p.axis % len(bottom)
    if axis != 1 or axes not in _MODULES:
        return ConvolutionND(weight, p.bias_term, window, p.group, axis)
    return _MODULES[axes](
        bottom[1], p.num_output, window.kernel, window.stride, window.pad, window.dilation, groups=p.group, bias=p.bias_term
    )


def emit_for_each(graph: fx.Graph, layer: Layer, target: str, bottoms: list[fx.Node]) -> list[fx.Node]:
    """Each bottom goes through the same weights to its own top."""
    return [graph.call_module(target, (bottom,)) for bottom in bottoms]


BUILDERS = {"Convolution": build_convolution}
EMITTERS = {"Convolution": emit_for_each}
