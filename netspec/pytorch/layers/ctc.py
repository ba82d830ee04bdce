"""Connectionist temporal classification: its loss, its greedy decoding, its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import flat_labels, label_span, wide

if TYPE_CHECKING:
    from netspec.diagnostics import Span


def packed(values: Tensor, kept: Tensor, fill: int = -1) -> tuple[Tensor, Tensor]:
    """What is kept of each row, moved to its left, and how much that is.

    Shapes: (N, L), (N, L) → (N, L), (N).
    """
    width = values.shape[1]
    places = torch.where(kept, kept.long().cumsum(1) - 1, width)  # the rest goes behind the end
    found = values.new_full((len(values), width + 1), fill)
    return found.scatter(1, places, values)[:, :width], kept.sum(1)


def best_classes(
    scores: Tensor, blank: int, merge: bool, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The best class of each timestep without blanks and, maybe, repetitions; their number.

    Shapes: scores (N, T, C), lengths (N) → (N, T), (N).
    """
    best = scores.argmax(2)  # of equal ones the first
    kept = best != blank
    if merge:
        kept[:, 1:] &= best[:, 1:] != best[:, :-1]
    if lengths is not None:
        kept &= torch.arange(best.shape[1], device=best.device) < lengths.unsqueeze(1)
    return packed(best, kept)


def edit_distances(a: Tensor, a_sizes: Tensor, b: Tensor, b_sizes: Tensor) -> Tensor:
    """Insertions, deletions and changes that make a row of b of one of a.

    Shapes: a (N, K) with its sizes (N), b (N, L) with its sizes (N) → (N).
    """
    columns = torch.arange(b.shape[1] + 1, device=b.device)
    row = columns.expand(len(b), -1)
    ends = b_sizes.unsqueeze(1)
    found = row.gather(1, ends)
    for i in range(a.shape[1]):
        changed = torch.minimum(row[:, 1:] + 1, row[:, :-1] + (a[:, i : i + 1] != b))
        first = torch.full_like(row[:, :1], i + 1)
        # the least over what is inserted from each column on
        row = (torch.cat((first, changed), 1) - columns).cummin(1).values + columns
        found = torch.where((a_sizes == i + 1).unsqueeze(1), row.gather(1, ends), found)
    return found.squeeze(1)


class _Mean(torch.autograd.Function):
    """A sum over a count, with the sum's gradient, a quirk of the fork."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, count: int) -> Tensor:
        return total / count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class CtcLoss(LayerModule):
    """The mean loss of the streams, whose gradient is that of their sum.

    Shapes: scores (T, N, C), labels (N, L).
    """

    def __init__(self, steps: int, blank: int, label: str, span: Span | None = None) -> None:
        super().__init__()
        self.steps, self.blank, self.label, self.span = steps, blank, label, span

    def extra_repr(self) -> str:
        return f"time_step={self.steps}, blank_label={self.blank}"

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        streams, classes = scores.shape[1:3]
        index, _ = flat_labels(labels, classes, None, self.label, self.span)
        index = index.view(streams, -1)
        targets, sizes = packed(index, index != self.blank, 0)
        if not torch.compiler.is_compiling() and not sizes.any():
            raise NetspecError(
                f"{self.label}: the batch has no label beside the blank {self.blank}", self.span
            )
        log_p = F.log_softmax(wide(scores).reshape(-1, streams, classes), 2)
        lengths = torch.full_like(sizes, self.steps)
        total = F.ctc_loss(
            log_p, targets, lengths, sizes, self.blank, reduction="sum", zero_infinity=True
        )
        return _Mean.apply(total, streams)


class CTCGreedyDecoder(LayerModule):
    """Sequences, maybe their scores, maybe their accuracy.

    Shapes: scores (T, N, C), flags (T, N), maybe labels (T, N) → (N, T, 1, 1), (N, 1, 1, 1), (1, 1,
        1, 1).
    """

    def __init__(self, blank: int, merge: bool, gives_scores: bool, gives_accuracy: bool) -> None:
        super().__init__()
        self.blank, self.merge = blank, merge
        self.gives_scores, self.gives_accuracy = gives_scores, gives_accuracy

    def extra_repr(self) -> str:
        return f"blank_index={self.blank}, ctc_merge_repeated={self.merge}"

    @torch.no_grad()
    def forward(
        self, scores: Tensor, flags: Tensor, labels: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        steps, streams = scores.shape[:2]
        values = wide(scores).reshape(steps, streams, -1).transpose(0, 1)
        lengths = 1 + (flags.reshape(steps, streams)[1:] != 0).long().cumprod(0).sum(0)
        blank = self.blank if self.blank >= 0 else values.shape[2] - 1
        sequences, sizes = best_classes(values, blank, self.merge, lengths)
        tops = [sequences.to(scores.dtype).view(streams, steps, 1, 1)]
        if self.gives_scores:
            counted = torch.arange(steps, device=scores.device) < lengths.unsqueeze(1)
            sums = torch.where(counted, -values.amax(2), 0.0).sum(1)
            tops.append(sums.to(scores.dtype).view(streams, 1, 1, 1))
        if labels is not None and self.gives_accuracy:
            rows = labels.reshape(steps, streams).t()
            targets, counts = packed(rounded(rows), (rows >= 0).long().cumprod(1).bool())
            shares = error_shares(targets, counts, sequences, sizes)
            tops.append((1 - shares.mean()).to(scores.dtype).view(1, 1, 1, 1))
        return tops[0] if len(tops) == 1 else tuple(tops)


def rounded(labels: Tensor) -> Tensor:
    """Labels as whole numbers: half more, without what is behind the point."""
    return (labels + 0.5).long()


def error_shares(a: Tensor, a_sizes: Tensor, b: Tensor, b_sizes: Tensor) -> Tensor:
    """The edit distance over the longer length; 0 where both are empty. Shapes: → (N)."""
    longer = torch.maximum(a_sizes, b_sizes).clamp(min=1)
    return edit_distances(a, a_sizes, b, b_sizes).float() / longer


class CTCGreedyDecoderOcr(LayerModule):
    """Sequences, or two accuracies where there are labels.

    Shapes: scores (T, N, C) → (N, T, 1, 1); with labels (N, L) → (1, 2, 1, 1).
    """

    def __init__(self, blank: int, merge: bool) -> None:
        super().__init__()
        self.blank, self.merge = blank, merge

    def extra_repr(self) -> str:
        return f"blank_index={self.blank}, ctc_merge_repeated={self.merge}"

    @torch.no_grad()
    def forward(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        steps, streams = scores.shape[:2]
        values = wide(scores).reshape(steps, streams, -1).transpose(0, 1)
        blank = self.blank if self.blank >= 0 else values.shape[2] - 1
        sequences, sizes = best_classes(values, blank, self.merge)
        if labels is None:
            return sequences.to(scores.dtype).view(streams, steps, 1, 1)
        rows = labels.reshape(streams, -1)
        index, kept = rounded(rows), (rows >= 0).long().cumprod(1).bool()
        targets, counts = packed(index, kept & (index != blank))
        shares = error_shares(targets, counts, sequences, sizes)
        # a quirk of the fork: two empty sequences are no error, but not right either
        right = (shares == 0) & ((counts > 0) | (sizes > 0))
        found = torch.stack((1 - shares.mean(), right.float().mean()))
        return found.to(scores.dtype).view(1, 2, 1, 1)


class LabelsequenceAccuracy(LayerModule):
    """The share of sequences that are the labels. Shapes: scores (N, T, C), labels (N, L) → ()."""

    def __init__(self, blank: int) -> None:
        super().__init__()
        self.blank = blank

    def extra_repr(self) -> str:
        return f"blank_label={self.blank}"

    @torch.no_grad()
    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        items, steps = scores.shape[:2]
        found, sizes = best_classes(scores.reshape(items, steps, -1), self.blank, merge=True)
        rows = labels.reshape(items, -1)
        targets, counts = packed(rows.long(), rows != self.blank)
        width = max(steps, rows.shape[1])
        found, targets = (F.pad(x, (0, width - x.shape[1]), value=-1) for x in (found, targets))
        right = (sizes == counts) & (found == targets).all(1)
        return right.float().mean().to(scores.dtype)


def build_ctc_loss(layer: Layer) -> CtcLoss:
    p = layer.field("ctc_loss_param")
    return CtcLoss(p.time_step, p.blank_label, layer.label, label_span(layer))


def build_ctc_greedy_decoder(layer: Layer) -> CTCGreedyDecoder:
    p = layer.field("ctc_decoder_param")
    tops, has_labels = len(layer.top_blobs), len(layer.bottom_blobs) > 2
    gives_accuracy = has_labels and tops > 1
    gives_scores = tops - gives_accuracy > 1
    return CTCGreedyDecoder(p.blank_index, p.ctc_merge_repeated, gives_scores, gives_accuracy)


def build_ctc_greedy_decoder_ocr(layer: Layer) -> CTCGreedyDecoderOcr:
    p = layer.field("ctc_decoder_param")
    return CTCGreedyDecoderOcr(p.blank_index, p.ctc_merge_repeated)


def build_labelsequence_accuracy(layer: Layer) -> LabelsequenceAccuracy:
    return LabelsequenceAccuracy(layer.field("labelsequence_accuracy_param").blank_label)


BUILDERS = {
    "CtcLoss": Builder(build_ctc_loss),
    "CTCGreedyDecoder (TextBoxes++)": Builder(build_ctc_greedy_decoder),
    "CTCGreedyDecoder (caffe_ocr)": Builder(build_ctc_greedy_decoder_ocr),
    "LabelsequenceAccuracy": Builder(build_labelsequence_accuracy),
}
