"""Pooling. Source: Caffe's PoolingLayer and SPPLayer."""

from __future__ import annotations

from math import prod

from netspec.graph import Layer, Shape, shape_text, sizes_text
from netspec.layers.example import MAPS, Example
from netspec.layers.kept import Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.operations import Operations
from netspec.layers.reach import Reach, window_reach
from netspec.layers.setting import Setting, spatial_axes, value_text, window_sizes, window_words
from netspec.layers.spec import Spec
from netspec.layers.window import (
    Window,
    check_window,
    pooled_size,
    require_reach,
    require_room,
    window_of,
)
from netspec.schema.caffe_pb2 import PoolingParameter, SPPParameter
from netspec.schema.forks import stated


class Pooling(Spec):
    """The maximum or the average of each window.

    The output's size rounds up unless round_mode is FLOOR, or ceil_mode false, as forks write it.
    """

    type = "Pooling"
    param = "pooling_param"
    takes = frozenset({"ceil_mode"})
    tops = (1, 2)
    example = Example(
        MAPS,
        "pooling_param { pool: MAX kernel_size: 3 stride: 2 }",
        shapes=(
            "along height and width ceil((H + 2·pad - kernel) / stride) + 1; with pad, "
            "a last window that would start beyond "
            "the input and its near padding is dropped"
        ),
    )

    def settings(self, layer: Layer) -> list[str]:
        message = layer.message.pooling_param
        method = value_text(message, "pool")
        if message.global_pooling:
            return [f"{method} over everything"]
        axes = spatial_axes(layer)
        shown = [
            f"{method} {sizes_text(window_sizes(message, 'kernel_size', 0, axes))}",
            *window_words(message, axes),
        ]
        return shown if rounds_up(message) else [*shown, "rounds down"]

    def check(self, context: LayerContext) -> None:
        p = context.param
        check_window(context)
        ceil_mode = stated(p, "ceil_mode")
        if ceil_mode is not None and p.HasField("round_mode") and ceil_mode is bool(p.round_mode):
            mode = PoolingParameter.RoundMode.Name(p.round_mode)
            context.error(f"'ceil_mode' and 'round_mode' {mode} contradict each other", "ceil_mode")
        sized = [f for f in ("kernel_size", "kernel_h", "kernel_w") if context.has(f)]
        if p.global_pooling and sized:
            context.error(
                "'global_pooling' takes the whole plane as its window; "
                f"'{sized[0]}' has no place beside it",
                sized[0],
            )
        elif not p.global_pooling and not sized:
            context.error("'kernel_size' must be given", "kernel_size")
        window = window_of(p, 2)
        if p.global_pooling and (any(window.pad) or window.stride != (1, 1)):
            field = "pad" if any(window.pad) else "stride"
            context.error("'global_pooling' goes with pad 0 and stride 1", field)
        if any(window.pad) and p.pool == PoolingParameter.STOCHASTIC:
            context.error("'pad' goes with MAX and AVE pooling only", "pad")
        if sized and any(
            pad >= kernel > 0 for pad, kernel in zip(window.pad, window.kernel, strict=True)
        ):
            context.error(
                f"'pad' {max(window.pad)} must be smaller than the kernel {min(window.kernel)}",
                "pad",
            )
        if len(context.layer.top_blobs) > 1 and p.pool != PoolingParameter.MAX:
            context.error("only MAX pooling has a second top, the mask", "top", 1)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, p = context.bottoms[0], context.param
        if len(bottom) != 4:
            raise context.stop(
                f"pooling takes a blob of 4 axes (N×C×H×W), got {len(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        sizes = bottom[2:]
        if not all(bottom[1:]):
            message = (
                f"pooling takes a blob with channels, rows and columns, got {shape_text(bottom)}"
            )
            raise context.stop(message, "bottom", 0, notes=[context.made_here(0)])
        window = window_of(p, 2, sizes if p.global_pooling else None)
        out = tuple(pooled_size(size, window, i, rounds_up(p)) for i, size in enumerate(sizes))
        require_room(context, sizes, out, window)
        require_reach(context, [size + 2 * window.pad[i] for i, size in enumerate(sizes)], "pad")
        require_reach(
            context,
            [(places - 1) * window.stride[i] + window.kernel[i] for i, places in enumerate(out)],
            "stride",
        )
        return [(*bottom[:2], *out)] * len(context.layer.top_blobs)

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        p = layer.message.pooling_param
        return None if p.global_pooling else window_reach(window_of(p, 2))

    def operations(self, layer: Layer) -> Operations:
        p, bottom, top = layer.message.pooling_param, layer.bottom_blobs[0], layer.top_blobs[0]
        kernel = window_of(p, 2, (bottom.shape or ())[2:] if p.global_pooling else None).kernel
        values = top.count * prod(kernel)
        if p.pool == PoolingParameter.MAX:
            return Operations(comparisons=values)
        return Operations(additions=values, divisions=top.count)

    def kept(self, layer: Layer) -> Kept:
        is_max = layer.message.pooling_param.pool == PoolingParameter.MAX
        # the place of each maximum
        return Kept(bottoms=True, bytes=8 * layer.top_blobs[0].count if is_max else 0)


def torch_pools(window: Window, round_up: bool) -> bool:
    """Whether torch's rule gives Caffe's output whatever the plane's size is.

    Torch refuses a pad of more than half the kernel, and always drops a window that starts beyond
    input and pad. Caffe does that only where there is a pad; without one such a window comes up
    where the stride is larger than the kernel.
    """
    pairs = list(zip(window.kernel, window.stride, window.pad, strict=True))
    fits = all(2 * pad <= kernel for kernel, _, pad in pairs)
    return fits and (
        any(window.pad) or not round_up or all(stride <= kernel for kernel, stride, _ in pairs)
    )


def rounds_up(p: PoolingParameter) -> bool:
    """Whether a pooling_param rounds the top's size up: by round_mode, or a fork's ceil_mode."""
    ceil_mode = stated(p, "ceil_mode")
    return p.round_mode == PoolingParameter.CEIL if ceil_mode is None else bool(ceil_mode)


class SPP(Spec):
    """Pools over grids of 1, 2, 4, … cells a side, each made one axis, and joins them.

    A single grid keeps its axes.
    """

    type = "SPP"
    param = "spp_param"
    shown = (Setting("pool", "{}", True), Setting("pyramid_height", "{} levels", True))
    example = Example(
        MAPS,
        "spp_param { pyramid_height: 3 }",
        shapes="N × C·(1 + 4 + 16 + …), a term for each of pyramid_height grids",
    )

    def check(self, context: LayerContext) -> None:
        if not context.param.pyramid_height:
            context.error("'pyramid_height' must be given and at least 1", "pyramid_height")

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, height = context.bottoms[0], context.param.pyramid_height
        if len(bottom) != 4:
            raise context.stop(
                f"SPP takes a blob of 4 axes (N×C×H×W), got {len(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        if not all(bottom[1:]):
            raise context.stop(
                f"SPP takes a blob with channels, rows and columns, got {shape_text(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        for level in range(height):
            fault = pyramid_fault(bottom[2:], level, context.param.pool == SPPParameter.STOCHASTIC)
            if fault:
                raise context.stop(
                    fault,
                    "pyramid_height",
                    hint=f"take a 'pyramid_height' of at most {level}",
                    notes=[context.made_here(0)],
                )
        if height == 1:
            return [(*bottom[:2], 1, 1)]
        return [(bottom[0], bottom[1] * sum(4**level for level in range(height)))]

    def operations(self, layer: Layer) -> Operations:
        p, (bottom, top) = layer.message.spp_param, (layer.bottom_blobs[0], layer.top_blobs[0])
        values = bottom.count * p.pyramid_height
        if p.pool == SPPParameter.MAX:
            return Operations(comparisons=values)
        return Operations(additions=values, divisions=top.count)


def pyramid_window(size: int, level: int) -> tuple[int, int]:
    """The kernel, which is the stride too, and the pad of an axis at a level of the pyramid.

    The level has 2^level cells.
    """
    cells = 2**level
    kernel = -(-size // cells)
    return kernel, (kernel * cells - size + 1) // 2


def pyramid_fault(sizes: Shape, level: int, is_stochastic: bool) -> str | None:
    """Why a plane can't be pooled at a level of the pyramid.

    Its pooling has the limits of any other.
    """
    for size, axis in zip(sizes, ("height", "width"), strict=True):
        kernel, pad = pyramid_window(size, level)
        cells = (
            f"level {level} of the pyramid lays {2**level} "
            f"windows of {kernel} over a {axis} of {size}"
        )
        if pad >= kernel:
            return f"{cells}: their pad of {pad} must be smaller than they are"
        if pad and is_stochastic:
            return f"{cells}: that takes a pad, which goes with MAX and AVE only"
    return None


SPECS = (Pooling, SPP)
