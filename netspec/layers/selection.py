"""Layers that pick values or items.

Source: Caffe's ArgMaxLayer, BatchReindexLayer and FilterLayer.
"""

from __future__ import annotations

from math import prod

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.example import ROWS, Example
from netspec.layers.kept import NOTHING
from netspec.layers.layer_context import LayerContext
from netspec.layers.operations import Operations
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec


class ArgMax(Spec):
    """The places of the `top_k` largest values of each item, or along `axis`."""

    type = "ArgMax"
    param = "argmax_param"
    keeps = NOTHING
    each = Operations(comparisons=1)
    shown = (
        Setting("top_k", "top {}", True),
        Setting("axis", "axis {}"),
        Setting("out_max_val", "with values"),
    )
    example = Example(
        ROWS,
        "argmax_param { top_k: 5 axis: 1 }",
        shapes=(
            "with 'axis' that of the bottom, top_k along it; without N×1×top_k, "
            "or N×2×top_k with out_max_val"
        ),
    )

    def check(self, context: LayerContext) -> None:
        if not context.param.top_k:
            context.error("'top_k' must be at least 1, got 0", "top_k")

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, p = context.bottoms[0], context.param
        if not bottom:
            raise context.stop(
                "a blob without any axis has no largest values",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        axis = context.axis(p.axis, len(bottom), "axis") if context.has("axis") else None
        size = prod(bottom[1:]) if axis is None else bottom[axis]
        if p.top_k > size:
            where = (
                f"an item of '{context.layer.bottoms[0]}'"
                if axis is None
                else f"axis {axis} of '{context.layer.bottoms[0]}'"
            )
            raise context.stop(
                f"'top_k' is {p.top_k}, but {where} holds {size} values",
                "top_k",
                notes=[context.made_here(0)],
            )
        if axis is not None:
            return [(*bottom[:axis], p.top_k, *bottom[axis + 1 :])]
        # as many axes as the bottom, 3 at least
        return [(bottom[0], 2 if p.out_max_val else 1, p.top_k, *[1] * (len(bottom) - 3))]


class BatchReindex(Spec):
    """The items of its first bottom that the second one lists by their numbers."""

    type = "BatchReindex"
    bottoms = (2, 2)
    keeps = NOTHING
    example = Example(
        {"data": (8, 10), "order": (5,)},
        shapes="that of the first bottom, with as many items as the second lists",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, index = context.bottoms
        if len(index) != 1:
            message = (
                f"'{context.layer.bottoms[1]}' lists the items, with one axis, and has {len(index)}"
            )
            raise context.stop(message, "bottom", 1, notes=[context.made_here(1)])
        if not bottom:
            raise context.stop(
                f"'{context.layer.bottoms[0]}' has no axis of items",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        return [(*index, *bottom[1:])]


class Filter(Spec):
    """The items of its bottoms at which the last bottom, the selector, is not 0.

    How many these are is known at run time only; the shapes here are those of the bottoms, as in
    Caffe before data comes.
    """

    type = "Filter"
    bottoms = (2, None)
    tops = (1, None)
    keeps = NOTHING
    example = Example(
        {"data": (8, 10), "selector": (8,)},
        shapes="those of the bottoms, with the selected items only",
    )

    def check(self, context: LayerContext) -> None:
        bottoms, tops = len(context.layer.bottom_blobs), len(context.layer.top_blobs)
        if tops != bottoms - 1:
            context.error(
                f"each bottom but the last, the selector, makes one top, got {bottoms} and {tops}",
                "top",
                -1,
            )

    def infer(self, context: LayerContext) -> list[Shape]:
        *bottoms, selector = context.bottoms
        last = len(bottoms)
        if not selector or any(size != 1 for size in selector[1:]):
            message = (
                f"the selector '{context.layer.bottoms[last]}' has one value for each item, "
                f"not {shape_text(selector)}"
            )
            raise context.stop(message, "bottom", last, notes=[context.made_here(last)])
        for i, bottom in enumerate(bottoms):
            if bottom[:1] != selector[:1]:
                held = bottom[0] if bottom else "no"
                message = (
                    f"'{context.layer.bottoms[i]}' holds {held} items, but the selector "
                    f"'{context.layer.bottoms[last]}' {selector[0]}"
                )
                raise context.stop(
                    message, "bottom", i, notes=[context.made_here(i), context.made_here(last)]
                )
        return bottoms

    def operations(self, layer: Layer) -> Operations:
        return Operations(comparisons=layer.bottom_blobs[-1].count)


SPECS = (ArgMax, BatchReindex, Filter)
