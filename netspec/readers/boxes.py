"""Boxes of an annotated image: their arithmetic in the fork's single precision.

Corners are shares of the image's width and height: xmin, ymin, xmax, ymax.
Source: weiliu89/caffe, branch ssd, util/bbox_util.cpp.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
UNIT = np.array([0, 0, 1, 1], np.float32)


class Boxes(NamedTuple):
    """The annotated objects of an image, group by group.

    Shapes: corners (G, 4), the others (G).
    """

    corners: Floats
    labels: NDArray[np.int32]
    instances: NDArray[np.int32]
    difficult: NDArray[np.bool_]

    def kept(self, mask: NDArray[np.bool_], corners: Floats) -> Boxes:
        """Those of the mask, with other corners."""
        return Boxes(corners[mask], self.labels[mask], self.instances[mask], self.difficult[mask])


def boxes_of(record: Any) -> Boxes:
    """The boxes of an AnnotatedDatum."""
    found = [
        (group.group_label, each.instance_id, each.bbox)
        for group in record.annotation_group
        for each in group.annotation
    ]
    corners = [(b.xmin, b.ymin, b.xmax, b.ymax) for _, _, b in found]
    return Boxes(
        np.array(corners, np.float32).reshape(-1, 4),
        np.array([label for label, _, _ in found], np.int32),
        np.array([instance for _, instance, _ in found], np.int32),
        np.array([b.difficult for _, _, b in found], np.bool_),
    )


def area(corners: Floats) -> Floats:
    """Areas, 0 for a box that is turned inside out. Shapes: (…, 4) to (…)."""
    width, height = corners[..., 2] - corners[..., 0], corners[..., 3] - corners[..., 1]
    return np.where((width < 0) | (height < 0), np.float32(0), width * height)


def intersection(box: Floats, corners: Floats) -> Floats:
    """The common part of one box and each of others, all 0 where there is none."""
    low, high = np.maximum(box[:2], corners[:, :2]), np.minimum(box[2:], corners[:, 2:])
    common = np.concatenate([low, high], axis=1)
    common[(low > high).any(axis=1)] = 0
    return common


def jaccard(box: Floats, corners: Floats) -> Floats:
    """Intersection over union of one box with each of others. Shapes: (4), (G, 4) to (G)."""
    common = intersection(box, corners)
    inside = area(common)
    touches = (common[:, 2] > common[:, 0]) & (common[:, 3] > common[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(touches, inside / (area(box) + area(corners) - inside), np.float32(0))


def coverage(of: Floats, box: Floats, corners: Floats) -> Floats:
    """The share of `of`'s area that lies in the common part of a box with each of others.

    Args: of: the areas that are the whole, one or one a box.
    """
    inside = area(intersection(box, corners))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(inside > 0, inside / of, np.float32(0))


def project(source: Floats, corners: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Boxes as shares of another one, cut to it, and which of them have an area there."""
    meets = (
        (corners[:, 0] < source[2])
        & (corners[:, 2] > source[0])
        & (corners[:, 1] < source[3])
        & (corners[:, 3] > source[1])
    )
    origin = np.tile(source[:2], 2)
    size = np.tile(source[2:] - source[:2], 2)
    projected: Floats = ((corners - origin) / size).clip(0, 1).astype(np.float32)
    return projected, meets & (area(projected) > 0)


def emitted(source: Floats, corners: Floats, constraint: Any) -> NDArray[np.bool_]:
    """Which boxes an EmitConstraint lets pass when an image is cut to `source`."""
    if constraint.emit_type == constraint.MIN_OVERLAP:
        return coverage(area(corners), source, corners) > np.float32(constraint.emit_overlap)
    centres = (corners[:, :2] + corners[:, 2:]) / np.float32(2)
    inside: NDArray[np.bool_] = (centres >= source[:2]) & (centres <= source[2:])
    return np.logical_and.reduce(inside, axis=1)


def mirrored(corners: Floats) -> Floats:
    """Boxes of the image that is flipped left to right."""
    left, right = np.float32(1) - corners[:, 2], np.float32(1) - corners[:, 0]
    return np.stack([left, corners[:, 1], right, corners[:, 3]], axis=1)
