"""Connectionist temporal classification: its loss, its greedy decoding, its accuracy.

Source: xmfbit/warpctc-caffe, MhLiao/TextBoxes_plusplus, senlinuc/caffe_ocr.
"""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

from netspec.graph import Shape, shape_text
from netspec.layers.example import SCALAR, Example
from netspec.layers.kept import NOTHING
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import Loss, warn_of_learned
from netspec.layers.operations import SOFTMAX, Operations
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec


def require_scores(context: LayerContext, axes: str = "T×N×C") -> Shape:
    """The shape of the scores, of timesteps, streams and classes."""
    shape = context.bottoms[0]
    if len(shape) < 3 or prod(shape[3:]) != 1 or not prod(shape):
        raise context.stop(
            f"'{context.layer.bottoms[0]}' must be {axes}, got {shape_text(shape)}",
            "bottom",
            0,
            notes=[context.made_here(0)],
        )
    return shape[:3]


def require_rows(context: LayerContext, index: int, what: str, *sizes: int) -> None:
    """Requires a bottom to have two axes, the first ones of these sizes."""
    shape = context.bottoms[index]
    if len(shape) < 2 or prod(shape[2:]) != 1 or shape[: len(sizes)] != sizes:
        wanted = "×".join(map(str, (*sizes, "L")[:2]))
        raise context.stop(
            f"'{context.layer.bottoms[index]}', {what}, must be {wanted}, got {shape_text(shape)}",
            "bottom",
            index,
            notes=[context.made_here(index), context.made_here(0)],
        )


class CtcLoss(Loss):
    """The mean over the streams of -log of the probability of their labels, of a softmax.

    The blank is no label. Streams that are too short for their labels have no loss. The gradient is
    that of the sum over the streams, a quirk of the fork.
    Shapes: scores T×N×C, labels N×L.
    Source: warpctc-caffe's CtcLossLayer.
    """

    type = "CtcLoss"
    param = "ctc_loss_param"
    each = SOFTMAX
    shown = (Setting("blank_label", "blank {}", True),)
    example = Example(
        {"scores": (24, 8, 42), "label": (8, 7)},
        "ctc_loss_param { blank_label: 41 alphabet_size: 42 time_step: 24 }",
        shapes=SCALAR,
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        p = context.param
        steps, streams, classes = require_scores(context)
        require_rows(context, 1, "the labels of each stream", streams)
        if p.alphabet_size != classes:
            raise context.stop(
                f"'alphabet_size' must be the {classes} classes of '{context.layer.bottoms[0]}', "
                f"got {p.alphabet_size}",
                "alphabet_size",
                notes=[context.made_here(0)],
            )
        if not 1 <= p.time_step <= steps:
            raise context.stop(
                f"'time_step' must be 1 to the {steps} timesteps of '{context.layer.bottoms[0]}', "
                f"got {p.time_step}",
                "time_step",
                notes=[context.made_here(0)],
            )
        if not 0 <= p.blank_label < classes:
            context.error(
                f"'blank_label' must be one of {classes} classes, got {p.blank_label}",
                "blank_label",
            )
        for name in ("output_delay", "blank_index", "preprocess_collapse_repeated",
                     "ctc_merge_repeated", "loss_calculation_t"):  # fmt: skip
            if context.has(name):
                context.error(f"'{name}' is a field of CTCLoss, which CtcLoss does not take", name)
        warn_of_learned(context, 1)
        return [()]


class CTCGreedyDecoder(Spec):
    """The best class of each timestep, without blanks and repetitions.

    Bottoms are scores T×N×C, flags T×N (0 after the first timestep ends a sequence), maybe the
    labels T×N, ended by a negative one. Tops are the sequences N×T, filled up with -1; the sums of
    the scores, negated, where there are two tops without labels or three; and, with labels, the
    accuracy: 1 - the mean edit distance over the longer length.
    Source: TextBoxes_plusplus' CTCGreedyDecoderLayer.
    """

    type = "CTCGreedyDecoder"
    rule = "TextBoxes++"
    dialects = ("ssd",)
    differs = "a second bottom of continuation flags, sequences as top"
    param = "ctc_decoder_param"
    each = Operations(comparisons=1)
    bottoms = (2, 3)
    tops = (1, 3)
    keeps = NOTHING
    unforced: ClassVar[tuple[int, ...]] = (1, 2)
    continuation = 1
    shown = (Setting("blank_index", "blank {}", True),)
    example = Example(
        {"scores": (24, 8, 42), "cont": (24, 8), "label": (24, 8)},
        "ctc_decoder_param { blank_index: 41 }",
        tops=("sequences", "accuracy"),
        shapes="N × T × 1 × 1, the scores N × 1 × 1 × 1, the accuracy 1 × 1 × 1 × 1",
    )

    def evidence(self, message: Any) -> bool | None:
        bottoms, tops = len(message.bottom), len(message.top)
        return True if bottoms == 3 or tops > 1 else None if bottoms == 2 else False

    def check(self, context: LayerContext) -> None:
        bottoms, tops = len(context.layer.bottom_blobs), len(context.layer.top_blobs)
        if bottoms == 2 and tops == 3:
            context.error("a third top, the accuracy, needs a third bottom, the labels", "top", 2)

    def infer(self, context: LayerContext) -> list[Shape]:
        steps, streams, _ = require_scores(context)
        require_rows(context, 1, "the continuation flags", steps, streams)
        has_labels = len(context.bottoms) > 2
        if has_labels:
            require_rows(context, 2, "the labels", steps, streams)
        tops: list[Shape] = [(streams, steps, 1, 1), (streams, 1, 1, 1), (1, 1, 1, 1)]
        count = len(context.layer.top_blobs)
        return [tops[0], tops[2]] if has_labels and count == 2 else tops[:count]


class CTCGreedyDecoderOcr(Spec):
    """The best class of each timestep, without blanks and repetitions, or how far it is right.

    A bottom of scores T×N×C gives sequences N×T, filled up with -1. With labels N×L (blanks are
    left out, a negative one ends them) the top is two numbers: 1 - the mean edit distance over the
    longer length, and the share of sequences without an error.
    Source: the CTCGreedyDecoderLayer of senlinuc/caffe_ocr, as zqplgl/caffe has it.
    """

    type = "CTCGreedyDecoder"
    rule = "caffe_ocr"
    dialects = ("ocr",)
    differs = "a second bottom of labels, accuracies as top"
    param = "ctc_decoder_param"
    bottoms = (1, 2)
    keeps = NOTHING
    each = Operations(comparisons=1)
    unforced: ClassVar[tuple[int, ...]] = (1,)
    shown = CTCGreedyDecoder.shown
    example = Example(
        {"scores": (24, 8, 42)},
        "ctc_decoder_param { blank_index: 41 }",
        shapes="N × T × 1 × 1; with labels 1 × 2 × 1 × 1",
    )

    def evidence(self, message: Any) -> bool | None:
        bottoms, tops = len(message.bottom), len(message.top)
        return False if bottoms > 2 or tops > 1 else True if bottoms == 1 else None

    def infer(self, context: LayerContext) -> list[Shape]:
        steps, streams, _ = require_scores(context)
        if len(context.bottoms) == 1:
            return [(streams, steps, 1, 1)]
        require_rows(context, 1, "the labels of each stream", streams)
        return [(1, 2, 1, 1)]


class LabelsequenceAccuracy(Spec):
    """The share of sequences whose best classes, without blanks and repetitions, are the labels.

    Shapes: scores N×T×C, labels N×L, in which blanks are no labels.
    Source: warpctc-caffe's LabelsequenceAccuracyLayer.
    """

    type = "LabelsequenceAccuracy"
    param = "labelsequence_accuracy_param"
    bottoms = (2, 2)
    keeps = NOTHING
    each = Operations(comparisons=1)
    is_metric = True
    shown = (Setting("blank_label", "blank {}", True),)
    example = Example(
        {"scores": (8, 24, 42), "label": (8, 7)},
        "labelsequence_accuracy_param { blank_label: 41 }",
        shapes="a scalar",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        items, _, _ = require_scores(context, "N×T×C")
        require_rows(context, 1, "the labels of each item", items)
        return [()]


SPECS: tuple[type[Spec], ...] = (
    CtcLoss,
    CTCGreedyDecoder,
    CTCGreedyDecoderOcr,
    LabelsequenceAccuracy,
)
