"""The focal losses of the forks. Source: chuanqi305/FocalLoss, happynear/caffe-windows."""

from __future__ import annotations

from netspec.layers.example import SCALAR, SCORES, Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import Loss, require_labels, warn_of_second_top
from netspec.layers.operations import SOFTMAX
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec
from netspec.schema.caffe_pb2 import LayerParameter
from netspec.schema.forks import states_any


class FocalLoss(Loss):
    """-alpha · (1 - p)^gamma · log p of the label's softmax p, over a normaliser.

    The softmax runs along softmax_param's axis, the classes lie along focal_loss_param's.
    Source: chuanqi305/FocalLoss.
    """

    type = "FocalLoss"
    rule = "ssd"
    dialects = ("ssd",)
    differs = "alpha multiplies the loss, 0.25 by default; axis"
    param = "focal_loss_param"
    tops = (1, 2)
    each = SOFTMAX
    shown = (Setting("alpha", "alpha {}"), Setting("gamma", "gamma {}"))
    example = Example(
        SCORES,
        "focal_loss_param { alpha: 0.25 gamma: 2 axis: 1 }",
        shapes=f"{SCALAR}; a second top has the first bottom's shape",
    )

    def evidence(self, message: LayerParameter) -> bool | None:
        if states_any(message, self.param, "axis", "engine"):
            return True
        return False if states_any(message, self.param, "type", "beta") else None

    def check(self, context: LayerContext) -> None:
        if len(context.layer.top_blobs) > 1:
            warn_of_second_top(context)

    def match(self, context: LayerContext) -> None:
        axes = len(context.bottoms[0])
        context.axis(context.message.softmax_param.axis, axes, "softmax_param", "axis")
        require_labels(context, context.axis(context.param.axis, axes, "axis"))


class FocalLossHappynear(FocalLoss):
    """-(alpha - p)^gamma · log p of the label's softmax p, or (alpha + p) where `type` is ONEADDP.

    Its gradient takes alpha for 1; beta is unused. Source: happynear/caffe-windows.
    """

    rule = "happynear"
    dialects = ("happynear",)
    differs = "alpha stands in the power, 1 by default; type, beta"
    example = Example(
        SCORES,
        "focal_loss_param { type: ONEADDP gamma: 2 }",
        shapes=f"{SCALAR}; a second top has the first bottom's shape",
    )

    def evidence(self, message: LayerParameter) -> bool | None:
        if states_any(message, self.param, "type", "beta"):
            return True
        return False if states_any(message, self.param, "axis", "engine") else None

    def check(self, context: LayerContext) -> None:
        super().check(context)
        p = context.param
        if p.HasField("alpha") and not p.alpha > 0:
            context.error(f"'alpha' must be above 0, got {p.alpha:g}", "alpha")
        if not p.gamma >= 0:
            context.error(f"'gamma' must be at least 0, got {p.gamma:g}", "gamma")

    def match(self, context: LayerContext) -> None:
        axis = context.message.softmax_param.axis
        axis = context.axis(axis, len(context.bottoms[0]), "softmax_param", "axis")
        require_labels(context, axis)


SPECS: tuple[type[Spec], ...] = (FocalLoss, FocalLossHappynear)
