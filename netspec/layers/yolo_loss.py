"""YOLO's losses: differences of boxes, objectness and classes.

Source: eric612/MobileNet-YOLO; RegionLoss stands in intel/caffe, too.
"""

from __future__ import annotations

from math import prod

from netspec.graph import shape_text
from netspec.layers.example import SCALAR, Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import Loss
from netspec.layers.operations import SIGMOID
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec
from netspec.layers.yolo import (
    ANCHORS,
    V3_ANCHORS,
    require_biases,
    require_channels,
    require_masked,
    require_square,
)

MAX_TRUTHS = 300  # rows of a label: class, x, y, w, h
LEAST_BIASES = 10  # RegionLoss takes fewer for 0


class YoloLoss(Loss):
    """What the losses of boxes share: 300 rows of class, x, y, w, h for each image."""

    def match(self, context: LayerContext) -> None:
        labels = context.bottoms[1]
        if prod(labels[1:]) != 5 * MAX_TRUTHS:
            raise context.stop(
                f"'{context.layer.bottoms[1]}' ({shape_text(labels)}) must hold {MAX_TRUTHS} rows "
                f"of 5 values for each image, got {prod(labels[1:])} values",
                "bottom",
                1,
                hint="a row is class, x, y, width, height; rows of 0 fill it up",
                notes=[context.made_here(1)],
            )


class RegionLoss(YoloLoss):
    """The loss of YOLO version 2: squared differences of boxes, objectness and classes.

    Its gradient is the differences over N, not the derivative of the loss.
    Source: MobileNet-YOLO's RegionLossLayer.
    """

    type = "RegionLoss"
    param = "region_loss_param"
    each = SIGMOID
    dialects = ("yolo",)
    shown = (
        Setting("num_class", "{} classes", True),
        Setting("num", "{} anchors", True),
        Setting("thresh", "thresh {}"),
    )
    example = Example(
        {"data": (8, 125, 13, 13), "label": (8, 1500)},
        f"region_loss_param {{ num_class: 20 num: 5 {ANCHORS} biases: 9.42 biases: 5.11 "
        "biases: 16.62 biases: 10.52 }",
        shapes=SCALAR,
    )

    def check(self, context: LayerContext) -> None:
        p = context.param
        if len(p.biases) < LEAST_BIASES:
            # a quirk of the fork: it takes them for 0, and the logarithm of a size over 0 is inf
            context.warn(
                f"fewer than {LEAST_BIASES} 'biases' count as 0 in the fork, got {len(p.biases)}: "
                "the loss is infinite",
                "biases",
            )
        if max(len(p.biases), LEAST_BIASES) < 2 * p.num:
            require_biases(context, p.num)
        for name in ("num", "num_class"):
            if not getattr(p, name):
                context.error(f"'{name}' must be at least 1", name)
        if p.coords < 4:
            context.error(f"'coords' must be at least 4, got {p.coords}", "coords")

    def match(self, context: LayerContext) -> None:
        p = context.param
        require_channels(context, 0, p.num, p.coords + 1 + p.num_class)
        require_square(context, 0)
        super().match(context)


class Yolov3(YoloLoss):
    """The loss of YOLO version 3 for the anchors of one scale.

    Source: MobileNet-YOLO's Yolov3Layer.
    """

    type = "Yolov3"
    param = "yolov3_param"
    dialects = ("yolo",)
    not_computed = "the versions of its fork disagree about its numbers"
    each = SIGMOID
    shown = (Setting("num_class", "{} classes", True), Setting("num", "{} anchors", True))
    example = Example(
        {"data": (8, 75, 13, 13), "label": (8, 1500)},
        f"yolov3_param {{ num_class: 20 num: 3 {V3_ANCHORS} mask: 2 mask: 3 mask: 4 }}",
        shapes=SCALAR,
    )

    def check(self, context: LayerContext) -> None:
        require_masked(context)
        if len(context.param.mask) < context.param.num:
            context.error(
                f"{context.param.num} anchors need as many 'mask', got {len(context.param.mask)}",
                "mask",
            )

    def match(self, context: LayerContext) -> None:
        require_channels(context, 0, context.param.num, 5 + context.param.num_class)
        super().match(context)


class YoloSeg(Loss):
    """The squared differences of a segmentation's sigmoid to its label, over N.

    Source: MobileNet-YOLO's YoloSegLayer.
    """

    type = "YoloSeg"
    param = "yolo_seg_param"
    dialects = ("yolo",)
    not_computed = "the versions of its fork disagree about its numbers"
    each = SIGMOID
    example = Example(
        {"scores": (8, 1, 52, 52), "label": (8, 1, 52, 52)},
        "yolo_seg_param { num_class: 1 }",
        shapes=SCALAR,
    )


SPECS: tuple[type[Spec], ...] = (RegionLoss, Yolov3, YoloSeg)
