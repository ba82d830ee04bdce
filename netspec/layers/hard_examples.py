"""Online hard example mining (OHEM), as R-FCN does it: the losses of each region, and its choice.

Source: daijifeng001/caffe-rfcn, intel/caffe; Shrivastava et al. 2016.
"""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

from netspec.graph import Shape, shape_text
from netspec.layers.example import SCALAR, SCORES, Example
from netspec.layers.kept import NOTHING
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import Loss, require_labels, warn_of_second_top
from netspec.layers.operations import SOFTMAX, Operations
from netspec.layers.setting import IGNORED, Setting
from netspec.layers.smooth_l1_loss import check_pre_fixed, is_pre_fixed
from netspec.layers.spec import Spec


class SoftmaxWithLossOfRFCN(Loss):
    """SoftmaxWithLoss that can divide by a number, and give the loss of each label.

    Tops: the loss, the softmax, the losses in the shape of the labels.

    Source: caffe-rfcn's SoftmaxWithLossLayer.
    """

    type = "SoftmaxWithLoss"
    rule = "rfcn"
    dialects: ClassVar[tuple[str, ...]] = ("rfcn",)
    differs = "normalization PRE_FIXED, a third top of each label's loss"
    param = "softmax_param"
    takes = frozenset({"normalization", "pre_fixed_normalizer"})
    tops = (1, 3)
    each = SOFTMAX
    shown_param = "loss_param"
    shown = IGNORED[:1]
    example = Example(
        SCORES,
        "loss_weight: 1 loss_weight: 0 loss_weight: 0 "
        "loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 128 }",
        tops=("loss", "softmax", "losses"),
        shapes=f"{SCALAR}; a second top has the first bottom's shape, a third the labels'",
    )

    def evidence(self, message: Any) -> bool | None:
        return True if len(message.top) > 2 or is_pre_fixed(message) else None

    def check(self, context: LayerContext) -> None:
        check_pre_fixed(context)
        if len(context.layer.top_blobs) > 1 and not context.message.loss_weight:
            warn_of_second_top(context, "give 'loss_weight' once for each top, such as 1 and 0")

    def match(self, context: LayerContext) -> None:
        require_labels(context, context.axis(context.param.axis, len(context.bottoms[0]), "axis"))

    def infer(self, context: LayerContext) -> list[Shape]:
        super().infer(context)
        return [(), *context.bottoms][: len(context.layer.top_blobs)]


class SoftmaxWithLossOHEM(SoftmaxWithLossOfRFCN):
    """R-FCN's SoftmaxWithLoss under the name that intel/caffe and R-FCN's nets give it.

    Tops: the loss, the softmax, the losses in the shape of the labels. Of three tops, intel/caffe
    leaves the second as it is; netspec fills it as R-FCN does.

    Source: intel/caffe's SoftmaxWithLossOHEMLayer.
    """

    type = "SoftmaxWithLossOHEM"
    rule = differs = ""
    dialects = ()

    def evidence(self, message: Any) -> bool | None:
        return None


class BoxAnnotatorOHEM(Spec):
    """Keeps the labels and box weights of each image's hardest regions, and ignores the others'.

    Bottoms: regions (R×5), the loss of each, its label, its box weights (R×K). Tops: labels, box
    weights. The regions of the greatest losses keep theirs; the others get ignore_label and 0. No
    gradient.

    Source: caffe-rfcn's BoxAnnotatorOHEMLayer.
    """

    type = "BoxAnnotatorOHEM"
    param = "box_annotator_ohem_param"
    bottoms = (4, 4)
    tops = (2, 2)
    keeps = NOTHING
    each = Operations(comparisons=1)
    unforced = (0, 1, 2, 3)
    shown = (Setting("roi_per_img", "{} regions an image", True),)
    example = Example(
        {
            "rois": (300, 5),
            "per_roi_loss": (300, 1),
            "labels": (300, 1),
            "bbox_inside_weights": (300, 8),
        },
        "box_annotator_ohem_param { roi_per_img: 128 }",
        tops=("labels_ohem", "bbox_loss_weights_ohem"),
        shapes="those of the labels and of the box weights",
    )

    def check(self, context: LayerContext) -> None:
        if not context.param.roi_per_img:
            context.error("'roi_per_img' must be at least 1", "roi_per_img")

    def infer(self, context: LayerContext) -> list[Shape]:
        shapes = [(*shape, 1, 1, 1)[: max(4, len(shape))] for shape in context.bottoms]
        regions = (shapes[0][0], *shapes[0][2:])
        for i, (shape, channels) in enumerate(zip(shapes, (5, 1, 1, None), strict=True)):
            fits = len(shape) == 4 and (shape[0], *shape[2:]) == regions
            if not fits or (channels and shape[1] != channels):
                wanted = (
                    "5 numbers for each region (image, x1, y1, x2, y2)"
                    if i == 0
                    else f"{'one value' if channels else 'the weights'} for each of the "
                    f"{prod(regions)} regions"
                )
                raise context.stop(
                    f"'{context.layer.bottoms[i]}' must hold {wanted}, "
                    f"got {shape_text(context.bottoms[i])}",
                    "bottom",
                    i,
                    notes=[context.made_here(i)],
                )
        return [context.bottoms[2], context.bottoms[3]]


SPECS: tuple[type[Spec], ...] = (SoftmaxWithLossOfRFCN, SoftmaxWithLossOHEM, BoxAnnotatorOHEM)
