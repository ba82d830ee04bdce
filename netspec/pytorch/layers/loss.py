"""Softmax, the losses of class labels, and accuracy.

They have Caffe's floors, normalisations and ties.
"""

from __future__ import annotations

from math import log, prod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.files.paths import net_path, resolve_path
from netspec.graph import Layer, shape_text
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import (
    class_axis,
    flat_labels,
    ignored_label,
    item_rows,
    label_span,
    normalization_of,
    normalizer,
    raise_to,
    wide,
)
from netspec.schema.caffe_pb2 import BlobProto, HingeLossParameter, LossParameter
from netspec.weights.blob_proto import blob_array
from netspec.weights.read_bytes import read_message

if TYPE_CHECKING:
    from netspec.diagnostics import Span

# a loss of 87.3365 is the most that one item can give
LOG_FLT_MIN = log(torch.finfo(torch.float32).tiny)
# for torch, which always ignores one label: a number that no float is
NO_LABEL = -(2**62) - 1
LOG_THRESHOLD = 1e-20  # below it, the other losses take no logarithm


class SoftmaxWithLoss(LayerModule):
    """-log softmax at the label, at most 87.3365 an item, over a normaliser.

    Shapes: scores (…, C, …) with C at `axis`; labels one for each place outside that axis.
    """

    def __init__(
        self,
        axis: int,
        ignore: int | None,
        normalization: int,
        probabilities: bool,
        label: str,
        span: Span | None = None,
    ) -> None:
        super().__init__()
        self.axis, self.ignore, self.normalization, self.probabilities = (
            axis,
            ignore,
            normalization,
            probabilities,
        )
        self.label, self.span = label, span

    def extra_repr(self) -> str:
        return (
            f"axis={self.axis}, ignore_label={self.ignore}, "
            f"normalization={LossParameter.NormalizationMode.Name(self.normalization)}"
        )

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, ...]:
        log_p, terms, index = self.losses(scores, labels)
        divisor = self.divisor(log_p.shape[0], index)
        is_mean = isinstance(divisor, int) and divisor == terms.numel()  # one kernel less each way
        loss = terms.mean() if is_mean else terms.sum() / divisor
        return (loss, probabilities_of(log_p, scores)) if self.probabilities else loss

    def losses(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log softmax, the loss of each label (0 for an ignored one), the labels as given."""
        rows = wide(scores)
        places: tuple[int, ...] = scores.shape[:1]
        if scores.dim() != 2 or self.axis != 1:
            outer, inner = prod(scores.shape[: self.axis]), prod(scores.shape[self.axis + 1 :])
            # a last axis of 1 makes softmax slow; of three axes torch makes four and a view of the
            # loss
            places = (outer, 1, inner) if inner != 1 else (outer,)
            rows = rows.reshape(outer, scores.shape[self.axis], *places[1:])
        index = labels.reshape(places).long()
        log_p = rows.log_softmax(1)
        terms = self._own_losses(log_p, index, labels)
        terms.detach().clamp_(max=-LOG_FLT_MIN)  # the gradient does not know of it
        return log_p, self.weighted(terms, index), index

    def _own_losses(self, log_p: Tensor, index: Tensor, labels: Tensor) -> Tensor:
        """-log softmax at each label, by a kernel that looks for what is no class by itself.

        Raises: NetspecError for a label that is no class, as flat_labels.
        """
        ignored = NO_LABEL if self.ignore is None else self.ignore
        if torch.compiler.is_compiling():
            return F.nll_loss(log_p, index, ignore_index=ignored, reduction="none")
        try:
            return F.nll_loss(log_p, index, ignore_index=ignored, reduction="none")
        except IndexError:
            flat_labels(labels, log_p.shape[1], self.ignore, self.label, self.span)
            raise

    def weighted(self, terms: Tensor, index: Tensor) -> Tensor:
        """The labels' parts of the loss as they count; in Caffe all alike."""
        return terms

    def counted(self, index: Tensor) -> Tensor | None:
        """Which labels count; None where all do."""
        return None if self.ignore is None else index != self.ignore

    def divisor(self, outer: int, index: Tensor) -> Tensor | int:
        """What the sum is divided by."""
        return normalizer(self.normalization, outer, index.numel(), self.counted(index))


def probabilities_of(log_p: Tensor, scores: Tensor) -> Tensor:
    """The second top of a loss. Caffe sends no gradient back from there."""
    return log_p.detach().exp().to(scores.dtype).reshape(scores.shape)


class InfogainLoss(LayerModule):
    """-log softmax at all classes, each at most 46.05, weighted by the label's row of a matrix.

    The sum is divided by a normaliser.

    Shapes: scores (…, C, …) with C at `axis`; labels one for each place outside that axis; the
        matrix C × C.
    """

    matrix: Tensor | None

    def __init__(
        self,
        axis: int,
        ignore: int | None,
        normalization: int,
        probabilities: bool,
        matrix: Tensor | None,
        label: str,
        span: Span | None = None,
    ) -> None:
        super().__init__()
        self.axis, self.ignore, self.normalization, self.probabilities = (
            axis,
            ignore,
            normalization,
            probabilities,
        )
        self.label, self.span = label, span
        # it is the source's, not the weight file's
        self.register_buffer("matrix", matrix, persistent=False)

    def extra_repr(self) -> str:
        return (
            f"axis={self.axis}, ignore_label={self.ignore}, "
            f"normalization={LossParameter.NormalizationMode.Name(self.normalization)}"
        )

    def forward(
        self, scores: Tensor, labels: Tensor, matrix: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        matrix = self.matrix if matrix is None else matrix.detach()
        assert matrix is not None
        classes = scores.shape[self.axis]
        log_p = F.log_softmax(wide(scores), self.axis)
        index, counted = flat_labels(labels, classes, self.ignore, self.label, self.span)
        rows = raise_to(
            log(LOG_THRESHOLD), log_p.movedim(self.axis, -1).reshape(-1, classes).clone()
        )
        terms = (matrix.reshape(classes, classes).to(rows.dtype)[index] * rows).sum(1)
        if counted is not None:
            terms = torch.where(counted, terms, 0.0)
        loss = 0 - terms.sum() / normalizer(
            self.normalization, prod(scores.shape[: self.axis]), terms.numel(), counted
        )
        return (loss, probabilities_of(log_p, scores)) if self.probabilities else loss


class MultinomialLogisticLoss(LayerModule):
    """-log of the label's probability, at most 46.05, over the number of items.

    Below the floor the gradient is 1e20.
    """

    def __init__(self, label: str, span: Span | None = None) -> None:
        super().__init__()
        self.label, self.span = label, span

    def forward(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        rows = item_rows(wide(probabilities))
        index, _ = flat_labels(labels, rows.shape[1], None, self.label, self.span)
        picked = rows.gather(1, index.unsqueeze(1))
        return 0 - raise_to(LOG_THRESHOLD, picked).log().sum() / max(1, rows.shape[0])


class HingeLoss(LayerModule):
    """max(0, 1 - score) at the label and max(0, 1 + score) elsewhere, over the number of items.

    With L2 they are squared.
    """

    def __init__(self, squared: bool, label: str, span: Span | None = None) -> None:
        super().__init__()
        self.squared, self.label, self.span = squared, label, span

    def extra_repr(self) -> str:
        return f"norm={'L2' if self.squared else 'L1'}"

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        rows = item_rows(wide(scores))
        index, _ = flat_labels(labels, rows.shape[1], None, self.label, self.span)
        margins = 1 + torch.ones_like(rows).scatter(1, index.unsqueeze(1), -1.0) * rows
        # not clamp: NaN counts as 0 in Caffe's maximum
        margins = torch.where(margins > 0, margins, 0.0)
        return (margins * margins if self.squared else margins).sum() / max(1, rows.shape[0])


class Accuracy(LayerModule):
    """The share of items with fewer than top_k scores at or above the label's own.

    A tie counts against.

    With `per_class` also each class's share.
    """

    def __init__(
        self,
        axis: int,
        top_k: int,
        ignore: int | None,
        per_class: bool,
        label: str,
        span: Span | None = None,
    ) -> None:
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
        # the label's own score is at or above itself
        right = (rows >= true).sum(1) <= self.top_k
        # in half precision, 256 + 1 is 256
        dtype = torch.promote_types(rows.dtype, torch.float32)
        if counted is None and not self.per_class:
            return right.sum(dtype=dtype) / max(1, right.numel())
        counted = torch.ones_like(right) if counted is None else counted
        right, counted = (right & counted).to(dtype), counted.to(dtype)
        accuracy = right.sum() / counted.sum().clamp(min=1)
        if not self.per_class:
            return accuracy
        totals = torch.zeros(classes, dtype=dtype, device=rows.device)
        hits = totals.scatter_add(0, index, right)
        totals = totals.scatter_add(0, index, counted)
        return accuracy, hits / totals.clamp(min=1)


def build_softmax_with_loss(layer: Layer) -> nn.Module:
    p, axis = layer.message.loss_param, class_axis(layer, layer.message.softmax_param.axis)
    return SoftmaxWithLoss(
        axis,
        ignored_label(p),
        normalization_of(p),
        len(layer.top_blobs) > 1,
        layer.label,
        label_span(layer),
    )


def build_infogain_loss(layer: Layer) -> nn.Module:
    p, axis = layer.message.loss_param, class_axis(layer, layer.message.infogain_loss_param.axis)
    matrix = (
        None
        if len(layer.bottom_blobs) > 2
        else read_matrix(layer, (layer.bottom_blobs[0].shape or (0,))[axis])
    )
    return InfogainLoss(
        axis,
        ignored_label(p),
        normalization_of(p),
        len(layer.top_blobs) > 1,
        matrix,
        layer.label,
        label_span(layer),
    )


def read_matrix(layer: Layer, classes: int) -> Tensor:
    """The matrix that an InfogainLoss layer's `source` holds. Raises: NetspecError."""
    source, span = (
        layer.message.infogain_loss_param.source,
        layer.spans.at("infogain_loss_param", "source"),
    )
    try:
        blob = read_message(resolve_path(source, net_path(layer)), BlobProto(), ".binaryproto file")
        matrix = blob_array(blob, f"'{source}'")
    except NetspecError as error:
        raise error.restated(f"{layer.label}: ", span) from None
    if matrix.size != classes * classes:
        raise NetspecError(
            f"{layer.label}: the matrix in '{source}' is {shape_text(matrix.shape)}, "
            f"but must be {classes}×{classes}",
            span,
        )
    return torch.from_numpy(matrix)


def build_multinomial_logistic_loss(layer: Layer) -> nn.Module:
    return MultinomialLogisticLoss(layer.label, label_span(layer))


def build_hinge_loss(layer: Layer) -> nn.Module:
    return HingeLoss(
        layer.message.hinge_loss_param.norm == HingeLossParameter.L2, layer.label, label_span(layer)
    )


def build_accuracy(layer: Layer) -> nn.Module:
    p, axis = layer.message.accuracy_param, class_axis(layer, layer.message.accuracy_param.axis)
    return Accuracy(
        axis, p.top_k, ignored_label(p), len(layer.top_blobs) > 1, layer.label, label_span(layer)
    )


BUILDERS = {
    "SoftmaxWithLoss": Builder(build_softmax_with_loss),
    "InfogainLoss": Builder(build_infogain_loss),
    "MultinomialLogisticLoss": Builder(build_multinomial_logistic_loss),
    "HingeLoss": Builder(build_hinge_loss),
    "Accuracy": Builder(build_accuracy),
}
