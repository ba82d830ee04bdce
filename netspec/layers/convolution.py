"""Convolution.

Source: Caffe's BaseConvolutionLayer, ConvolutionLayer, DeconvolutionLayer and Im2colLayer.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from netspec.graph import Layer, Shape, sizes_text
from netspec.layers.example import FILLER, IMAGES, MAPS, WINDOW, Example
from netspec.layers.kept import BOTTOM_ALONE, NOTHING
from netspec.layers.layer_context import LayerContext
from netspec.layers.reach import Reach, spread_reach, window_reach
from netspec.layers.setting import spatial_axes, window_sizes, window_words
from netspec.layers.spec import BOTTOM, Spec
from netspec.layers.window import (
    DILATIONS,
    Window,
    check_window,
    convolved_size,
    require_axes,
    require_reach,
    require_room,
    window_of,
)


class Convolution(Spec):
    """Cross-correlation over any number of spatial axes, even none.

    Weights are out × in/group × kernel.
    """

    type = "Convolution"
    param = "convolution_param"
    bottoms: ClassVar[tuple[int, int | None]] = (1, None)
    tops: ClassVar[tuple[int, int | None]] = (1, None)
    keeps = BOTTOM_ALONE
    reads = BOTTOM
    takes = DILATIONS
    example = Example(
        IMAGES,
        f"convolution_param {{ num_output: 64 kernel_size: 7 stride: 2 pad: 3 {FILLER} }}",
        shapes=f"num_output channels; along each spatial axis {WINDOW}",
    )

    def settings(self, layer: Layer) -> list[str]:
        message = layer.message.convolution_param
        axes = spatial_axes(layer)
        kernel = sizes_text(window_sizes(message, "kernel_size", 0, axes))
        filters = (
            f"{message.num_output} filter{'s' if message.num_output != 1 else ''} "
            if message.num_output
            else ""
        )
        shown = [filters + kernel, *window_words(message, axes)]
        if message.group > 1:
            shown.append(f"group {message.group}")
        return shown if message.bias_term else [*shown, "no bias"]

    def check(self, context: LayerContext) -> None:
        check_window(context)
        p = context.param
        if not p.num_output:
            context.error("'num_output' must be given and at least 1", "num_output")
        check_kernel(context)
        if not p.group:
            context.error("'group' must be at least 1, got 0", "group")
        elif p.num_output % p.group:
            context.error(f"'group' {p.group} does not divide 'num_output' {p.num_output}", "group")
        if len(context.layer.bottom_blobs) != len(context.layer.top_blobs):
            bottoms, tops = len(context.layer.bottom_blobs), len(context.layer.top_blobs)
            context.error(f"each bottom makes one top, got {bottoms} and {tops}", "top")

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, p = context.bottoms[0], context.param
        axis = context.axis(p.axis, len(bottom), "axis")
        channels, sizes = bottom[axis], bottom[axis + 1 :]
        require_axes(context, len(sizes))
        for i in range(1, len(context.bottoms)):
            context.same_shapes(0, i)
        if channels % p.group:
            message = (
                f"'group' {p.group} does not divide the {channels} channels of "
                f"'{context.layer.bottoms[0]}'"
            )
            raise context.stop(message, "group", notes=[context.made_here(0)])
        window = window_of(p, len(sizes))
        out = self.out_sizes(context, sizes, window)
        context.add_param(
            (*self.out_and_in(p.num_output, channels, p.group), *window.kernel), "weight_filler"
        )
        if p.bias_term:
            context.add_param((p.num_output,), "bias_filler")
        return [(*bottom[:axis], p.num_output, *out)] * len(context.bottoms)

    def out_sizes(self, context: LayerContext, sizes: Shape, window: Window) -> Shape:
        """The sizes of the tops' spatial axes."""
        return convolved_sizes(context, sizes, window)

    def out_and_in(self, num_output: int, channels: int, group: int) -> Shape:
        """The first two axes of the weights."""
        return num_output, channels // group

    def macs(self, layer: Layer) -> int:
        return sum(blob.count for blob in layer.top_blobs) * prod(layer.params[0].shape[1:])

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        return window_reach(planar_window(layer)) if has_planes(layer) else None


class Deconvolution(Convolution):
    """Convolution the other way round: each input value is spread over a window.

    Weights are in × out/group × kernel.
    """

    type = "Deconvolution"
    takes = frozenset()  # whether a fork's 'hole' acts here is unknown
    example = Example(
        MAPS,
        f"convolution_param {{ num_output: 32 kernel_size: 4 stride: 2 pad: 1 {FILLER} }}",
        shapes=(
            "num_output channels; along each spatial axis stride·(H - 1) "
            "+ dilation·(kernel - 1) + 1 - 2·pad"
        ),
    )

    def out_sizes(self, context: LayerContext, sizes: Shape, window: Window) -> Shape:
        spans = tuple(
            window.stride[i] * (size - 1) + window.extent(i) for i, size in enumerate(sizes)
        )
        require_reach(context, spans, "stride")
        out = tuple(span - 2 * window.pad[i] for i, span in enumerate(spans))
        for i, (size, result) in enumerate(zip(sizes, out, strict=True)):
            if result < 1:
                axis = ("height", "width")[i] if len(sizes) == 2 else f"spatial axis {i}"
                message = (
                    f"a {axis} of {size} grows to {result + 2 * window.pad[i]}, "
                    f"of which a pad of {window.pad[i]} on both sides leaves {result}"
                )
                short = ("pad_h", "pad_w")[i] if len(sizes) == 2 else "pad"
                path = (
                    (short,)
                    if context.has("pad_h") or context.has("pad_w")
                    else ("pad", i if len(context.param.pad) > 1 else 0)
                )
                raise context.stop(message, *path, notes=[context.made_here(0)])
        return out

    def out_and_in(self, num_output: int, channels: int, group: int) -> Shape:
        return channels, num_output // group

    def macs(self, layer: Layer) -> int:
        return sum(blob.count for blob in layer.bottom_blobs) * prod(layer.params[0].shape[1:])

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        return spread_reach(planar_window(layer)) if has_planes(layer) else None


class Im2col(Spec):
    """Each window of the bottom as a column.

    The values of a window, channel by channel, become channels of the top.
    """

    type = "Im2col"
    param = "convolution_param"
    keeps = NOTHING
    example = Example(
        MAPS,
        "convolution_param { kernel_size: 3 pad: 1 }",
        shapes=f"C·kernel·kernel channels; along each spatial axis {WINDOW}",
    )

    def settings(self, layer: Layer) -> list[str]:
        message, axes = layer.message.convolution_param, spatial_axes(layer)
        return [
            sizes_text(window_sizes(message, "kernel_size", 0, axes)),
            *window_words(message, axes),
        ]

    def check(self, context: LayerContext) -> None:
        check_window(context)
        check_kernel(context)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        axis = context.axis(context.param.axis, len(bottom), "axis")
        sizes = bottom[axis + 1 :]
        if not sizes:
            raise context.stop(
                f"there is no spatial axis behind axis {axis}", "axis", notes=[context.made_here(0)]
            )
        require_axes(context, len(sizes))
        window = window_of(context.param, len(sizes))
        out = convolved_sizes(context, sizes, window)
        return [(*bottom[:axis], bottom[axis] * prod(window.kernel), *out)]

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        return window_reach(planar_window(layer)) if has_planes(layer) else None


def has_planes(layer: Layer) -> bool:
    """Whether the axes that a convolution runs over are the spatial ones, those behind axis 1."""
    return layer.message.convolution_param.axis in (1, 1 - len(layer.bottom_blobs[0].shape or ()))


def planar_window(layer: Layer) -> Window:
    """The window of a convolution over the spatial axes."""
    return window_of(layer.message.convolution_param, len(layer.bottom_blobs[0].shape or ()) - 2)


def convolved_sizes(context: LayerContext, sizes: Shape, window: Window) -> Shape:
    """What a convolution leaves of each spatial axis; stops where that is nothing."""
    require_reach(context, [size + 2 * window.pad[i] for i, size in enumerate(sizes)], "pad")
    out = tuple(convolved_size(size, window, i) for i, size in enumerate(sizes))
    require_room(context, sizes, out, window)
    return out


def check_kernel(context: LayerContext) -> None:
    """Requires a kernel, unless the bottom is known to have no spatial axis."""
    p, bottom = context.param, context.layer.bottom_blobs[0].shape
    is_flat = bottom is not None and p.axis in (-1, len(bottom) - 1)
    if (
        not p.kernel_size
        and not context.has("kernel_h")
        and not context.has("kernel_w")
        and not is_flat
    ):
        context.error("'kernel_size' must be given", "kernel_size")


SPECS = (Convolution, Deconvolution, Im2col)
