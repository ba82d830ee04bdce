"""Arithmetic of several blobs, or along axes.

Source: Caffe's EltwiseLayer, ScaleLayer, BiasLayer and ReductionLayer.
"""

from __future__ import annotations

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.example import MAPS, ROWS, SAME, Example
from netspec.layers.kept import Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.operations import Operations
from netspec.layers.setting import AXES, Setting
from netspec.layers.spec import BOTTOM, Spec
from netspec.schema.caffe_pb2 import EltwiseParameter, ReductionParameter


class Eltwise(Spec):
    """The sum (with coefficients), product or maximum of bottoms of the same shape."""

    type = "Eltwise"
    param = "eltwise_param"
    bottoms = (2, None)
    reads = BOTTOM
    shown = (Setting("operation", "{}", True), Setting("coeff", "coeff {}"))
    example = Example(
        {"a": (1, 64, 56, 56), "b": (1, 64, 56, 56)},
        "eltwise_param { operation: SUM coeff: 1 coeff: -1 }",
        shapes="that of the bottoms",
    )

    def check(self, context: LayerContext) -> None:
        given, bottoms = len(context.param.coeff), len(context.layer.bottom_blobs)
        if given and given != bottoms:
            context.error(
                f"'coeff' takes one value for each of the {bottoms} bottoms, got {given}", "coeff"
            )
        if given and context.param.operation == EltwiseParameter.PROD:
            context.error("'coeff' goes with SUM, not with PROD", "coeff")

    def infer(self, context: LayerContext) -> list[Shape]:
        for i in range(1, len(context.bottoms)):
            context.same_shapes(0, i)
        return [context.bottoms[0]]

    def macs(self, layer: Layer) -> int:
        p, bottoms = layer.message.eltwise_param, len(layer.bottom_blobs)
        if p.operation == EltwiseParameter.PROD:
            return layer.top_blobs[0].count * (bottoms - 1)
        return (
            layer.top_blobs[0].count * bottoms
            if p.operation == EltwiseParameter.SUM and p.coeff
            else 0
        )

    def operations(self, layer: Layer) -> Operations:
        p, values = layer.message.eltwise_param, layer.top_blobs[0].count
        steps = values * (len(layer.bottom_blobs) - 1)
        if p.operation == EltwiseParameter.MAX:
            return Operations(comparisons=steps)
        is_plain_sum = p.operation == EltwiseParameter.SUM and not p.coeff
        return Operations(additions=steps if is_plain_sum else 0)

    def kept(self, layer: Layer) -> Kept:
        p, values = layer.message.eltwise_param, layer.top_blobs[0].count
        if p.operation == EltwiseParameter.PROD:
            return Kept(bottoms=True, tops=not p.stable_prod_grad)
        if p.operation == EltwiseParameter.MAX:  # which bottom it took
            return Kept(bytes=values * (len(layer.bottom_blobs) - 1), top_is_free=True)
        return Kept(top_is_free=True, same_gradient=not p.coeff)


class Scale(Spec):
    """Multiplies by a factor that is learned, or by a second bottom.

    With `bias_term` adds a learned bias.
    """

    type = "Scale"
    param = "scale_param"
    bottoms = (1, 2)
    in_place = True
    reads = BOTTOM
    shown = (*AXES, Setting("bias_term", "with bias"))
    example = Example(MAPS, "scale_param { bias_term: true }", shapes=SAME)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        factor = spread_shape(context, "factor")
        if len(context.bottoms) == 1:
            context.add_param(factor, "filler", default=1)
        if context.param.bias_term:
            context.add_param(factor, "bias_filler")
        return [bottom]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count

    def kept(self, layer: Layer) -> Kept:
        return Kept(bottoms=True, top_is_free=len(layer.bottom_blobs) == 1)


class Bias(Spec):
    """Adds a bias that is learned, or a second bottom."""

    type = "Bias"
    param = "bias_param"
    bottoms = (1, 2)
    keeps = Kept(top_is_free=True, same_gradient=True)
    each = Operations(additions=1)
    in_place = True
    shown = AXES
    example = Example(MAPS, shapes=SAME)

    def infer(self, context: LayerContext) -> list[Shape]:
        bias = spread_shape(context, "bias")
        if len(context.bottoms) == 1:
            context.add_param(bias, "filler")
        return [context.bottoms[0]]


class Reduction(Spec):
    """The sum, sum of absolute values, sum of squares or mean over all axes from `axis` on."""

    type = "Reduction"
    param = "reduction_param"
    reads = BOTTOM
    shown = (
        Setting("operation", "{}", True),
        Setting("axis", "from axis {}"),
        Setting("coeff", "coeff {}"),
    )
    example = Example(
        ROWS,
        "reduction_param { operation: MEAN axis: 1 }",
        shapes="the bottom's axes before 'axis'",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        return [bottom[: context.axis(context.param.axis, len(bottom), "axis")]]

    def macs(self, layer: Layer) -> int:
        return (
            layer.bottom_blobs[0].count
            if layer.message.reduction_param.operation == ReductionParameter.SUMSQ
            else 0
        )

    def operations(self, layer: Layer) -> Operations:
        p, values = layer.message.reduction_param, layer.bottom_blobs[0].count
        return Operations(
            comparisons=values if p.operation == ReductionParameter.ASUM else 0,
            additions=0 if p.operation == ReductionParameter.SUMSQ else values,
            divisions=layer.top_blobs[0].count if p.operation == ReductionParameter.MEAN else 0,
        )

    def kept(self, layer: Layer) -> Kept:
        operation = layer.message.reduction_param.operation
        return Kept(bottoms=operation in (ReductionParameter.ASUM, ReductionParameter.SUMSQ))


def spread_shape(context: LayerContext, name: str) -> Shape:
    """The shape of the factor or bias that is broadcast over the bottom from `axis` on.

    It is that of a second bottom, or of the param to learn.

    `num_axes` counts only for what is learned: 0 is a scalar, -1 all axes to the end.
    """
    bottom, p = context.bottoms[0], context.param
    if len(context.bottoms) == 2:
        given = context.bottoms[1]
        axis = context.axis(p.axis, len(bottom), "axis") if given else 0  # a scalar has no axis
        if bottom[axis : axis + len(given)] != given:
            message = (
                f"the {name} ({shape_text(given)}) must match the bottom ({shape_text(bottom)}) "
                f"from axis {axis} on"
            )
            raise context.stop(
                message, "bottom", 1, notes=[context.made_here(0), context.made_here(1)]
            )
        return given
    # Caffe wants the axis in range for a scalar too
    axis, count = context.axis(p.axis, len(bottom), "axis"), p.num_axes
    if count < -1 or axis + count > len(bottom):
        raise context.stop(
            f"'num_axes' {count} from axis {axis} leaves a blob of {len(bottom)} axes",
            "num_axes",
            notes=[context.made_here(0)],
        )
    return bottom[axis:] if count == -1 else bottom[axis : axis + count]


SPECS = (Eltwise, Scale, Bias, Reduction)
