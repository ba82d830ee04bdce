"""Softmax, its loss with Caffe's floor and normalisations, accuracy with Caffe's ties."""

from __future__ import annotations

from math import log, prod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.schema.caffe_pb2 import LossParameter

if TYPE_CHECKING:
    from netspec.diagnostics import Span

LOG_FLT_MIN = log(torch.finfo(torch.float32).tiny)  # a loss of 87.3365 is the most that one item can give


def flat_labels(labels: Tensor, classes: int, ignore: int | None, label: str, span: Span | None) -> tuple[Tensor, Tensor | None]:
    """Labels as whole numbers and which of them count; those that do not become class 0.

    Raises: NetspecError for a label that is no class (on the CPU; a GPU's own check ends the run there).
    """
    index = labels.reshape(-1).long()
    counted = index != ignore if ignore is not None else None
    if counted is not None:
        index = torch.where(counted, index, 0)
    if not torch.compiler.is_compiling() and index.device.type == "cpu" and index.numel():
        low, high = (int(v) for v in torch.aminmax(index))
        if low < 0 or high >= classes:
            bad = (index < 0) | (index >= classes)
            place = int(bad.nonzero()[0, 0])
            message = f"{label}: item {place} of the batch has label {int(index[place])}, but there are {classes} classes (0 to {classes - 1})"
            raise NetspecError(message, span, "the data's labels, or the num_output of the layer that makes the scores, are wrong")
    return index, counted


class SoftmaxWithLoss(nn.Module):
    """-log softmax at the label, at most 87.3365 an item, over a normaliser.

    Shapes: scores (…, C, …) with C at `axis`; labels one for each place outside that axis.
    """

    def __init__(self, axis: int, ignore: int | None, normalization: int, probabilities: bool, label: str, span: Span | None) -> None:
        super().__init__()
        self.axis, self.ignore, self.normalization, self.probabilities = axis, ignore, normalization, probabilities
        self.label, self.span = label, span

    def extra_repr(self) -> str:
        return f"axis={self.axis}, ignore_label={self.ignore}, normalization={LossParameter.NormalizationMode.Name(self.normalization)}"

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        classes = scores.shape[self.axis]
        log_p = F.log_softmax(scores, self.axis, dtype=torch.float32 if scores.dtype in (torch.float16, torch.bfloat16) else None)
        index, counted = flat_labels(labels, classes, self.ignore, self.label, self.span)
        rows = log_p.movedim(self.axis, -1).reshape(-1, classes)
        picked = rows.gather(1, index.unsqueeze(1)).squeeze(1)
        # the floor holds the loss only: Caffe's gradient is softmax minus one-hot whatever the loss
        picked = picked + (picked.detach().clamp(min=LOG_FLT_MIN) - picked.detach())
        if counted is not None:
            picked = torch.where(counted, picked, 0.0)
        loss = -picked.sum() / normalizer(self.normalization, prod(scores.shape[: self.axis]), picked.numel(), counted)
        return (loss, log_p.exp()) if self.probabilities else loss


def normalizer(mode: int, outer: int, full: int, counted: Tensor | None) -> Tensor | int:
    """What the summed loss is divided by; never less than 1. Source: Caffe's LossLayer get_normalizer."""
    if mode == LossParameter.VALID and counted is not None:
        return counted.sum().clamp(min=1)
    sizes = {LossParameter.FULL: full, LossParameter.VALID: full, LossParameter.BATCH_SIZE: outer, LossParameter.NONE: 1}
    return max(1, sizes[mode])


def normalization_of(p: LossParameter) -> int:
    """The mode that a loss_param means: `normalization`, or the older `normalize`."""
    if not p.HasField("normalization") and p.HasField("normalize"):
        return LossParameter.VALID if p.normalize else LossParameter.BATCH_SIZE
    return int(p.normalization)


class Accuracy(nn.Module):
    """The share of items with fewer than top_k scores at or above the label's own: a tie counts against.

    With `per_class` also each class's share.
    """

    def __init__(self, axis: int, top_k: int, ignore: int | None, per_class: bool, label: str, span: Span | None) -> None:
        super().__init__()
        self.axis, self.top_k, self.ignore, self.per_class = axis, top_k, ignore, per_class
        self.label, self.span = label, span

    def extra_repr(self) -> str:
        return f"axis={self.axis}, top_k={self.top_k}, ignore_label={self.ignore}"

    @torch.no_grad()
    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        classes = scores.shape[self.axis]
        index, counted = flat_labels(labels, classes, self.ignore, self.label, self.span)
        rows = scores.detach().movedim(self.axis, -1).reshape(-1, classes)
        true = rows.gather(1, index.unsqueeze(1))
        right = (rows >= true).sum(1) - 1 < self.top_k  # the label's own score is at or above itself
        counted = torch.ones_like(right) if counted is None else counted
        right = (right & counted).to(rows.dtype)
        accuracy = right.sum() / counted.sum().clamp(min=1)
        if not self.per_class:
            return accuracy
        totals = torch.zeros(classes, dtype=rows.dtype, device=rows.device)
        hits = totals.scatter_add(0, index, right)
        totals = totals.scatter_add(0, index, counted.to(rows.dtype))
        return accuracy, hits / totals.clamp(min=1)


def build_softmax(layer: Layer) -> nn.Module:
    return nn.Softmax(dim=layer.message.softmax_param.axis)


def build_softmax_with_loss(layer: Layer) -> nn.Module:
    p = layer.message.loss_param
    axis = layer.message.softmax_param.axis % len(layer.bottom_blobs[0].shape or (1,))
    ignore = p.ignore_label if p.HasField("ignore_label") else None
    return SoftmaxWithLoss(axis, ignore, normalization_of(p), len(layer.top_blobs) > 1, layer.label, layer.spans.at("bottom", 1))


def build_accuracy(layer: Layer) -> nn.Module:
    p = layer.message.accuracy_param
    axis = p.axis % len(layer.bottom_blobs[0].shape or (1,))
    ignore = p.ignore_label if p.HasField("ignore_label") else None
    return Accuracy(axis, p.top_k, ignore, len(layer.top_blobs) > 1, layer.label, layer.spans.at("bottom", 1))


BUILDERS = {"Softmax": build_softmax, "SoftmaxWithLoss": build_softmax_with_loss, "Accuracy": build_accuracy}
