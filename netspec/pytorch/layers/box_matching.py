"""Which prior boxes of a MultiBoxLoss layer mean which true boxes.

Source: weiliu89/caffe, bbox_util.cpp (GetGroundTruth, FindMatches, MatchBBox).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from netspec.diagnostics import NetspecError, Span
from netspec.pytorch.boxes import is_outside, overlaps

FREE, LEFT_OUT = -1, -2  # of a prior: no true box, and none for one that reaches outside
_LEAST = 1e-6  # overlaps up to it count as none


class Truth(NamedTuple):
    """The true boxes of a batch that count: their images, labels and corners (G, 4)."""

    images: Tensor
    labels: Tensor
    boxes: Tensor


class LabelPlace(NamedTuple):
    """The layer and the bottom that a wrong label is reported of."""

    layer: str
    span: Span | None

    def require(self, rows: Tensor, label: Tensor, classes: int, background: int) -> None:
        """Requires each label to be a class and not the background's. Raises: NetspecError."""
        bad = (label < 0) | (label >= classes) | (label == background)
        if not bool(bad.any()):
            return
        place = int(bad.nonzero()[0, 0])
        item, found = int(rows[place, 0]), int(label[place])
        what = (
            "which is the background's"
            if found == background
            else f"but there are {classes} classes (0 to {classes - 1})"
        )
        error = NetspecError(
            f"{self.layer}: item {item} of the batch has a true box with label {found}, {what}",
            self.span,
        )
        error.item = item
        raise error


def read_truth(
    rows: Tensor, items: int, classes: tuple[int, int], difficult: bool, place: LabelPlace
) -> Truth:
    """The true boxes of rows [image, label, instance, xmin, ymin, xmax, ymax, difficult].

    Rows of image -1 are padding. With two classes, every label above 1 is 1, as in RefineDet, whose
    first stage separates objects from background; SSD stops there.

    Args:
        items: images of the batch.
        classes: their number, and the background's label.
        difficult: whether boxes that are marked difficult count.
        place: what a wrong label is reported of.

    Raises: NetspecError for the background's label, and one that is no class (on the CPU).
    """
    rows = rows.detach().float().reshape(-1, 8)
    rows = rows[rows[:, 0].long() != -1]
    label = rows[:, 1].long()
    if classes[0] == 2:
        label = label.clamp(max=1)
    if rows.device.type == "cpu":
        place.require(rows, label, *classes)
    images = rows[:, 0].long()
    counts = (images >= 0) & (images < items)
    if not difficult:
        counts &= rows[:, 7] == 0
    return Truth(images[counts], label[counts], rows[counts, 3:7])


def match(
    boxes: Tensor, true: Tensor, threshold: float | None, ignore_outside: bool
) -> tuple[Tensor, Tensor]:
    """Matches the boxes of an image with its true boxes, and gives the overlaps, too.

    Each true box gets the box that overlaps it most, the greatest overlap first; of equals the
    first box comes first. Then, with a threshold, each other box gets its best true box from that
    overlap on.

    Shapes: (P, 4), (G, 4) → (P), (P)
    """
    index = torch.full((len(boxes),), FREE, device=boxes.device)
    rows = overlaps(boxes, true)
    if ignore_outside:
        outside = is_outside(boxes).any(1)
        index[outside] = LEFT_OUT
        rows[outside] = 0
    rows = torch.where(rows > _LEAST, rows, 0.0)
    overlap, best = rows.max(1)
    for prior, truth, value in _pairs(rows):
        index[prior], overlap[prior] = truth, value
    if threshold is not None:
        more = (index == FREE) & (overlap >= threshold) & (overlap > 0)
        index = torch.where(more, best, index)
    return index, overlap


def _pairs(rows: Tensor) -> list[tuple[int, int, float]]:
    """Pairs of a box and a true box, each taken once, the greatest overlap first.

    Only the true boxes whose best box was taken by another are looked at again.
    """
    found = []
    values, places = (part.tolist() for part in rows.max(0))
    left = set(range(rows.shape[1]))
    taken: list[int] = []
    while left:
        value = max(values[j] for j in left)
        if value <= 0:
            break
        prior, truth = min((places[j], j) for j in left if values[j] == value)
        found.append((prior, truth, value))
        taken.append(prior)
        left.remove(truth)
        for j in left:
            if places[j] == prior:
                column = rows[:, j].clone()
                column[taken] = 0
                best, place = column.max(0)
                values[j], places[j] = best.item(), int(place)
    return found
