"""SegNet's loss with weights of classes, and the measures of a segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss import SoftmaxWithLoss
from netspec.pytorch.layers.loss_terms import (
    class_axis,
    flat_labels,
    ignored_label,
    label_span,
)
from netspec.schema.caffe_pb2 import LossParameter
from netspec.schema.forks import stated

if TYPE_CHECKING:
    from netspec.diagnostics import Span


class WeightedSoftmaxWithLoss(SoftmaxWithLoss):
    """-log softmax at the label times the weight of its class, over the number of labels or items.

    Where no label counts, the loss is 0 / 0: SegNet has no least number of 1.
    """

    weights: Tensor | None

    def __init__(
        self,
        axis: int,
        ignore: int | None,
        normalize: bool,
        probabilities: bool,
        weights: list[float] | None,
        place: tuple[str, Span | None],
    ) -> None:
        mode = LossParameter.VALID if normalize else LossParameter.BATCH_SIZE
        super().__init__(axis, ignore, mode, probabilities, *place)
        held = None if weights is None else torch.tensor(weights)
        self.register_buffer("weights", held, persistent=False)

    def weighted(self, terms: Tensor, index: Tensor) -> Tensor:
        if self.weights is None:
            return terms
        # an ignored label loses 0, whatever its weight
        own = index.clamp(0, len(self.weights) - 1)
        return terms * self.weights.to(terms.dtype)[own].view_as(terms)

    def divisor(self, outer: int, index: Tensor) -> Tensor | int:
        if self.normalization == LossParameter.BATCH_SIZE:
            return outer
        counted = self.counted(index)
        return index.numel() if counted is None else counted.sum()


class SegAccuracy(LayerModule):
    """Pixel accuracy, class accuracy and IoU of a batch, or of all batches so far.

    Shapes: scores (N, C, H, W); labels one a pixel → (1, 1, 1, 3)
    """

    counts: Tensor

    def __init__(
        self, classes: int, ignored: list[int], reset: bool, place: tuple[str, Span | None]
    ) -> None:
        super().__init__()
        self.ignored, self.reset, self.place = ignored, reset, place
        self.classes = classes if classes > 1 else 2  # of one channel: beside it and on it
        counts = torch.zeros(self.classes**2, dtype=torch.int64)
        self.register_buffer("counts", counts, persistent=False)

    def extra_repr(self) -> str:
        return f"{self.classes}, ignore_label={self.ignored}, reset={self.reset}"

    @torch.no_grad()
    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        found = scores.argmax(1) if scores.shape[1] > 1 else (scores > 0.5).long()
        flat = labels.reshape(-1).long()
        counted = torch.ones_like(flat, dtype=torch.bool)
        for label in self.ignored:
            counted = counted & (flat != label)
        index, _ = flat_labels(torch.where(counted, flat, 0), self.classes, None, *self.place)
        places = index * self.classes + found.reshape(-1)
        counts = torch.zeros_like(self.counts).scatter_add(0, places, counted.long())
        if not self.reset:
            self.counts.add_(counts)
            counts = self.counts
        return measures(counts.view(self.classes, self.classes).double()).to(scores.dtype)


def measures(confusion: Tensor) -> Tensor:
    """Accuracy, mean recall and mean IoU of a matrix with a row a label, a column a class found."""
    right, actual, total = confusion.diagonal(), confusion.sum(1), confusion.sum()
    union = actual + confusion.sum(0) - right
    recalls = torch.where(actual > 0, right / actual.clamp(min=1), 0)
    ious = torch.where(union > 0, right / union.clamp(min=1), 1)
    present = (actual > 0).sum().clamp(min=1)
    values = (right.sum() / total.clamp(min=1), recalls.sum() / present, ious.mean())
    return torch.stack(values).view(1, 1, 1, 3)


def build_softmax_with_loss(layer: Layer) -> nn.Module:
    p, axis = layer.message.loss_param, class_axis(layer, layer.message.softmax_param.axis)
    weights = [*stated(p, "class_weighting")] if stated(p, "weight_by_label_freqs") else None
    return WeightedSoftmaxWithLoss(
        axis,
        ignored_label(p),
        p.normalize if p.HasField("normalize") else True,
        len(layer.top_blobs) > 1,
        weights,
        (layer.label, label_span(layer)),
    )


def build_seg_accuracy(layer: Layer) -> nn.Module:
    p, shape = layer.field("seg_accuracy_param"), layer.bottom_blobs[0].shape or (0, 0)
    return SegAccuracy(shape[1], [*p.ignore_label], p.reset, (layer.label, label_span(layer)))


BUILDERS: dict[str, Builder] = {
    "SoftmaxWithLoss (segnet)": Builder(build_softmax_with_loss),
    "SegAccuracy": Builder(build_seg_accuracy),
}
