"""cv::resize of 8-bit pixels in each of its interpolations.

Linear and nearest are OpenCV's own numbers; cubic, Lanczos and area may be one level off where
OpenCV's vector code rounds in another order.
Source: OpenCV's resize.cpp.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.readers.images import Pixels, resize

_BITS = 11  # OpenCV weighs 8-bit pixels with whole numbers of so many bits
_CUBIC = -0.75


def resize_by(image: Pixels, height: int, width: int, mode: str) -> Pixels:
    """An image resized by LINEAR, AREA, NEAREST, CUBIC or LANCZOS4.

    Shapes: (C, H, W) to (C, height, width).
    """
    old_height, old_width = image.shape[1:]
    if (old_height, old_width) == (height, width):
        return image
    if mode == "LINEAR":
        return resize(image, height, width)
    if mode == "NEAREST":
        rows, columns = _nearest(old_height, height), _nearest(old_width, width)
        return np.ascontiguousarray(image[:, rows[:, None], columns])
    if mode != "AREA":
        taps = _cubic if mode == "CUBIC" else _lanczos
        return _weighed(image, taps(old_height, height), taps(old_width, width))
    if height > old_height or width > old_width:  # OpenCV then mixes two neighbours by their areas
        return _weighed(image, _area_taps(old_height, height), _area_taps(old_width, width))
    return _area_means(image, height, width)


Taps = tuple[NDArray[np.int64], NDArray[np.int64]]  # old places and weights, a row a new place


def _nearest(old: int, new: int) -> NDArray[np.int64]:
    return np.minimum(np.floor(np.arange(new) * (1 / (new / old))).astype(np.int64), old - 1)


def _weighed(image: Pixels, rows: Taps, columns: Taps) -> Pixels:
    """Each pixel from the weighed old ones, first across and then down, rounded at the end."""
    across: Any = 0
    for place, weight in zip(columns[0].T, columns[1].T, strict=True):
        across = across + image[:, :, place].astype(np.int32) * weight.astype(np.int32)
    down: Any = 0
    for place, weight in zip(rows[0].T, rows[1].T, strict=True):
        down = down + across[:, place].astype(np.int64) * weight[:, None]
    rounded = (down + (1 << (2 * _BITS - 1))) >> (2 * _BITS)
    return np.clip(rounded, 0, 255).astype(np.uint8)


def _whole(old: int, first: NDArray[np.int64], weights: NDArray[Any]) -> Taps:
    """Weights as whole numbers; places past an edge are the edge's."""
    places = np.clip(first[:, None] + np.arange(weights.shape[1]), 0, old - 1)
    return places, np.rint(weights.astype(np.float32) * np.float32(1 << _BITS)).astype(np.int64)


def _middles(old: int, new: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The old place before each new pixel's middle, and how far behind it that lies."""
    middle = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    first = np.floor(middle).astype(np.int64)
    return first, middle - first.astype(np.float32)


def _cubic(old: int, new: int) -> Taps:
    first, x = _middles(old, new)
    a, y = np.float32(_CUBIC), 1 - x
    before = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    inner = [((a + 2) * t - (a + 3)) * t * t + 1 for t in (x, y)]
    weights = np.stack([before, *inner, 1 - before - inner[0] - inner[1]], axis=1)
    return _whole(old, first - 1, weights)


def _lanczos(old: int, new: int) -> Taps:
    first, x = _middles(old, new)
    distance = x[:, None].astype(np.float64) + 3 - np.arange(8)
    weights = (np.sinc(distance) * np.sinc(distance / 4)).astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    return _whole(old, first - 3, weights)


def _area_taps(old: int, new: int) -> Taps:
    scale, places = old / new, np.arange(new)
    first = np.floor(places * scale).astype(np.int64)
    share = ((places + 1) - (first + 1) / scale).astype(np.float32)
    share = np.where(share <= 0, np.float32(0), share - np.floor(share))
    return _whole(old, first, np.stack([1 - share, share], axis=1))


def _area_means(image: Pixels, height: int, width: int) -> Pixels:
    """Each pixel the mean of the old ones that it covers."""
    old_height, old_width = image.shape[1:]
    if (old_height, old_width) == (2 * height, 2 * width):
        return resize(image, height, width)
    values = image.astype(np.float32)
    means = _shares(old_height, height) @ (values @ _shares(old_width, width).T)
    return np.clip(np.rint(means), 0, 255).astype(np.uint8)


def _shares(old: int, new: int) -> NDArray[np.float32]:
    """How much of each old place a new one covers. Shapes: (new, old)."""
    scale = old / new
    begin = np.arange(new)[:, None] * scale
    end = np.minimum(begin + scale, old)
    edges = np.arange(old)
    covered = np.minimum(end, edges + 1) - np.maximum(begin, edges)
    covered = np.where(covered > 1e-3, covered, 0)  # OpenCV drops slivers
    return (covered / np.minimum(scale, old - begin)).astype(np.float32)
