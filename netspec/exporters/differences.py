"""How far one array differs from another: absolute, relative to the largest value, and in ULPs."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest differences of two arrays.

    `relative` is the largest absolute one, divided by the largest value; `ulps` counts the numbers
    of single precision that lie between two values. All are infinite where one value alone is not
    finite, or the shapes differ.
    """

    absolute: float
    relative: float
    ulps: float


NONE, APART = Difference(0.0, 0.0, 0.0), Difference(inf, inf, inf)


def difference(got: np.ndarray, wanted: np.ndarray) -> Difference:
    """The largest differences; equal infinities agree, and so do NaN.

    Shapes: that of `wanted` for both
    """
    if got.shape != wanted.shape:
        return APART
    both, given = wanted.astype(np.float64), got.astype(np.float64)
    same = (both == given) | (np.isnan(both) & np.isnan(given))
    if same.all():
        return NONE
    if not (np.isfinite(both) & np.isfinite(given) | same).all():
        return APART
    absolute = float(np.abs(both[~same] - given[~same]).max())
    largest = float(np.abs(both[np.isfinite(both)]).max(initial=1e-30))
    return Difference(absolute, absolute / largest, _ulps(given[~same], both[~same]))


def relative_difference(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, relative to the largest value; equal infinities and NaN agree."""
    return difference(got, wanted).relative


def _ulps(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(_places(got) - _places(wanted)).max())


def _places(values: np.ndarray) -> np.ndarray:
    """Where values stand in the row of all numbers of single precision; both zeros at 0."""
    with np.errstate(over="ignore"):
        bits = values.astype(np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def rows_apart(a: np.ndarray, b: np.ndarray, tolerance: float) -> int:
    """How many rows of one table have no equal in the other, the larger number of both.

    Shapes: (A, width), (B, width)

    Args:
        tolerance: of a value, relative to it where it is above 1.
    """
    return max(_without_equal(a, b, tolerance), _without_equal(b, a, tolerance))


def _without_equal(a: np.ndarray, b: np.ndarray, tolerance: float) -> int:
    allowed = tolerance * np.maximum(1, np.abs(a))
    near = [(np.abs(b - row) <= most).all(1).any() for row, most in zip(a, allowed, strict=True)]
    return len(a) - int(np.sum(near))
