"""Online hard example mining (OHEM), as R-FCN does it: each region's loss, and the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.layers.smooth_l1_loss import pre_fixed_of
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss import SoftmaxWithLoss, probabilities_of
from netspec.pytorch.layers.loss_terms import (
    class_axis,
    ignored_label,
    label_span,
    normalization_of,
    normalizer,
)

if TYPE_CHECKING:
    from netspec.diagnostics import Span


class SoftmaxWithLossOHEM(SoftmaxWithLoss):
    """SoftmaxWithLoss with R-FCN's normaliser and a third top: the loss of each label.

    Ignored labels lose 0; a sum of the others is the loss. (On a CPU, intel/caffe sums the first
    ones instead, as many as are not ignored.)
    """

    def __init__(
        self,
        axis: int,
        ignore: int | None,
        normalization: int,
        fixed: float | None,
        tops: int,
        label: str,
        span: Span | None = None,
    ) -> None:
        super().__init__(axis, ignore, normalization, tops > 1, label, span)
        self.fixed, self.each = fixed, tops > 2

    def extra_repr(self) -> str:
        if self.fixed is None:
            return super().extra_repr()
        return f"axis={self.axis}, ignore_label={self.ignore}, normalizer={self.fixed:g}"

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, ...]:
        log_p, terms, index = self.losses(scores, labels)
        divisor = self.fixed or normalizer(
            self.normalization, log_p.shape[0], index.numel(), self.counted(index)
        )
        loss = terms.sum() / divisor
        if not self.probabilities:
            return loss
        each = terms.detach().reshape(labels.shape) + 0  # no loss at all is 0, not -0
        return (loss, probabilities_of(log_p, scores), each)[: 3 if self.each else 2]


class BoxAnnotatorOHEM(LayerModule):
    """Keeps the labels and box weights of the regions of the greatest losses of each image.

    Shapes: regions (R, 5, H, W), losses and labels (R, 1, H, W), weights (R, K, H, W), H and W
    often 1 or left out.
    """

    def __init__(self, most: int, ignore: int) -> None:
        super().__init__()
        self.most, self.ignore = most, ignore

    def extra_repr(self) -> str:
        return f"roi_per_img={self.most}, ignore_label={self.ignore}"

    @torch.no_grad()
    def forward(
        self, rois: Tensor, losses: Tensor, labels: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        image = rois.narrow(1, 0, 1).reshape(-1).long()
        order = losses.reshape(-1).argsort(descending=True, stable=True)
        # those of an image together, the greatest loss of each image first
        order = order[image[order].argsort(stable=True)]
        own = image[order].contiguous()
        rank = torch.arange(own.numel(), device=own.device) - torch.searchsorted(own, own)
        keeps = torch.zeros_like(own, dtype=torch.bool)
        keeps[order] = rank < self.most
        return (
            torch.where(keeps.view(labels.shape), labels, self.ignore),
            torch.where(keeps.view(rois[:, :1].shape), weights, 0.0),
        )


def build_softmax_with_loss(layer: Layer) -> nn.Module:
    p = layer.message.loss_param
    return SoftmaxWithLossOHEM(
        class_axis(layer, layer.message.softmax_param.axis),
        ignored_label(p),
        normalization_of(p),
        pre_fixed_of(p),
        len(layer.top_blobs),
        layer.label,
        label_span(layer),
    )


def build_box_annotator(layer: Layer) -> nn.Module:
    p = layer.field("box_annotator_ohem_param")
    return BoxAnnotatorOHEM(p.roi_per_img, p.ignore_label)


BUILDERS = {
    "SoftmaxWithLoss (rfcn)": Builder(build_softmax_with_loss),
    "SoftmaxWithLossOHEM": Builder(build_softmax_with_loss),
    "BoxAnnotatorOHEM": Builder(build_box_annotator),
}
