"""Losses between values, with Caffe's own gradient where it is not the true one."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import (
    ignored_label,
    item_rows,
    normalization_of,
    normalizer,
    wide,
)
from netspec.schema.caffe_pb2 import LossParameter


class SigmoidCrossEntropyLoss(LayerModule):
    """The cross entropy of sigmoid(scores) and targets from 0 to 1, over a normaliser.

    VALID and FULL count values.

    A target counts unless its whole part is `ignore`.
    """

    def __init__(self, ignore: int | None, normalization: int) -> None:
        super().__init__()
        self.ignore, self.normalization = ignore, normalization

    def extra_repr(self) -> str:
        return (
            f"ignore_label={self.ignore}, "
            f"normalization={LossParameter.NormalizationMode.Name(self.normalization)}"
        )

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        scores = wide(scores)
        targets = targets.detach().reshape(scores.shape).to(scores.dtype)
        if self.ignore is None:
            total, counted = (
                F.binary_cross_entropy_with_logits(scores, targets, reduction="sum"),
                None,
            )
        else:
            terms = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
            counted = targets.long() != self.ignore
            total = torch.where(counted, terms, 0.0).sum()
        return total / normalizer(self.normalization, scores.shape[0], scores.numel(), counted)


class EuclideanLoss(LayerModule):
    """The sum of squared differences over twice the number of items. Both bottoms get gradients."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return F.mse_loss(wide(a), wide(b).reshape(a.shape), reduction="sum") / (2 * a.shape[0])


class _Contrastive(torch.autograd.Function):
    """The mean over pairs of ½d² for similar ones, ½max(0, margin - d)² for others.

    With legacy_version the latter is ½max(0, margin - d²).

    Caffe's gradient of the last but one divides by d + 1e-4, not by d.
    """

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, similar: Tensor, margin: float, legacy: bool
    ) -> Tensor:
        difference = a - b
        squared = (difference * difference).sum(1)
        distance = squared.sqrt()
        rest = margin - (squared if legacy else distance)
        inside = rest.clamp(min=0)
        ctx.save_for_backward(difference, distance, rest, similar)
        ctx.legacy = legacy
        return (
            torch.where(similar, squared, inside if legacy else inside * inside).sum()
            / a.shape[0]
            / 2
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        difference, distance, rest, similar = ctx.saved_tensors
        apart = torch.full_like(rest, -1.0) if ctx.legacy else -rest / (distance + 1e-4)
        factor = torch.where(similar, 1.0, torch.where(rest > 0, apart, 0.0))
        slope = (grad / rest.shape[0] * factor).unsqueeze(1) * difference
        return slope, -slope, None, None, None


class ContrastiveLoss(LayerModule):
    """Draws similar pairs together and pushes others apart up to a margin.

    A flag is true where its whole part is not 0.
    """

    def __init__(self, margin: float, legacy: bool) -> None:
        super().__init__()
        self.margin, self.legacy = margin, legacy

    def extra_repr(self) -> str:
        return f"margin={self.margin:g}, legacy_version={self.legacy}"

    def forward(self, a: Tensor, b: Tensor, similar: Tensor) -> Tensor:
        return _Contrastive.apply(
            item_rows(wide(a)),
            item_rows(wide(b)),
            similar.reshape(-1)[: a.shape[0]].long() != 0,
            self.margin,
            self.legacy,
        )


def build_sigmoid_cross_entropy_loss(layer: Layer) -> nn.Module:
    p = layer.message.loss_param
    return SigmoidCrossEntropyLoss(ignored_label(p), normalization_of(p, LossParameter.BATCH_SIZE))


def build_euclidean_loss(layer: Layer) -> nn.Module:
    return EuclideanLoss()


def build_contrastive_loss(layer: Layer) -> nn.Module:
    p = layer.message.contrastive_loss_param
    return ContrastiveLoss(p.margin, p.legacy_version)


BUILDERS = {
    "SigmoidCrossEntropyLoss": Builder(build_sigmoid_cross_entropy_loss),
    "EuclideanLoss": Builder(build_euclidean_loss),
    "ContrastiveLoss": Builder(build_contrastive_loss),
}
