"""R-CNN's rules for boxes, one at a time: x1, y1, x2, y2, from x1 to x2 x2 - x1 + 1 pixels."""

from __future__ import annotations

from math import exp

import numpy as np


def iou(a: list[float], b: list[float]) -> float:
    """The pixels that two boxes share, of those that either has."""
    w = min(a[2], b[2]) - max(a[0], b[0]) + 1
    h = min(a[3], b[3]) - max(a[1], b[1]) + 1
    area = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    shared = max(w, 0) * max(h, 0)
    return shared / (sum(area) - shared)


def moved(box: list[float], delta: np.ndarray, height: float, width: float) -> list[float]:
    """A box moved and stretched by a delta, inside an image."""
    w, h = box[2] - box[0] + 1, box[3] - box[1] + 1
    x, y = box[0] + w / 2 + delta[0] * w, box[1] + h / 2 + delta[1] * h
    w, h = w * exp(delta[2]), h * exp(delta[3])
    corners = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    return [min(max(v, 0), most - 1) for v, most in zip(corners, (width, height) * 2, strict=True)]


def greedy(boxes: list[tuple[float, list[float]]], threshold: float, most: int) -> list:
    """The scores and boxes, best first, that overlap none that is kept by more than a threshold."""
    kept: list[tuple[float, list[float]]] = []
    for score, box in boxes:
        if len(kept) < most and all(iou(box, other) <= threshold for _, other in kept):
            kept.append((score, box))
    return kept
