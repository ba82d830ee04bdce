"""What losses share: rows of items, labels, floors and normalisers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.schema.caffe_pb2 import AccuracyParameter, LossParameter

if TYPE_CHECKING:
    from netspec.diagnostics import Span


def wide(x: Tensor) -> Tensor:
    """Half precision as 32 bits: sums over a batch would lose its last digits."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def item_rows(x: Tensor) -> Tensor:
    """A row for each item, whatever axes it has."""
    return x.flatten(1) if x.dim() > 1 else x.unsqueeze(1)


def raise_to(floor: float, x: Tensor) -> Tensor:
    """max(x, floor) in place, of which the gradient does not know, as in Caffe's losses.

    No one else may hold x.
    """
    x.detach().clamp_(min=floor)
    return x


def flat_labels(
    labels: Tensor, classes: int, ignore: int | None, label: str, span: Span | None
) -> tuple[Tensor, Tensor | None]:
    """Labels as whole numbers and which of them count; those that do not become class 0.

    Raises: NetspecError for a label that is no class (on the CPU; a GPU's own check ends the run
        there).
    """
    index = labels.reshape(-1).long()
    counted = index != ignore if ignore is not None else None
    if counted is not None:
        index = torch.where(counted, index, 0)
    if not torch.compiler.is_compiling() and index.device.type == "cpu" and index.numel():
        low, high = (v.item() for v in torch.aminmax(index))
        if low < 0 or high >= classes:
            bad = (index < 0) | (index >= classes)
            place = int(bad.nonzero()[0, 0])
            item = place // (index.numel() // labels.shape[0]) if labels.dim() else 0
            message = (
                f"{label}: item {item} of the batch has label {int(index[place])}, "
                f"but there are {classes} classes (0 to {classes - 1})"
            )
            error = NetspecError(
                message,
                span,
                "the data's labels, or the num_output of the layer that "
                "makes the scores, are wrong",
            )
            error.item = item
            raise error
    return index, counted


def normalizer(mode: int, outer: int, full: int, counted: Tensor | None) -> Tensor | int:
    """What the summed loss is divided by; never less than 1.

    Source: Caffe's LossLayer get_normalizer.
    """
    if mode == LossParameter.VALID and counted is not None:
        return counted.sum().clamp(min=1)
    sizes: dict[int, int] = {
        LossParameter.FULL: full,
        LossParameter.VALID: full,
        LossParameter.BATCH_SIZE: outer,
        LossParameter.NONE: 1,
    }
    return max(1, sizes[mode])


def normalization_of(p: LossParameter, default: int = LossParameter.VALID) -> int:
    """The mode that a loss_param means.

    It is given by `normalization`, by the older `normalize`, or by the layer's default.
    """
    if p.HasField("normalization"):
        return int(p.normalization)
    if p.HasField("normalize"):
        return LossParameter.VALID if p.normalize else LossParameter.BATCH_SIZE
    return default


def class_axis(layer: Layer, axis: int) -> int:
    """The axis of the classes, counted from the front."""
    return axis % len(layer.bottom_blobs[0].shape or (1,))


def ignored_label(p: LossParameter | AccuracyParameter) -> int | None:
    """The label that does not count."""
    return p.ignore_label if p.HasField("ignore_label") else None


def label_span(layer: Layer) -> Span | None:
    """Where the file names the labels."""
    return layer.spans.at("bottom", 1)
