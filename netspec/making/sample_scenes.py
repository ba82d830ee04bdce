"""Scenes of handwritten digits with a box around each, for nets that detect objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from netspec.making.annotated_datum import Box, annotated_datum
from netspec.making.encode_datum import raw_datum
from netspec.making.enlarge import enlarge

Pixels = NDArray[np.uint8]
_SEED = 20  # of what is drawn for the scenes
_DIGITS = 1, 4  # fewest and most in a scene
_SIDES = 20, 44  # pixels that a digit is enlarged to
_GAP = 2  # pixels that stay free between boxes
_FRAGMENTS = 3  # pieces of strokes that are no digits, at most
_INK = 96  # values from which on a pixel belongs to a digit


def scene_records(
    images: Pixels, labels: NDArray[np.int64], count: int, side: int
) -> Iterator[bytes]:
    """AnnotatedDatums of `count` scenes; the label of a digit is one more than its value.

    Every digit is drawn as often as the others.
    Shapes: images (N, 8, 8).
    """
    rng = np.random.RandomState(_SEED)  # its numbers stay the same in every numpy
    order = np.concatenate(
        [rng.permutation(len(images)) for _ in range(-(-count * _DIGITS[1] // len(images)))]
    )
    place = 0
    for _ in range(count):
        wanted = rng.randint(_DIGITS[0], _DIGITS[1] + 1)
        chosen = order[place : place + wanted]
        place += wanted
        scene, boxes = _scene(images[chosen], labels[chosen], side, rng)
        yield annotated_datum(raw_datum(scene[None], 0), (1, side, side), boxes)


def _scene(
    digits: Pixels, labels: NDArray[np.int64], side: int, rng: np.random.RandomState
) -> tuple[Pixels, list[Box]]:
    canvas = _background(side, rng)
    taken: list[tuple[int, int, int, int]] = []
    boxes: list[Box] = []
    for digit, label in zip(digits, labels, strict=True):
        drawn = enlarge(digit, rng.randint(_SIDES[0], _SIDES[1] + 1))
        rows, columns = np.nonzero(drawn >= _INK)
        drawn = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        corner = _free_place(drawn.shape, taken, side, rng)
        if corner is None:
            continue
        top, left = corner
        bottom, right = top + drawn.shape[0], left + drawn.shape[1]
        window = canvas[top:bottom, left:right]
        np.maximum(window, drawn, out=window)
        taken.append((top, left, bottom, right))
        boxes.append(Box(int(label) + 1, left / side, top / side, right / side, bottom / side))
    for _ in range(rng.randint(0, _FRAGMENTS + 1)):
        piece = enlarge(digits[0], 32)[8:16, 8:16]
        corner = _free_place(piece.shape, taken, side, rng)
        if corner is not None:
            window = canvas[corner[0] : corner[0] + 8, corner[1] : corner[1] + 8]
            np.maximum(window, piece, out=window)
    return canvas, boxes


def _background(side: int, rng: np.random.RandomState) -> Pixels:
    """Grey that grows darker or lighter across the canvas, with noise."""
    slope = rng.randint(-30, 31, 2)[:, None] * np.linspace(-0.5, 0.5, side)
    grey = 50 + slope[0][:, None] + slope[1] + rng.randint(-12, 13, (side, side))
    return np.clip(grey, 0, 255).astype(np.uint8)


def _free_place(
    shape: tuple[int, ...],
    taken: list[tuple[int, int, int, int]],
    side: int,
    rng: np.random.RandomState,
) -> tuple[int, int] | None:
    """A place where nothing lies yet; None where a few trials find none."""
    height, width = shape
    for _ in range(20):
        top, left = rng.randint(0, side - height + 1), rng.randint(0, side - width + 1)
        if all(
            top >= other[2] + _GAP
            or left >= other[3] + _GAP
            or top + height + _GAP <= other[0]
            or left + width + _GAP <= other[1]
            for other in taken
        ):
            return top, left
    return None
