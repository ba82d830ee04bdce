"""Convolution and deconvolution over any number of spatial axes.

Up to three axes are torch's own modules; more are computed with these in turn.
"""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from netspec.graph import Layer
from netspec.layers.window import Window, window_of
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.unfilled import unfilled

_FUNCTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED_MODULES: dict[int, type[nn.Module]] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
_TRANSPOSED_FUNCTIONS = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def pad_behind(x: Tensor, window: Window, axis: int) -> Tensor:
    """The input with zeros behind it where the kernel is wider, by less than a stride.

    Args: axis: the first spatial one.
    """
    if window.stride == (1,) * len(window.stride):
        return x
    margins = [window.overhang(x.shape[axis + i], i) for i in range(len(window.kernel))]
    return (
        F.pad(x, [margin for each in reversed(margins) for margin in (0, each)])
        if any(margins)
        else x
    )


class _PadsBehind(LayerModule):
    """Caffe's rule of sizes on top of torch's convolutions, see `convolved_size`."""

    window: Window

    def forward(self, x: Tensor) -> Tensor:
        top: Tensor = super().forward(pad_behind(x, self.window, 2))
        return top


class Conv1d(_PadsBehind, nn.Conv1d):
    """Conv1d with strides."""


class Conv2d(_PadsBehind, nn.Conv2d):
    """Conv2d with strides."""


class Conv3d(_PadsBehind, nn.Conv3d):
    """Conv3d with strides."""


_MODULES: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_STRIDED_MODULES: dict[int, type[nn.Module]] = {1: Conv1d, 2: Conv2d, 3: Conv3d}


class ConvolutionND(LayerModule):
    """Convolution where torch has no module.

    The channel axis is not 1, there is no spatial axis or more than three, or a dilation is 0.
    """

    def __init__(
        self,
        weight_shape: tuple[int, ...],
        outputs: int,
        bias: bool,
        window: Window,
        group: int,
        axis: int,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(weight_shape))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.window, self.group, self.axis = window, group, axis

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, {self.window}, group={self.group}, axis={self.axis}"

    def forward(self, x: Tensor) -> Tensor:
        leading = x.shape[: self.axis]
        y = self.apply_weights(x.reshape(prod(leading), *x.shape[self.axis :]))
        return y.reshape(*leading, *y.shape[1:])

    def apply_weights(self, x: Tensor) -> Tensor:
        weight, window = gathered(self.weight, self.window)
        return convolve(pad_behind(x, window, 2), weight, self.bias, window, self.group)


class DeconvolutionND(ConvolutionND):
    """Deconvolution where torch has no module."""

    def apply_weights(self, x: Tensor) -> Tensor:
        weight, window = gathered(self.weight, self.window)
        return deconvolve(x, weight, self.bias, window, self.group)


def gathered(weight: Tensor, window: Window) -> tuple[Tensor, Window]:
    """The same convolution without a dilation of 0.

    With that dilation all of a kernel's places on an axis read one value.
    """
    axes = [i for i, dilation in enumerate(window.dilation) if dilation == 0]
    if not axes:
        return weight, window
    kernel = [1 if i in axes else size for i, size in enumerate(window.kernel)]
    dilation = [max(1, value) for value in window.dilation]
    return weight.sum([2 + i for i in axes], keepdim=True), Window(
        tuple(kernel), window.stride, window.pad, tuple(dilation)
    )


class Im2col(LayerModule):
    """Each window as a column: for every channel the values of the window become channels."""

    def __init__(self, window: Window, axis: int) -> None:
        super().__init__()
        self.window, self.axis = window, axis

    def extra_repr(self) -> str:
        return f"{self.window}, axis={self.axis}"

    def forward(self, x: Tensor) -> Tensor:
        axes, w = len(self.window.kernel), self.window
        x = pad_behind(x, w, self.axis + 1)
        if axes == 2 and self.axis == 1 and all(w.dilation):
            places = [
                (x.shape[2 + i] + 2 * w.pad[i] - w.extent(i)) // w.stride[i] + 1 for i in range(2)
            ]
            return F.unfold(x, w.kernel, w.dilation, w.pad, w.stride).unflatten(2, places)
        x = F.pad(x, [pad for pad in reversed(w.pad) for _ in range(2)])
        for i, dilation in enumerate(w.dilation):
            x = x.unfold(self.axis + 1 + i, w.extent(i), w.stride[i])
            x = x[..., ::dilation] if dilation else x.expand(*x.shape[:-1], w.kernel[i])
        # (…, C, places of each axis, kernel of each axis) → (…, C·kernels, places)
        x = x.movedim(list(range(-axes, 0)), list(range(self.axis + 1, self.axis + 1 + axes)))
        return x.flatten(self.axis, self.axis + axes)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, group: int) -> Tensor:
    """Convolution over any number of spatial axes.

    Beyond three, the first is summed over its kernel's places.

    Shapes: x (N, C, …), weight (out, C/group, …).
    """
    axes = x.dim() - 2
    if axes == 0:
        return F.conv1d(x.unsqueeze(2), weight.unsqueeze(2), bias, groups=group).squeeze(2)
    if axes <= 3:
        return _FUNCTIONS[axes](x, weight, bias, window.stride, window.pad, window.dilation, group)
    rest = Window(window.kernel[1:], window.stride[1:], window.pad[1:], window.dilation[1:])
    x = F.pad(x, (0, 0) * (axes - 1) + (window.pad[0], window.pad[0]))
    places = (x.shape[2] - window.extent(0)) // window.stride[0] + 1
    total: Tensor | None = None
    for k in range(window.kernel[0]):
        start = k * window.dilation[0]
        taken = x[
            :, :, start : start + (places - 1) * window.stride[0] + 1 : window.stride[0]
        ].movedim(2, 1)
        part = convolve(taken.reshape(-1, *taken.shape[2:]), weight[:, :, k], None, rest, group)
        part = part.reshape(x.shape[0], places, *part.shape[1:]).movedim(1, 2)
        total = part if total is None else total + part
    assert total is not None
    return total if bias is None else total + bias.reshape(-1, *[1] * axes)


def deconvolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, group: int
) -> Tensor:
    """Deconvolution over any number of spatial axes.

    Beyond three it is a convolution of x, spread by the stride.

    Shapes: x (N, C, …), weight (C, out/group, …).
    """
    axes = x.dim() - 2
    if 1 <= axes <= 3:
        return _TRANSPOSED_FUNCTIONS[axes](
            x, weight, bias, window.stride, window.pad, 0, group, window.dilation
        )
    spread = x.new_zeros(
        *x.shape[:2],
        *((size - 1) * step + 1 for size, step in zip(x.shape[2:], window.stride, strict=True)),
    )
    places: list[slice] = [slice(None, None, step) for step in window.stride]
    spread[(slice(None), slice(None), *places)] = x
    margins = [window.extent(i) - 1 - window.pad[i] for i in range(axes)]
    # a negative margin cuts
    spread = F.pad(spread, [margin for margin in reversed(margins) for _ in range(2)])
    turned = (
        weight.flip(list(range(2, axes + 2)))
        .reshape(group, -1, *weight.shape[1:])
        .transpose(1, 2)
        .flatten(0, 1)
    )
    return convolve(
        spread,
        turned,
        bias,
        Window(window.kernel, (1,) * axes, (0,) * axes, window.dilation),
        group,
    )


def build_convolution(layer: Layer) -> nn.Module:
    p = layer.message.convolution_param
    bottom, weight = layer.bottom_blobs[0].shape or (), layer.params[0].shape
    axes = len(weight) - 2
    window = window_of(p, axes)
    axis = p.axis % len(bottom)
    is_transposed = layer.type == "Deconvolution"
    if axis != 1 or axes not in _MODULES or 0 in window.dilation:
        return (DeconvolutionND if is_transposed else ConvolutionND)(
            weight, p.num_output, p.bias_term, window, p.group, axis
        )
    if is_transposed:
        return unfilled(
            _TRANSPOSED_MODULES[axes],
            bottom[1],
            p.num_output,
            window.kernel,
            window.stride,
            window.pad,
            dilation=window.dilation,
            groups=p.group,
            bias=p.bias_term,
        )
    return convolution_module(bottom[1], p.num_output, window, p.group, p.bias_term)


def convolution_module(
    inputs: int, outputs: int, window: Window, group: int, bias: bool
) -> nn.Module:
    """torch's module for a convolution of axis 1 over one to three spatial axes."""
    modules = _STRIDED_MODULES if max(window.stride) > 1 else _MODULES
    module = unfilled(
        modules[len(window.kernel)],
        inputs,
        outputs,
        window.kernel,
        window.stride,
        window.pad,
        dilation=window.dilation,
        groups=group,
        bias=bias,
    )
    if isinstance(module, _PadsBehind):
        module.window = window
    return module


def build_im2col(layer: Layer) -> nn.Module:
    p, axes = layer.message.convolution_param, len(layer.bottom_blobs[0].shape or ())
    axis = p.axis % axes
    return Im2col(window_of(p, axes - axis - 1), axis)


def emit_for_each(
    graph: fx.Graph, layer: Layer, target: str, bottoms: list[fx.Node]
) -> list[fx.Node]:
    """Each bottom goes through the same weights to its own top."""
    return [graph.call_module(target, (bottom,)) for bottom in bottoms]


BUILDERS = {
    "Convolution": Builder(build_convolution, emit_for_each, leaves_top=always),
    "Deconvolution": Builder(build_convolution, emit_for_each, leaves_top=always),
    "Im2col": Builder(build_im2col),
}
