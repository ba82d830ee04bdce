"""Losses of absolute differences: the smooth L1 loss of boxes by three rules, the L1 loss.

Source: weiliu89/caffe (SSD), rbgirshick/caffe-fast-rcnn, daijifeng001/caffe-rfcn, intel/caffe,
NVIDIA/caffe.
"""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

from netspec.graph import Shape, shape_text
from netspec.layers.example import SCALAR, Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import Loss
from netspec.layers.operations import Operations
from netspec.layers.setting import Setting
from netspec.schema.caffe_pb2 import LossParameter
from netspec.schema.forks import stated, stated_word

BOXES: dict[str, Shape] = {"bbox_pred": (128, 84), "bbox_targets": (128, 84)}
_INSIDE: dict[str, Shape] = {"bbox_inside_weights": (128, 84)}
_OUTSIDE: dict[str, Shape] = {"bbox_outside_weights": (128, 84)}


def is_pre_fixed(message: Any) -> bool:
    """Whether a layer's loss_param states R-FCN's normaliser."""
    p = message.loss_param
    return (
        stated_word(p, "normalization") == "PRE_FIXED"
        or stated(p, "pre_fixed_normalizer") is not None
    )


def warn_of_weight_0(context: LayerContext) -> None:
    """Warns of a loss that counts nothing: its setup skips the one by which losses weigh 1."""
    if context.layer.phase == "TRAIN" and not context.message.loss_weight:
        context.warn(
            f"{context.spec.name} has a loss_weight of 0 where none is given: it teaches nothing",
            "top",
            0,
            hint="loss_weight: 1",
        )


class _Differences(Loss):
    """What these losses share: gradients for both of the first two bottoms, none for weights."""

    labels = ()
    unforced: ClassVar[tuple[int, ...]] = (2, 3)

    def match(self, context: LayerContext) -> None:
        for i, shape in enumerate(context.bottoms[1:], start=1):
            if shape != context.bottoms[0]:
                context.same_shapes(0, i)


class SmoothL1LossOfSSD(_Differences):
    """½d² of differences d up to 1, |d| - ½ beyond, over the number of items.

    Source: SSD's SmoothL1LossLayer.
    """

    type = "SmoothL1Loss"
    rule = "ssd"
    each = Operations(comparisons=1, additions=2)
    dialects = ("ssd", "nvidia", "yolo")
    differs = "two bottoms, loss_weight 1"
    unforced: ClassVar[tuple[int, ...]] = ()
    example = Example(BOXES, tops=("loss",), shapes=SCALAR)

    def evidence(self, message: Any) -> bool | None:
        other = stated(message, "smooth_l1_loss_param") is not None or is_pre_fixed(message)
        return False if other or len(message.bottom) > 2 or len(message.top) > 1 else None


class SmoothL1LossOfRCNN(_Differences):
    """½σ²d² of weighted differences d up to 1/σ², |d| - ½/σ² beyond, over the number of items.

    Bottoms: predictions, targets and, both or neither, inside weights that multiply the differences
    and outside weights that multiply their losses. Its loss_weight is 0 where none is given.

    Source: caffe-fast-rcnn's SmoothL1LossLayer (branch faster-rcnn). intel/caffe's, which
    `normalization: NONE` keeps from dividing.
    """

    type = "SmoothL1Loss"
    rule = "rcnn"
    dialects = ("rcnn", "intel")
    differs = "two or four bottoms, sigma, loss_weight 0"
    param = "smooth_l1_loss_param"
    bottoms = (2, 4)
    each = Operations(comparisons=1, additions=2)
    is_loss = False
    shown = (Setting("sigma", "sigma {}", True),)
    example = Example(
        {**BOXES, **_INSIDE, **_OUTSIDE},
        "loss_weight: 1 smooth_l1_loss_param { sigma: 3 }",
        tops=("loss",),
        shapes=SCALAR,
    )

    def evidence(self, message: Any) -> bool | None:
        if stated(message, "smooth_l1_loss_param") is not None or len(message.bottom) == 4:
            return True
        is_other = is_pre_fixed(message) or len(message.bottom) == 3 or len(message.top) > 1
        return False if is_other else None

    def check(self, context: LayerContext) -> None:
        if len(context.layer.bottom_blobs) == 3:
            raise context.stop("takes 2 or 4 bottoms, got 3: the outside weights are missing")
        warn_of_weight_0(context)


class SmoothL1LossOfRFCN(_Differences):
    """½d² of weighted differences d up to 1, |d| - ½ beyond, over a normaliser.

    A third bottom weighs the differences; it does not weigh their gradients. A second top holds
    the loss of each place, summed over the channels. VALID and FULL count places, BATCH_SIZE items.
    Its loss_weight is 0 where none is given.

    Source: caffe-rfcn's SmoothL1LossLayer, intel/caffe's SmoothL1LossOHEMLayer.
    """

    type = "SmoothL1Loss"
    rule = "rfcn"
    dialects: ClassVar[tuple[str, ...]] = ("rfcn",)
    differs = "two or three bottoms, a normaliser, a second top of each place's loss"
    param = "loss_param"
    takes = frozenset({"normalization", "pre_fixed_normalizer"})
    bottoms = (2, 3)
    tops = (1, 2)
    each = Operations(comparisons=1, additions=2)
    is_loss = False
    example = Example(
        {**BOXES, **_INSIDE},
        "loss_weight: 1 loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 128 }",
        tops=("loss",),
        shapes=f"{SCALAR}; a second top is N×1×H×W",
    )

    def evidence(self, message: Any) -> bool | None:
        if stated(message, "smooth_l1_loss_param") is not None or len(message.bottom) > 3:
            return False
        is_own = is_pre_fixed(message) or len(message.bottom) == 3 or len(message.top) > 1
        return True if is_own else None

    def check(self, context: LayerContext) -> None:
        check_pre_fixed(context)
        warn_of_weight_0(context)

    def infer(self, context: LayerContext) -> list[Shape]:
        super().infer(context)
        shape = context.bottoms[0]
        if len(shape) > 4:
            raise context.stop(
                f"'{context.layer.bottoms[0]}' has at most 4 axes, got {shape_text(shape)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        n, _, h, w = (*shape, 1, 1, 1)[:4]
        return [(), (n, 1, h, w)][: len(context.layer.top_blobs)]


class SmoothL1LossOHEM(SmoothL1LossOfRFCN):
    """R-FCN's SmoothL1Loss under the name that intel/caffe and R-FCN's nets give it.

    A third bottom weighs the differences; it does not weigh their gradients. A second top holds
    the loss of each place, summed over the channels. Its loss_weight is 0 where none is given.

    Source: intel/caffe's SmoothL1LossOHEMLayer.
    """

    type = "SmoothL1LossOHEM"
    rule = differs = ""
    dialects = ()

    def evidence(self, message: Any) -> bool | None:
        return None


class L1Loss(_Differences):
    """The sum of absolute differences over the number of items.

    Source: NVIDIA/caffe's L1LossLayer.
    """

    type = "L1Loss"
    each = Operations(comparisons=1, additions=2)
    unforced: ClassVar[tuple[int, ...]] = ()
    example = Example(BOXES, tops=("loss",), shapes=SCALAR)

    def match(self, context: LayerContext) -> None:
        a, b = context.bottoms
        if prod(a[1:]) != prod(b[1:]):
            context.same_shapes(0, 1)


def check_pre_fixed(context: LayerContext) -> None:
    """Reports a PRE_FIXED normaliser that is no number above 0."""
    p = context.message.loss_param
    value = stated(p, "pre_fixed_normalizer")
    if value is not None and not value > 0:
        context.error(
            f"'pre_fixed_normalizer' must be greater than 0, got {value:g}",
            "loss_param",
            "pre_fixed_normalizer",
        )
    elif value is not None and stated_word(p, "normalization") != "PRE_FIXED":
        context.warn(
            "'pre_fixed_normalizer' counts only under 'normalization: PRE_FIXED'",
            "loss_param",
            "pre_fixed_normalizer",
        )


def pre_fixed_of(p: LossParameter) -> float | None:
    """What a loss is divided by under PRE_FIXED, at least 1; None for the other modes."""
    if stated_word(p, "normalization") != "PRE_FIXED":
        return None
    return max(1.0, stated(p, "pre_fixed_normalizer") or 1.0)


SPECS = (
    SmoothL1LossOfSSD,
    SmoothL1LossOfRCNN,
    SmoothL1LossOfRFCN,
    SmoothL1LossOHEM,
    L1Loss,
)
