"""SSD's loss of boxes and scores.

Source: weiliu89/caffe, branch ssd (MultiBoxLossLayer); sfzhang15/RefineDet (the fifth and sixth
bottom).
"""

from __future__ import annotations

from netspec.graph import Shape
from netspec.layers.detection import (
    require_arm,
    require_classes,
    require_count,
    require_predictions,
    require_rows,
)
from netspec.layers.example import SCALAR, Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import Loss, warn_of_learned
from netspec.layers.operations import Operations
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec
from netspec.schema.forks_pb2 import MultiBoxLossParameter as Parameter


class MultiBoxLoss(Loss):
    """The loss of the boxes and scores that are predicted for prior boxes, against true boxes."""

    type = "MultiBoxLoss"
    param = "multibox_loss_param"
    bottoms = (4, 6)
    each = Operations(comparisons=1, additions=2)
    unforced = (2, 3, 4, 5)
    labels = (2, 3)
    shown = (
        Setting("num_classes", "{} classes", True),
        Setting("mining_type", "mining {}", True),
        Setting("overlap_threshold", "overlap {}", True),
    )
    example = Example(
        {
            "loc": (8, 34928),
            "conf": (8, 183372),
            "prior": (1, 2, 34928),
            "label": (1, 1, 24, 8),
        },
        "propagate_down: true propagate_down: true propagate_down: false propagate_down: false "
        "multibox_loss_param { num_classes: 21 code_type: CENTER_SIZE neg_pos_ratio: 3 }",
        tops=("loss",),
        shapes=SCALAR,
    )

    def check(self, context: LayerContext) -> None:
        p = context.param
        require_classes(context)
        is_mining = p.mining_type != Parameter.NONE
        if is_mining and not p.share_location:
            context.error("mining needs 'share_location' true", "share_location", hint="or NONE")
        if p.mining_type == Parameter.HARD_EXAMPLE and p.sample_size <= 0:
            context.error(f"'sample_size' must be above 0, got {p.sample_size}", "sample_size")
        if context.has("do_neg_mining") and p.do_neg_mining != is_mining:
            word = Parameter.MiningType.Name(p.mining_type)
            context.error(
                f"'do_neg_mining' {str(p.do_neg_mining).lower()} does not agree with "
                f"'mining_type' {word}",
                "do_neg_mining",
                hint="leave it out: 'mining_type' says the same",
            )
        self._check_classes(context)
        self._check_suppression(context)
        if p.ignore_difficult_gt:
            context.error("'ignore_difficult_gt' is not carried out", "ignore_difficult_gt")
        flags = context.message.propagate_down
        for i in (2, 3):
            if i < len(flags) and flags[i]:
                context.error(
                    f"MultiBoxLoss sends no gradient to '{context.layer.bottoms[i]}'",
                    "propagate_down",
                    i,
                    hint="false for the prior boxes and the true ones",
                )

    def _check_classes(self, context: LayerContext) -> None:
        p = context.param
        if not p.num_classes:
            return
        if p.background_label_id >= p.num_classes:
            context.error(
                f"'background_label_id' {p.background_label_id} is out of range: expected below "
                f"'num_classes' {p.num_classes}",
                "background_label_id",
            )
        elif p.map_object_to_agnostic and (p.num_classes, p.background_label_id) != (2, 0):
            context.error(
                "'map_object_to_agnostic' needs 'num_classes' 2 and 'background_label_id' 0, got "
                f"{p.num_classes} and {p.background_label_id}",
                "map_object_to_agnostic",
            )

    def _check_suppression(self, context: LayerContext) -> None:
        p = context.param
        nms = p.nms_param
        if p.mining_type == Parameter.NONE or not context.has("nms_param"):
            return
        if nms.nms_threshold > 0 and not nms.HasField("top_k"):
            context.warn(
                "an 'nms_param' without 'top_k' selects nothing here",
                "nms_param",
                hint="'top_k' says how many candidates are looked at; -1 for all",
            )

    def infer(self, context: LayerContext) -> list[Shape]:
        count = require_predictions(context)
        require_rows(context, 3, 8, "true boxes")
        if len(context.bottoms) > 5:
            require_arm(context, 4, count, context.param.share_location)
        elif len(context.bottoms) > 4:
            require_count(context, 4, count * 2, "a score", 2, count)
        warn_of_learned(context, *self.labels)
        return [()]


SPECS: tuple[type[Spec], ...] = (MultiBoxLoss,)
