"""Optical flow: what compares two images' features, and what follows the flow.

Source: lmb-freiburg/flownet2.
"""

from __future__ import annotations

from netspec.graph import Shape, shape_text
from netspec.layers.axes import require_maps
from netspec.layers.example import Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec

PAIR: dict[str, Shape] = {"first": (1, 256, 48, 64), "second": (1, 256, 48, 64)}
FLOW: dict[str, Shape] = {"image": (1, 3, 48, 64), "flow": (1, 2, 48, 64)}
SIZES: dict[str, Shape] = {"flow": (1, 2, 12, 16), "like": (1, 3, 48, 64)}


class Correlation(Spec):
    """How like each patch of one blob is to the patches around its place in another.

    Shapes: the bottoms are N×C×H×W; the top has a channel for each displacement,
        (2·(max_displacement / stride_2) + 1)² in all.
    """

    type = "Correlation"
    param = "correlation_param"
    not_computed = "FlowNet's kernel is not carried out"
    bottoms = (2, 2)
    keeps_places = False
    shown = (Setting("max_displacement", "displacements to {}", True),)
    example = Example(
        PAIR,
        "correlation_param { pad: 20 kernel_size: 1 max_displacement: 20 stride_2: 2 }",
    )

    def check(self, context: LayerContext) -> None:
        p = context.param
        for name in ("kernel_size", "max_displacement"):
            if not context.has(name):
                context.error(f"'{name}' must be given", "correlation_param")
        if context.has("kernel_size") and p.kernel_size % 2 == 0:
            context.error(f"'kernel_size' must be odd, got {p.kernel_size}", "kernel_size")
        for name in ("stride_1", "stride_2"):
            if not getattr(p, name):
                context.error(f"'{name}' must be at least 1, got 0", name)

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context)
        context.same_shapes(0, 1)
        p, bottom = context.param, context.bottoms[0]
        border = p.max_displacement + (p.kernel_size - 1) // 2
        size = [-(-(dim + 2 * p.pad - 2 * border) // p.stride_1) for dim in bottom[2:]]
        if min(size) < 1:
            raise context.stop(
                f"the displacements leave nothing of {shape_text(bottom[2:])}: the border of "
                f"{border} is more than half of it and of its 'pad'",
                "max_displacement",
                notes=[context.made_here(0)],
            )
        places = 2 * (p.max_displacement // p.stride_2) + 1
        return [(bottom[0], places**2, *size)]


class Resample(Spec):
    """An image in another size: the second bottom's, or the one given.

    Shapes: the first bottom's, with the height and width of the second or of 'height' and 'width'.
    """

    type = "Resample"
    param = "resample_param"
    sizes = ("height", "width")
    not_computed = "FlowNet's filters are not carried out"
    bottoms = (1, 2)
    keeps_places = False
    example = Example(SIZES, "resample_param { type: LINEAR }")

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context)
        first = context.bottoms[0]
        if len(context.bottoms) == 2:
            return [(*first[:2], *context.bottoms[1][2:])]
        size = tuple(getattr(context.param, name) for name in self.sizes)
        if not all(size):
            raise context.stop(
                f"'{self.sizes[0]}' and '{self.sizes[1]}' must be given where it has one bottom",
                self.param,
            )
        return [(*first[:2], *size)]


class Downsample(Resample):
    """An image in a smaller size, each value the mean of those around it.

    Shapes: the first bottom's, with the height and width of the second or of 'top_height' and
        'top_width'.
    """

    type = "Downsample"
    param = "downsample_param"
    sizes = ("top_height", "top_width")
    example = Example({"flow": (1, 2, 48, 64), "like": (1, 3, 12, 16)})


class FlowWarp(Spec):
    """An image as the flow moves it."""

    type = "FlowWarp"
    not_computed = "FlowNet's kernel is not carried out"
    bottoms = (2, 2)
    keeps_places = False
    example = Example(FLOW, shapes="the top has the first bottom's")

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context)
        image, flow = context.bottoms[0], context.bottoms[1]
        wanted = (image[0], 2, *image[2:])
        if flow != wanted:
            raise context.stop(
                f"the flow is {shape_text(flow)}, expected {shape_text(wanted)}",
                "bottom",
                1,
                notes=[context.made_here(0), context.made_here(1)],
            )
        return [image]


SPECS: tuple[type[Spec], ...] = (Correlation, Resample, Downsample, FlowWarp)
