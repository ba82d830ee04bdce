"""Softmax, its loss, accuracy. Source: Caffe's SoftmaxLayer, SoftmaxWithLossLayer, AccuracyLayer."""

from __future__ import annotations

from math import prod

from netspec.graph import Shape, shape_text
from netspec.layers.spec import Site, Spec


def require_labels(site: Site, axis: int) -> None:
    """Requires a label for each place outside the class axis."""
    scores, labels = site.bottoms[:2]
    wanted = prod(scores[:axis]) * prod(scores[axis + 1 :])
    if prod(labels) != wanted:
        names = site.layer.bottoms
        message = f"'{names[0]}' ({shape_text(scores)}) has {wanted} predictions along axis {axis}, '{names[1]}' {prod(labels)} labels"
        hint = "the label blob holds one class index for each item (and each place, where the scores have more axes)"
        raise site.stop(message, "bottom", 1, hint=hint, notes=[site.made_here(0), site.made_here(1)])


class Softmax(Spec):
    """Exponentials that sum to 1 along `axis`."""

    type = "Softmax"
    param = "softmax_param"
    in_place = True

    def infer(self, site: Site) -> list[Shape]:
        site.axis(site.param.axis, len(site.bottoms[0]), "axis")
        return [site.bottoms[0]]


class SoftmaxWithLoss(Spec):
    """The mean of -log softmax at the labels. A second top, which Caffe documents but can't build, is the softmax."""

    type = "SoftmaxWithLoss"
    param = "softmax_param"
    bottoms = (2, 2)
    tops = (1, 2)
    is_loss = True
    automatic_top = True

    def infer(self, site: Site) -> list[Shape]:
        site.same_first()
        require_labels(site, site.axis(site.param.axis, len(site.bottoms[0]), "axis"))
        return [(), site.bottoms[0]][: len(site.layer.top_blobs)]


class Accuracy(Spec):
    """The share of items whose label is among the top_k scores; a second top gives it for each class."""

    type = "Accuracy"
    param = "accuracy_param"
    bottoms = (2, 2)
    tops = (1, 2)

    def check(self, site: Site) -> None:
        if site.param.top_k < 1:
            site.error("'top_k' must be at least 1, got 0", "top_k")

    def infer(self, site: Site) -> list[Shape]:
        scores = site.bottoms[0]
        axis = site.axis(site.param.axis, len(scores), "axis")
        require_labels(site, axis)
        if site.param.top_k > scores[axis]:
            raise site.stop(f"'top_k' {site.param.top_k} is more than the {scores[axis]} classes", "top_k", notes=[site.made_here(0)])
        return [(), (scores[axis],)][: len(site.layer.top_blobs)]


SPECS = (Softmax, SoftmaxWithLoss, Accuracy)
