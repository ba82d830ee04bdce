"""Boxes in whole pixels, as R-CNN counts them: from x1 to x2 there are x2 - x1 + 1 pixels.

Source: bbox_transform and nms of rbgirshick/py-faster-rcnn.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 512  # boxes that non-maximum suppression compares with one another at a time


def sizes(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The widths and heights of boxes (…, 4)."""
    return boxes[..., 2] - boxes[..., 0] + 1, boxes[..., 3] - boxes[..., 1] + 1


def decode(anchors: Tensor, deltas: Tensor) -> Tensor:
    """Boxes of deltas (dx, dy, log of the width's ratio, of the height's) to anchors, (…, 4)."""
    width, height = sizes(anchors)
    x = deltas[..., 0] * width + (anchors[..., 0] + 0.5 * width)
    y = deltas[..., 1] * height + (anchors[..., 1] + 0.5 * height)
    half_width = 0.5 * deltas[..., 2].exp() * width
    half_height = 0.5 * deltas[..., 3].exp() * height
    return torch.stack((x - half_width, y - half_height, x + half_width, y + half_height), -1)


def encode(anchors: Tensor, boxes: Tensor) -> Tensor:
    """The deltas that decode boxes from anchors, but for 1 pixel: (…, 4)."""
    width, height = sizes(anchors)
    box_width, box_height = sizes(boxes)
    dx = boxes[..., 0] + 0.5 * box_width - (anchors[..., 0] + 0.5 * width)
    dy = boxes[..., 1] + 0.5 * box_height - (anchors[..., 1] + 0.5 * height)
    return torch.stack(
        (dx / width, dy / height, (box_width / width).log(), (box_height / height).log()), -1
    )


def clip(boxes: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """The boxes with their corners inside an image."""
    last = torch.stack((width, height, width, height)) - 1
    return boxes.minimum(last).clamp(min=0)


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """The intersection over union of every box of a (A, 4) with every one of b (B, 4): (A, B)."""
    corner = torch.maximum(a[:, None, :2], b[None, :, :2])
    opposite = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (opposite - corner + 1).clamp(min=0).prod(-1)
    area_a, area_b = (width * height for width, height in (sizes(a), sizes(b)))
    return shared / (area_a[:, None] + area_b[None] - shared)


def suppress(boxes: Tensor, threshold: float, most: int) -> Tensor:
    """The indices of the boxes (R, 4), best first, that non-maximum suppression keeps.

    A box goes where it overlaps a kept one before it by more than the threshold.

    Args:
        most: how many to keep at most; 0 for all.
    """
    kept = torch.empty(0, dtype=torch.long, device=boxes.device)
    for start in range(0, boxes.shape[0], _BLOCK):
        block = boxes[start : start + _BLOCK]
        free = ~(overlaps(boxes[kept], block) > threshold).any(0)
        stays = _first_of_each(free, (overlaps(block, block) > threshold).triu(1))
        kept = torch.cat((kept, start + stays.nonzero()[:, 0]))
        if 0 < most <= kept.numel():
            return kept[:most]
    return kept


def _first_of_each(free: Tensor, suppresses: Tensor) -> Tensor:
    """Which boxes stay where [i, j] says that box i, if it stays, suppresses the later box j.

    Each round settles at least the next box, and most of them all at once.
    """
    stays = free
    while True:
        after = free & ~(suppresses & stays[:, None]).any(0)
        if torch.equal(after, stays):
            return stays
        stays = after
