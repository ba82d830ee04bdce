"""Losses and figures of merit of a label at each pixel.

Source: alexgkendall/caffe-segnet's SoftmaxWithLossLayer, hszhao/PSPNet's SegAccuracyLayer.
"""

from __future__ import annotations

from math import prod
from typing import Any

from netspec.graph import Shape, shape_text
from netspec.layers.example import Example
from netspec.layers.kept import NOTHING
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import SoftmaxWithLoss
from netspec.layers.operations import Operations
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec
from netspec.schema.forks import stated

_PIXELS: dict[str, Shape] = {"scores": (2, 4, 60, 80), "label": (2, 1, 60, 80)}


class WeightedSoftmaxWithLoss(SoftmaxWithLoss):
    """Caffe's, each label's part times the weight of its class, over the number of labels.

    The weights are not in the number; without a label that counts the loss is NaN.

    Source: alexgkendall/caffe-segnet's SoftmaxWithLossLayer.
    """

    rule = "segnet"
    dialects = ("segnet",)
    differs = "weight_by_label_freqs or class_weighting"
    takes = frozenset({"weight_by_label_freqs", "class_weighting"})
    example = Example(
        _PIXELS,
        "loss_param { weight_by_label_freqs: true ignore_label: 3 class_weighting: 0.2 "
        "class_weighting: 1.5 class_weighting: 3 class_weighting: 0.7 }",
        shapes="the loss is a scalar; a second top has the first bottom's shape",
    )

    def evidence(self, message: Any) -> bool | None:
        p = message.loss_param
        return any(stated(p, name) is not None for name in sorted(self.takes)) or None

    def check(self, context: LayerContext) -> None:
        if context.message.loss_param.HasField("normalization"):
            message = (
                f"{context.layer.label}: 'normalization' has no effect in SegNet's rule, "
                "where 'normalize' counts"
            )
            span = context.layer.spans.at("loss_param", "normalization")
            context.report.warning(message, span, "write 'normalize: true' or false")

    def match(self, context: LayerContext) -> None:
        super().match(context)
        p, scores = context.message.loss_param, context.bottoms[0]
        given = len(stated(p, "class_weighting") or ())
        classes = scores[context.axis(context.param.axis, len(scores), "axis")]
        if stated(p, "weight_by_label_freqs") and given != classes:
            field = "class_weighting" if given else "weight_by_label_freqs"
            raise context.stop(
                f"{classes} classes take as many 'class_weighting', got {given}",
                "loss_param",
                field,
                notes=[context.made_here(0)],
            )


class SegAccuracy(Spec):
    """The share of pixels that are right, its mean over the classes, and the mean IoU.

    A class without a pixel is left out of the first mean, and counts as 1 in the second where
    nothing was taken for it either. A single channel is 1 above 0.5, else 0.

    Source: hszhao/PSPNet's SegAccuracyLayer.
    """

    type = "SegAccuracy"
    param = "seg_accuracy_param"
    bottoms = (2, 2)
    keeps = NOTHING
    each = Operations(comparisons=1)
    unforced = (0, 1)
    is_metric = True
    shown = (Setting("ignore_label", "ignores {}"),)
    example = Example(
        _PIXELS,
        "seg_accuracy_param { ignore_label: 255 }",
        shapes="1×1×1×3: pixel accuracy, class accuracy, IoU",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        scores, labels = context.bottoms
        wanted = (scores[0], 1, *scores[2:]) if len(scores) > 1 else ()
        if len(scores) < 2 or prod(labels) != prod(wanted) or labels[:1] != scores[:1]:
            names = context.layer.bottoms
            raise context.stop(
                f"'{names[0]}' ({shape_text(scores)}) and '{names[1]}' ({shape_text(labels)}) "
                "must be scores N×C×H×W and labels N×1×H×W",
                "bottom",
                1,
                notes=[context.made_here(0), context.made_here(1)],
            )
        return [(1, 1, 1, 3)]


SPECS: tuple[type[Spec], ...] = (WeightedSoftmaxWithLoss, SegAccuracy)
