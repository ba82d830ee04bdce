"""Object detection: SSD's boxes, and what holds them against the ground truth.

Source: weiliu89/caffe, branch ssd.
"""

from __future__ import annotations

from netspec.graph import Shape
from netspec.layers.example import MAPS, Example
from netspec.layers.setting import Setting
from netspec.layers.spec import LayerContext, Spec


class Permute(Spec):
    """Puts the axes in another order; those that `order` leaves out follow in theirs."""

    type = "Permute"
    param = "permute_param"
    shown = (Setting("order", "order {}"),)
    example = Example(
        MAPS,
        "permute_param { order: 0 order: 2 order: 3 order: 1 }",
        shapes="axis i of the top is axis order[i] of the bottom",
    )

    def check(self, context: LayerContext) -> None:
        order = context.param.order
        for i, axis in enumerate(order):
            if axis in order[:i]:
                context.error(f"'order' names axis {axis} twice", "order", i)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        for i, axis in enumerate(context.param.order):
            if axis >= len(bottom):
                raise context.stop(
                    f"'order' names axis {axis}, out of range for a blob of {len(bottom)} axes",
                    "order",
                    i,
                    notes=[context.made_here(0)],
                )
        return [tuple(bottom[axis] for axis in axes_in_order(context.param.order, len(bottom)))]


def axes_in_order(order: list[int], axes: int) -> list[int]:
    """The axes of a bottom in the order in which the top has them."""
    return [*order, *(axis for axis in range(axes) if axis not in order)]


SPECS: tuple[type[Spec], ...] = (Permute,)
