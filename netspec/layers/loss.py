"""The losses of class labels, accuracy.

Source: Caffe's LossLayer, SoftmaxWithLossLayer, InfogainLossLayer, MultinomialLogisticLossLayer,
HingeLossLayer and AccuracyLayer.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from netspec.graph import Blob, Shape, shape_text
from netspec.layers.example import SCALAR, SCORES, Example
from netspec.layers.setting import IGNORED, Setting
from netspec.layers.spec import BOTTOM, Site, Spec


def require_labels(site: Site, axis: int) -> None:
    """Requires a label for each place outside the class axis."""
    scores, labels = site.bottoms[:2]
    wanted = prod(scores[:axis]) * prod(scores[axis + 1 :])
    if prod(labels) != wanted:
        names = site.layer.bottoms
        message = f"'{names[0]}' ({shape_text(scores)}) has {wanted} predictions along axis {axis}, '{names[1]}' {prod(labels)} labels"
        hint = "the label blob holds one class index for each item (and each place, where the scores have more axes)"
        raise site.stop(message, "bottom", 1, hint=hint, notes=[site.made_here(0), site.made_here(1)])


def require_one_label_each(site: Site) -> None:
    """Requires one label for each item, whatever axes an item has."""
    items, labels = site.bottoms[0][0], prod(site.bottoms[1])
    if labels != items:
        names = site.layer.bottoms
        message = f"'{names[0]}' has {items} items, '{names[1]}' ({shape_text(site.bottoms[1])}) {labels} labels"
        raise site.stop(message, "bottom", 1, hint="one class index for each item", notes=[site.made_here(0), site.made_here(1)])


def warn_of_learned(site: Site, *indices: int) -> None:
    """Warns of bottoms that follow from learned params, though no gradient goes there: Caffe stops in the backward pass.

    Caffe asks for params anywhere above, whatever `propagate_down` says there; the layer's own says that it is meant.
    """
    flags, blobs = site.message.propagate_down, site.layer.bottom_blobs
    if site.layer.phase != "TRAIN":
        return
    for i in indices:
        if i >= len(blobs) or (i < len(flags) and not flags[i]) or not _is_learned(blobs[i]):
            continue
        message = f"{site.layer.label}: '{blobs[i].name}' follows from learned params, but {site.spec.type} sends no gradient to it; Caffe stops here"
        hint = "give 'propagate_down' once for each bottom, false for this one"
        site.report.warning(message, site.layer.spans.at("bottom", i), hint, [site.made_here(i)])


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


def warn_of_second_top(site: Site, hint: str | None = None) -> None:
    """Warns of a second top where Caffe can't build the layer: it expects a loss_weight for each."""
    site.warn(f"Caffe can't build {site.spec.type} with a second top{' that has no loss_weight' if hint else ''}", "top", 1, hint=hint)


class Loss(Spec):
    """What all losses share: a scalar top of weight 1 that needs no name, and two bottoms of as many items."""

    bottoms = (2, 2)
    is_loss = True
    unforced: ClassVar[tuple[int, ...]] = (1,)
    automatic_top = True
    labels: ClassVar[tuple[int, ...]] = (1,)  # bottoms that get no gradient

    def infer(self, site: Site) -> list[Shape]:
        for i in (0, 1):
            if not site.bottoms[i]:
                raise site.stop("a scalar holds no items", "bottom", i, notes=[site.made_here(i)])
        site.same_first()
        self.match(site)
        warn_of_learned(site, *self.labels)
        return [(), site.bottoms[0]][: len(site.layer.top_blobs)]

    def match(self, site: Site) -> None:
        """Stops where the bottoms do not fit each other."""


class SoftmaxWithLoss(Loss):
    """The mean of -log softmax at the labels. A second top, which Caffe documents but can't build, is the softmax."""

    type = "SoftmaxWithLoss"
    param = "softmax_param"
    tops = (1, 2)
    shown_param = "loss_param"
    shown = IGNORED
    example = Example(SCORES, "loss_param { ignore_label: 255 }", shapes=f"{SCALAR}; a second top has the first bottom's shape")

    def check(self, site: Site) -> None:
        if len(site.layer.top_blobs) > 1:
            warn_of_second_top(site)

    def match(self, site: Site) -> None:
        require_labels(site, site.axis(site.param.axis, len(site.bottoms[0]), "axis"))


class InfogainLoss(Loss):
    """-log softmax at every class, weighted by the label's row of a matrix H. A second top is the softmax.

    H is the third bottom, or stands in the file `source`.
    """

    type = "InfogainLoss"
    param = "infogain_loss_param"
    bottoms = (2, 3)
    tops = (1, 2)
    labels = (1, 2)
    shown = (Setting("axis", "axis {}"),)
    example = Example({**SCORES, "H": (1, 1, 10, 10)}, shapes=f"{SCALAR}; a second top has the first bottom's shape")

    def check(self, site: Site) -> None:
        if site.message.loss_param.HasField("normalize"):
            hint = "write 'normalization: VALID' in place of true, BATCH_SIZE in place of false"
            site.error("InfogainLoss does not take the older 'normalize'", "loss_param", "normalize", hint=hint)
        if len(site.layer.bottom_blobs) < 3 and not site.param.source:
            hint = "name a .binaryproto file in 'source', or give the matrix as a third bottom"
            site.error("its matrix is missing", "source", hint=hint)
        if len(site.layer.top_blobs) > 1 and not site.message.loss_weight:
            warn_of_second_top(site, "give 'loss_weight' once for each top, such as 1 and 0")

    def match(self, site: Site) -> None:
        scores = site.bottoms[0]
        axis = site.axis(site.param.axis, len(scores), "axis")
        require_labels(site, axis)
        classes = scores[axis]
        if len(site.bottoms) > 2 and prod(site.bottoms[2]) != classes * classes:
            message = f"the matrix '{site.layer.bottoms[2]}' ({shape_text(site.bottoms[2])}) must hold {classes}×{classes} values"
            raise site.stop(message, "bottom", 2, notes=[site.made_here(2), site.made_here(0)])


class MultinomialLogisticLoss(Loss):
    """The mean of -log at the labels, of a bottom that holds probabilities; everything after the first axis is classes."""

    type = "MultinomialLogisticLoss"
    reads = BOTTOM
    example = Example({"probabilities": (32, 10), "label": (32,)}, shapes=SCALAR)

    def match(self, site: Site) -> None:
        require_one_label_each(site)


class HingeLoss(Loss):
    """One class against all others: max(0, 1 - score) at the label, max(0, 1 + score) elsewhere; L2 squares them."""

    type = "HingeLoss"
    param = "hinge_loss_param"
    shown = (Setting("norm", "{}", True),)
    example = Example(SCORES, "hinge_loss_param { norm: L2 }", shapes=SCALAR)

    def match(self, site: Site) -> None:
        require_one_label_each(site)


class Accuracy(Spec):
    """The share of items whose label is among the top_k scores; a second top gives it for each class."""

    type = "Accuracy"
    param = "accuracy_param"
    bottoms = (2, 2)
    tops = (1, 2)
    is_metric = True
    shown = (Setting("top_k", "top {}", True), Setting("axis", "axis {}"), *IGNORED[:1])
    example = Example(SCORES, "accuracy_param { top_k: 5 }", shapes="a scalar; a second top has a value for each class")

    def check(self, site: Site) -> None:
        if not site.param.top_k:
            site.warn("with 'top_k' 0 the accuracy is always 0", "top_k")

    def infer(self, site: Site) -> list[Shape]:
        scores = site.bottoms[0]
        axis = site.axis(site.param.axis, len(scores), "axis")
        require_labels(site, axis)
        if site.param.top_k > scores[axis]:
            raise site.stop(f"'top_k' {site.param.top_k} is more than the {scores[axis]} classes", "top_k", notes=[site.made_here(0)])
        return [(), (scores[axis],)][: len(site.layer.top_blobs)]


SPECS = (SoftmaxWithLoss, InfogainLoss, MultinomialLogisticLoss, HingeLoss, Accuracy)
