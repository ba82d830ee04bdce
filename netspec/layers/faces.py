"""Recognising faces: losses with centres and margins, and happynear's layers beside them.

Source: ydwen/caffe-face, wy1iu/sphereface, wy1iu/LargeMargin_Softmax_Loss,
happynear/caffe-windows.
"""

from __future__ import annotations

from ctypes import c_float
from math import prod
from typing import Any, ClassVar

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.example import FILLER, IMAGES, MAPS, SCALAR, Example
from netspec.layers.kept import NOTHING
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import Loss, require_one_label_each
from netspec.layers.mobile import four_axes
from netspec.layers.operations import Operations
from netspec.layers.setting import OUTPUTS, Setting
from netspec.layers.spec import BOTTOM, Spec
from netspec.schema.caffe_pb2 import LayerParameter
from netspec.schema.forks import stated, states_any

FEATURES: dict[str, Shape] = {"features": (32, 512), "label": (32,)}
MARGIN_FIELDS = f"num_output: 100 type: QUADRUPLE base: 1000 gamma: 0.12 lambda_min: 5 {FILLER}"


class CenterLoss(Loss):
    """Half the mean squared distance of each item to the centre of its class.

    Centres are num_output × K. Their gradient is no derivative: it draws a centre to its items by
    sum(c - x) / (1 + count), whatever the loss_weight, which is 0 where none is given.
    Source: ydwen/caffe-face.
    """

    type = "CenterLoss"
    rule = "sphereface"
    dialects: ClassVar[tuple[str, ...]] = ("sphereface", "pspnet")
    differs = "each centre moves once a batch"
    param = "center_loss_param"
    each = Operations(additions=2)
    is_loss = False  # the fork's set-up leaves out what gives other losses their weight
    shown = (Setting("num_output", "{} classes", True), Setting("distance_type", "{}"))
    example = Example(
        FEATURES,
        'loss_weight: 0.008 center_loss_param { num_output: 100 center_filler { type: "xavier" } }',
        shapes=SCALAR,
    )

    def evidence(self, message: LayerParameter) -> bool | None:
        fields = "distance_type", *_OF_HSMYY
        return False if states_any(message, self.param, *fields) else None

    def check(self, context: LayerContext) -> None:
        if not context.param.num_output:
            context.error("'num_output' must be given and at least 1", "num_output")
        if context.layer.phase == "TRAIN" and not context.message.loss_weight:
            context.warn(
                "without 'loss_weight' it trains nothing: the fork's default is 0",
                hint="write a loss_weight such as 0.008",
            )

    def match(self, context: LayerContext) -> None:
        require_one_label_each(context)
        items, p = context.bottoms[0], context.param
        axis = context.axis(p.axis, len(items), "axis")
        if prod(items[:axis]) != items[0]:
            raise context.stop(
                f"'axis' {p.axis} makes {prod(items[:axis])} items of a batch of {items[0]}",
                "axis",
                hint="leave it out: an item is what stands from axis 1 on",
                notes=[context.made_here(0)],
            )
        context.add_param((p.num_output, prod(items[axis:])), "center_filler")


class CenterLossHappynear(CenterLoss):
    """CenterLoss with a distance_type, whose centres move once for each of their items.

    That is count times as far as ydwen's. Source: happynear/caffe-windows.
    """

    rule = "happynear"
    dialects = ("happynear",)
    differs = "a centre's step is multiplied by its items; distance_type"
    example = Example(
        FEATURES,
        'loss_weight: 0.008 center_loss_param { num_output: 100 distance_type: "L1" }',
        shapes=SCALAR,
    )

    def evidence(self, message: LayerParameter) -> bool | None:
        if states_any(message, self.param, "distance_type"):
            return True
        return False if states_any(message, self.param, *_OF_HSMYY) else None

    def check(self, context: LayerContext) -> None:
        super().check(context)
        require_norm(context, "distance_type")


_OF_HSMYY = ("loss_weight", "alpha", "cluster_num")


class CenterLossHsmyy(Loss):
    """A CenterLoss that states its rate and its weight itself. Source: hsmyy/CenterLoss_Caffe."""

    type = "CenterLoss"
    rule = "hsmyy"
    differs = "cluster_num, alpha"
    param = "center_loss_param"
    not_computed = "its rule is not known for certain"
    each = Operations(additions=2)
    is_loss = False
    example = Example(FEATURES, "center_loss_param { cluster_num: 100 alpha: 0.5 }", shapes=SCALAR)

    def evidence(self, message: LayerParameter) -> bool | None:
        return states_any(message, self.param, *_OF_HSMYY)

    def match(self, context: LayerContext) -> None:
        require_one_label_each(context)


class MarginInnerProduct(Spec):
    """A dense layer whose label's angle is multiplied (SphereFace); its weights have length 1.

    A forward pass, in TEST too, normalises the weights where they lie, and counts: lambda, the
    second top, falls by the passes. As in Caffe the count is in no snapshot: a run that is resumed
    begins at `iteration` again, so state it there. Gradients are the fork's, no derivatives: the
    weights' leaves the margin out. Source: wy1iu/sphereface, happynear/caffe-windows.
    """

    type = "MarginInnerProduct"
    is_repeatable = False  # it writes its weights
    param = "margin_inner_product_param"
    bottoms = (2, 2)
    tops = (1, 2)
    reads = BOTTOM
    unforced: ClassVar[tuple[int, ...]] = (1,)
    shown = (OUTPUTS, Setting("type", "margin {}", True), Setting("axis", "axis {}"))
    example = Example(
        FEATURES,
        f"margin_inner_product_param {{ {MARGIN_FIELDS} }}",
        tops=("scores", "lambda"),
        shapes="the axes before 'axis', then num_output; the second top is 1",
    )

    def check(self, context: LayerContext) -> None:
        if not context.param.num_output:
            context.error("'num_output' must be given and at least 1", "num_output")

    def infer(self, context: LayerContext) -> list[Shape]:
        (bottom, labels), p = context.bottoms, context.param
        axis = context.axis(p.axis, len(bottom), "axis")
        if prod(labels) != prod(bottom[:axis]):
            names = context.layer.bottoms
            message = (
                f"'{names[0]}' ({shape_text(bottom)}) has {prod(bottom[:axis])} items, "
                f"'{names[1]}' ({shape_text(labels)}) {prod(labels)} labels"
            )
            notes = [context.made_here(0), context.made_here(1)]
            raise context.stop(message, "bottom", 1, notes=notes)
        context.add_param((p.num_output, prod(bottom[axis:])), "weight_filler")
        return [(*bottom[:axis], p.num_output), (1,)][: len(context.layer.top_blobs)]

    def macs(self, layer: Layer) -> int:
        return layer.bottom_blobs[1].count * layer.params[0].count

    def operations(self, layer: Layer) -> Operations:
        # the length of each item and of each class's weights
        lengths = (layer.bottom_blobs[0].shape or (0,))[0] + layer.params[0].shape[0]
        return Operations(exponentials=lengths, divisions=layer.top_blobs[0].count)


class LargeMarginInnerProduct(MarginInnerProduct):
    """A dense layer whose label's angle is multiplied (L-Softmax), with weights as they are.

    lambda, the second top, falls by the forward passes; as in Caffe a run that is resumed begins at
    `iteration` again. Source: wy1iu/LargeMargin_Softmax_Loss, happynear/caffe-windows.
    """

    type = "LargeMarginInnerProduct"
    is_repeatable = True
    param = "largemargin_inner_product_param"
    example = Example(
        FEATURES,
        f"largemargin_inner_product_param {{ {MARGIN_FIELDS} }}",
        tops=("scores", "lambda"),
        shapes="the axes before 'axis', then num_output; the second top is 1",
    )


class NormalizeHappynear(Spec):
    """Divides each place by the norm of its channels, which is the second top. No params.

    The L2 norm's square has 1e-6 added, as in the fork's CPU code (1e-12 in its GPU code); so has
    the L1 norm. Source: happynear/caffe-windows.
    """

    type = "Normalize"
    rule = "happynear"
    dialects = ("happynear",)
    differs = "no params, normalize_param"
    param = "normalize_param"
    tops = (1, 2)
    each = Operations(additions=1, divisions=1)
    reads = BOTTOM
    shown = (Setting("normalize_type", "{}", True),)
    example = Example(
        MAPS, 'normalize_param { normalize_type: "L2" }', shapes="N×C×H×W; the second top N×1×H×W"
    )

    def evidence(self, message: LayerParameter) -> bool | None:
        if stated(message, "norm_param") is not None:
            return False
        # SSD's has one top
        return True if stated(message, self.param) is not None or len(message.top) > 1 else None

    def check(self, context: LayerContext) -> None:
        require_norm(context, "normalize_type")

    def infer(self, context: LayerContext) -> list[Shape]:
        top = four_axes(context, self.type)
        return [top, (top[0], 1, *top[2:])][: len(context.layer.top_blobs)]


class Flip(Spec):
    """Reverses the columns, the rows or both. Source: happynear/caffe-windows."""

    type = "Flip"
    param = "flip_param"
    keeps = NOTHING
    keeps_places = False
    shown = (Setting("flip_width", "width {}"), Setting("flip_height", "height {}"))
    example = Example(IMAGES, "flip_param { flip_width: true }", shapes="N×C×H×W of the bottom")

    def infer(self, context: LayerContext) -> list[Shape]:
        four_axes(context, self.type)
        return [context.bottoms[0]]


class Resize(Spec):
    """Interpolates to height × width, or to the bottom's times a scale where is_pyramid_test.

    Place i reads at i · in / out, without a shift to the centre. A neighbour beyond the last row or
    column counts as 0, so that edges darken. Source: happynear/caffe-windows.
    """

    type = "Resize"
    param = "resize_param"
    keeps = NOTHING
    keeps_places = False
    shown = (
        Setting("height", "height {}"),
        Setting("width", "width {}"),
        Setting("out_height_scale", "height times {}"),
        Setting("out_width_scale", "width times {}"),
    )
    example = Example(IMAGES, "resize_param { height: 112 width: 96 }", shapes="N×C×height×width")

    def check(self, context: LayerContext) -> None:
        for field in resize_fields(context.param):
            value = getattr(context.param, field)
            if not (context.has(field) and value > 0):
                got = f", got {value:g}" if context.has(field) else ""
                context.error(f"'{field}' must be given and above 0{got}", field)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        if len(bottom) != 4:
            raise context.stop(
                f"{self.type} takes a blob of 4 axes (N×C×H×W), got {len(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        sizes = resized(context.param, bottom[2], bottom[3])
        for field, size in zip(resize_fields(context.param), sizes, strict=True):
            if size < 1:
                raise context.stop(
                    f"'{field}' leaves nothing of {shape_text(bottom[2:])}",
                    field,
                    notes=[context.made_here(0)],
                )
        return [(*bottom[:2], *sizes)]

    def macs(self, layer: Layer) -> int:
        return 4 * layer.top_blobs[0].count


def resize_fields(p: Any) -> tuple[str, str]:
    """The fields that say how large a Resize layer's top is."""
    return ("out_height_scale", "out_width_scale") if p.is_pyramid_test else ("height", "width")


def resized(p: Any, height: int, width: int) -> tuple[int, int]:
    """The size of a Resize layer's top; the fork multiplies in 32 bits and drops the fraction."""
    if not p.is_pyramid_test:
        return p.height, p.width
    return (
        int(c_float(p.out_height_scale * height).value),
        int(c_float(p.out_width_scale * width).value),
    )


def require_norm(context: LayerContext, field: str) -> None:
    """Requires the name of a norm."""
    name = getattr(context.param, field)
    if name not in ("L1", "L2"):
        context.error(f'\'{field}\' must be "L1" or "L2", got "{name}"', field)


SPECS: tuple[type[Spec], ...] = (
    CenterLoss,
    CenterLossHappynear,
    CenterLossHsmyy,
    MarginInnerProduct,
    LargeMarginInnerProduct,
    NormalizeHappynear,
    Flip,
    Resize,
)
