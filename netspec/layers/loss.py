"""The losses of class labels, accuracy.

Source: Caffe's LossLayer, SoftmaxWithLossLayer, InfogainLossLayer, MultinomialLogisticLossLayer,
HingeLossLayer and AccuracyLayer.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from netspec.graph import Blob, Layer, Shape, shape_text
from netspec.layers.example import SCALAR, SCORES, Example
from netspec.layers.kept import NOTHING, Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.operations import SOFTMAX, Operations
from netspec.layers.setting import IGNORED, Setting
from netspec.layers.spec import BOTTOM, Spec


def require_labels(context: LayerContext, axis: int) -> None:
    """Requires a label for each place outside the class axis."""
    scores, labels = context.bottoms[:2]
    wanted = prod(scores[:axis]) * prod(scores[axis + 1 :])
    if prod(labels) != wanted:
        names = context.layer.bottoms
        message = (
            f"'{names[0]}' ({shape_text(scores)}) has {wanted} predictions along axis {axis}, "
            f"'{names[1]}' {prod(labels)} labels"
        )
        hint = (
            "the label blob holds one class index for each item (and each place, "
            "where the scores have more axes)"
        )
        raise context.stop(
            message, "bottom", 1, hint=hint, notes=[context.made_here(0), context.made_here(1)]
        )


def require_one_label_each(context: LayerContext) -> None:
    """Requires one label for each item, whatever axes an item has."""
    items, labels = context.bottoms[0][0], prod(context.bottoms[1])
    if labels != items:
        names = context.layer.bottoms
        message = (
            f"'{names[0]}' has {items} items, '{names[1]}' "
            f"({shape_text(context.bottoms[1])}) {labels} labels"
        )
        raise context.stop(
            message,
            "bottom",
            1,
            hint="one class index for each item",
            notes=[context.made_here(0), context.made_here(1)],
        )


def warn_of_learned(context: LayerContext, *indices: int) -> None:
    """Warns of bottoms that follow from learned params, though no gradient goes there.

    Caffe stops in the backward pass.

    Caffe asks for params anywhere above, whatever `propagate_down` says there; the layer's own says
    that it is meant.
    """
    flags, blobs = context.message.propagate_down, context.layer.bottom_blobs
    if context.layer.phase != "TRAIN":
        return
    for i in indices:
        if i >= len(blobs) or (i < len(flags) and not flags[i]) or not _is_learned(blobs[i]):
            continue
        message = (
            f"{context.layer.label}: '{blobs[i].name}' follows from learned params, "
            f"but {context.spec.type} sends no gradient to it; Caffe stops here"
        )
        hint = "give 'propagate_down' once for each bottom, false for this one"
        context.report.warning(
            message, context.layer.spans.at("bottom", i), hint, [context.made_here(i)]
        )


def _is_learned(blob: Blob) -> bool:
    above, seen = [blob.producer], {blob.producer}
    while above:
        layer = above.pop()
        if any(param.lr_mult for param in layer.params):
            return True
        fresh = {b.producer for b in layer.bottom_blobs} - seen
        above += fresh
        seen |= fresh
    return False


def warn_of_second_top(context: LayerContext, hint: str | None = None) -> None:
    """Warns of a second top where Caffe can't build the layer.

    It expects a loss_weight for each.
    """
    context.warn(
        f"Caffe can't build {context.spec.type} with a second "
        f"top{' that has no loss_weight' if hint else ''}",
        "top",
        1,
        hint=hint,
    )


class Loss(Spec):
    """What all losses share.

    A scalar top of weight 1 that needs no name, and two bottoms of as many items.
    """

    bottoms = (2, 2)
    is_loss = True
    unforced: ClassVar[tuple[int, ...]] = (1,)
    automatic_top = True
    labels: ClassVar[tuple[int, ...]] = (1,)  # bottoms that get no gradient

    def infer(self, context: LayerContext) -> list[Shape]:
        for i in (0, 1):
            if not context.bottoms[i]:
                raise context.stop(
                    "a scalar holds no items", "bottom", i, notes=[context.made_here(i)]
                )
        context.same_first()
        self.match(context)
        warn_of_learned(context, *self.labels)
        return [(), context.bottoms[0]][: len(context.layer.top_blobs)]

    def match(self, context: LayerContext) -> None:
        """Stops where the bottoms do not fit each other."""


def softmax_loss(layer: Layer) -> Operations:
    """A softmax of the first bottom, and the logarithm at each label."""
    scores, labels = layer.bottom_blobs[:2]
    logs = Operations(additions=labels.count, exponentials=labels.count)
    return SOFTMAX.times(scores.count).and_also(logs)


class SoftmaxWithLoss(Loss):
    """The mean of -log softmax at the labels.

    A second top, which Caffe documents but can't build, is the softmax.
    """

    type = "SoftmaxWithLoss"
    param = "softmax_param"
    tops = (1, 2)
    shown_param = "loss_param"
    shown = IGNORED
    example = Example(
        SCORES,
        "loss_param { ignore_label: 255 }",
        shapes=f"{SCALAR}; a second top has the first bottom's shape",
    )

    def class_axis(self, layer: Layer) -> int:
        return int(layer.field(self.param).axis)

    def check(self, context: LayerContext) -> None:
        if len(context.layer.top_blobs) > 1:
            warn_of_second_top(context)

    def match(self, context: LayerContext) -> None:
        require_labels(context, context.axis(context.param.axis, len(context.bottoms[0]), "axis"))

    def operations(self, layer: Layer) -> Operations:
        return softmax_loss(layer)

    def kept(self, layer: Layer) -> Kept:
        return Kept(bytes=4 * layer.bottom_blobs[0].count)  # their logarithms in 32 bits


class InfogainLoss(Loss):
    """-log softmax at every class, weighted by the label's row of a matrix H.

    A second top is the softmax.

    H is the third bottom, or stands in the file `source`.
    """

    type = "InfogainLoss"
    param = "infogain_loss_param"
    bottoms = (2, 3)
    tops = (1, 2)
    labels = (1, 2)
    shown = (Setting("axis", "axis {}"),)
    example = Example(
        {**SCORES, "H": (1, 1, 10, 10)},
        shapes=f"{SCALAR}; a second top has the first bottom's shape",
    )

    def class_axis(self, layer: Layer) -> int:
        return int(layer.field(self.param).axis)

    def check(self, context: LayerContext) -> None:
        if context.message.loss_param.HasField("normalize"):
            hint = "write 'normalization: VALID' in place of true, BATCH_SIZE in place of false"
            context.error(
                "InfogainLoss does not take the older 'normalize'",
                "loss_param",
                "normalize",
                hint=hint,
            )
        if len(context.layer.bottom_blobs) < 3 and not context.param.source:
            hint = "name a .binaryproto file in 'source', or give the matrix as a third bottom"
            context.error("its matrix is missing", "source", hint=hint)
        if len(context.layer.top_blobs) > 1 and not context.message.loss_weight:
            warn_of_second_top(context, "give 'loss_weight' once for each top, such as 1 and 0")

    def match(self, context: LayerContext) -> None:
        scores = context.bottoms[0]
        axis = context.axis(context.param.axis, len(scores), "axis")
        require_labels(context, axis)
        classes = scores[axis]
        if len(context.bottoms) > 2 and prod(context.bottoms[2]) != classes * classes:
            message = (
                f"the matrix '{context.layer.bottoms[2]}' ({shape_text(context.bottoms[2])}) "
                f"must hold {classes}×{classes} values"
            )
            raise context.stop(
                message, "bottom", 2, notes=[context.made_here(2), context.made_here(0)]
            )

    def operations(self, layer: Layer) -> Operations:
        # the logarithm of every class, not of the label's alone
        values = layer.bottom_blobs[0].count
        return SOFTMAX.times(values).and_also(Operations(0, values, values))


class MultinomialLogisticLoss(Loss):
    """The mean of -log at the labels, of a bottom that holds probabilities.

    Everything after the first axis is classes.
    """

    type = "MultinomialLogisticLoss"
    reads = BOTTOM
    example = Example({"probabilities": (32, 10), "label": (32,)}, shapes=SCALAR)

    def class_axis(self, layer: Layer) -> int:
        return 1

    def match(self, context: LayerContext) -> None:
        require_one_label_each(context)

    def operations(self, layer: Layer) -> Operations:
        labels = layer.bottom_blobs[1].count
        return Operations(additions=labels, exponentials=labels)


class HingeLoss(Loss):
    """One class against all others: max(0, 1 - score) at the label, max(0, 1 + score) elsewhere.

    L2 squares them.
    """

    type = "HingeLoss"
    param = "hinge_loss_param"
    each = Operations(comparisons=1, additions=2)
    shown = (Setting("norm", "{}", True),)
    example = Example(SCORES, "hinge_loss_param { norm: L2 }", shapes=SCALAR)

    def class_axis(self, layer: Layer) -> int:
        return 1

    def match(self, context: LayerContext) -> None:
        require_one_label_each(context)


class Accuracy(Spec):
    """The share of items whose label is among the top_k scores.

    A second top gives it for each class.
    """

    type = "Accuracy"
    param = "accuracy_param"
    bottoms = (2, 2)
    tops = (1, 2)
    keeps = NOTHING
    each = Operations(comparisons=1)
    is_metric = True
    shown = (Setting("top_k", "top {}", True), Setting("axis", "axis {}"), *IGNORED[:1])
    example = Example(
        SCORES,
        "accuracy_param { top_k: 5 }",
        shapes="a scalar; a second top has a value for each class",
    )

    def class_axis(self, layer: Layer) -> int:
        return int(layer.field(self.param).axis)

    def check(self, context: LayerContext) -> None:
        if not context.param.top_k:
            context.warn("with 'top_k' 0 the accuracy is always 0", "top_k")

    def infer(self, context: LayerContext) -> list[Shape]:
        scores = context.bottoms[0]
        axis = context.axis(context.param.axis, len(scores), "axis")
        require_labels(context, axis)
        if context.param.top_k > scores[axis]:
            raise context.stop(
                f"'top_k' {context.param.top_k} is more than the {scores[axis]} classes",
                "top_k",
                notes=[context.made_here(0)],
            )
        return [(), (scores[axis],)][: len(context.layer.top_blobs)]


SPECS = (SoftmaxWithLoss, InfogainLoss, MultinomialLogisticLoss, HingeLoss, Accuracy)
