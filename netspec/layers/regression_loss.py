"""Losses between values.

Source: Caffe's SigmoidCrossEntropyLossLayer, EuclideanLossLayer and ContrastiveLossLayer.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from netspec.graph import shape_text
from netspec.layers.example import SCALAR, Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import Loss
from netspec.layers.operations import Operations
from netspec.layers.setting import IGNORED, Setting


class SigmoidCrossEntropyLoss(Loss):
    """The cross entropy of sigmoids and a target from 0 to 1 for each of them."""

    type = "SigmoidCrossEntropyLoss"
    param = "loss_param"
    each = Operations(comparisons=1, additions=3, exponentials=2)
    shown = IGNORED
    example = Example({"scores": (32, 10), "targets": (32, 10)}, shapes=SCALAR)

    def match(self, context: LayerContext) -> None:
        scores, targets = context.bottoms
        if prod(scores) != prod(targets):
            names = context.layer.bottoms
            message = (
                f"'{names[0]}' ({shape_text(scores)}) and '{names[1]}' ({shape_text(targets)}) "
                "must hold as many values"
            )
            raise context.stop(
                message, "bottom", 1, notes=[context.made_here(0), context.made_here(1)]
            )


class EuclideanLoss(Loss):
    """Half the squared distance of two blobs, for each item."""

    type = "EuclideanLoss"
    each = Operations(additions=2)
    unforced: ClassVar[tuple[int, ...]] = ()
    labels = ()
    example = Example({"out": (32, 10), "targets": (32, 10)}, tops=("loss",), shapes=SCALAR)

    def match(self, context: LayerContext) -> None:
        a, b = context.bottoms
        if prod(a[1:]) != prod(b[1:]):
            names = context.layer.bottoms
            message = (
                f"the items of '{names[0]}' ({shape_text(a)}) and '{names[1]}' ({shape_text(b)}) "
                "must hold as many values"
            )
            raise context.stop(
                message, "bottom", 1, notes=[context.made_here(0), context.made_here(1)]
            )


class ContrastiveLoss(Loss):
    """Half the squared distance of similar pairs, half the squared rest up to the margin of others.

    A third bottom holds a flag for each pair.
    """

    type = "ContrastiveLoss"
    unforced: ClassVar[tuple[int, ...]] = (2,)
    param = "contrastive_loss_param"
    bottoms = (3, 3)
    each = Operations(additions=2)
    labels = ()  # Caffe does not look whether the flags ask for a gradient
    shown = (Setting("margin", "margin {}", True), Setting("legacy_version", "legacy"))
    example = Example(
        {"a": (32, 10), "b": (32, 10), "similar": (32,)},
        "contrastive_loss_param { margin: 1 }",
        shapes=SCALAR,
    )

    def match(self, context: LayerContext) -> None:
        names = context.layer.bottoms
        for i in (0, 1):
            if prod(context.bottoms[i][2:]) != 1:
                message = f"'{names[i]}' must be N×C, got {shape_text(context.bottoms[i])}"
                raise context.stop(
                    message,
                    "bottom",
                    i,
                    hint="a Flatten layer makes it so",
                    notes=[context.made_here(i)],
                )
        a, b = (prod(shape[1:]) for shape in context.bottoms[:2])
        if a != b:
            message = f"'{names[0]}' has {a} channels, '{names[1]}' {b}"
            raise context.stop(
                message, "bottom", 1, notes=[context.made_here(0), context.made_here(1)]
            )
        pairs, flags = context.bottoms[0][0], prod(context.bottoms[2])
        if flags > pairs == prod(context.bottoms[2][1:]) * pairs:
            context.warn(
                f"'{names[2]}' holds {flags} flags for {pairs} pairs; the first {pairs} count",
                "bottom",
                2,
            )
        elif flags != pairs:
            message = (
                f"'{names[2]}' ({shape_text(context.bottoms[2])}) must hold one flag for each of "
                f"the {pairs} pairs"
            )
            raise context.stop(
                message, "bottom", 2, notes=[context.made_here(2), context.made_here(0)]
            )


SPECS = (SigmoidCrossEntropyLoss, EuclideanLoss, ContrastiveLoss)
