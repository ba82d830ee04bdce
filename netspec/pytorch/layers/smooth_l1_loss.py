"""Losses of absolute differences: the smooth L1 loss of boxes by three rules, the L1 loss."""

from __future__ import annotations

from math import inf
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.layers.smooth_l1_loss import pre_fixed_of
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import normalization_of, normalizer, wide
from netspec.schema.caffe_pb2 import LossParameter


def smooth_l1(difference: Tensor, turn: float = 1.0) -> Tensor:
    """d²/2t of differences d up to t, |d| - t/2 beyond."""
    zero = torch.zeros_like(difference)
    return F.smooth_l1_loss(difference, zero, reduction="none", beta=turn)


class SmoothL1Loss(LayerModule):
    """The smooth L1 loss over the number of items, or over 1, with weights of R-CNN's.

    Shapes: predictions, targets, inside and outside weights all alike.
    """

    def __init__(self, sigma: float, divides: bool = True) -> None:
        super().__init__()
        self.sigma, self.divides = sigma, divides
        self.turn = 1 / (sigma * sigma) if sigma else inf  # with sigma 0 no loss is left

    def extra_repr(self) -> str:
        return f"sigma={self.sigma:g}"

    def forward(
        self, a: Tensor, b: Tensor, inside: Tensor | None = None, outside: Tensor | None = None
    ) -> Tensor:
        difference = wide(a) - wide(b)
        if inside is None or outside is None:
            terms = smooth_l1(difference, self.turn)
        else:
            terms = smooth_l1(inside.detach() * difference, self.turn) * outside.detach()
        return terms.sum() / (max(1, a.shape[0]) if self.divides else 1)


class _Weighted(torch.autograd.Function):
    """The product of differences and weights, of which R-FCN's gradient does not know."""

    @staticmethod
    def forward(ctx: Any, difference: Tensor, weights: Tensor) -> Tensor:
        return difference * weights

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class SmoothL1LossOHEM(LayerModule):
    """R-FCN's smooth L1 loss over a normaliser, and on a second top that of each place.

    Shapes: predictions, targets and weights (N, C) or (N, C, H, W) → a scalar, (N, 1, H, W).
    """

    def __init__(self, normalization: int, fixed: float | None, each: bool) -> None:
        super().__init__()
        self.normalization, self.fixed, self.each = normalization, fixed, each

    def extra_repr(self) -> str:
        if self.fixed is not None:
            return f"normalizer={self.fixed:g}"
        return f"normalization={LossParameter.NormalizationMode.Name(self.normalization)}"

    def forward(
        self, a: Tensor, b: Tensor, weights: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        difference = wide(a) - wide(b)
        if weights is not None:
            difference = _Weighted.apply(difference, weights.detach().to(difference.dtype))
        n, c, h, w = (*a.shape, 1, 1, 1)[:4]
        terms = smooth_l1(difference).view(n, c, h, w)
        divisor = self.fixed or normalizer(self.normalization, n, n * h * w, None)
        loss = terms.sum() / divisor
        # Caffe sends no gradient back from the second top
        return (loss, terms.detach().sum(1, keepdim=True)) if self.each else loss


class L1Loss(LayerModule):
    """The sum of absolute differences over the number of items; equal values get no gradient."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (wide(a) - wide(b).reshape(a.shape)).abs().sum() / max(1, a.shape[0])


def build_rcnn(layer: Layer) -> nn.Module:
    p = layer.message.loss_param
    divides = not (p.HasField("normalization") and p.normalization == LossParameter.NONE)
    return SmoothL1Loss(layer.field("smooth_l1_loss_param").sigma, divides)


def build_rfcn(layer: Layer) -> nn.Module:
    p = layer.message.loss_param
    return SmoothL1LossOHEM(normalization_of(p), pre_fixed_of(p), len(layer.top_blobs) > 1)


BUILDERS = {
    "SmoothL1Loss (ssd)": Builder(lambda layer: SmoothL1Loss(1.0)),
    "SmoothL1Loss (rcnn)": Builder(build_rcnn),
    "SmoothL1Loss (rfcn)": Builder(build_rfcn),
    "SmoothL1LossOHEM": Builder(build_rfcn),
    "L1Loss": Builder(lambda layer: L1Loss()),
}
