"""How far the arrays of two files of weights lie apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np

from netspec.layers.blobs import same_shape
from netspec.weights.files import Weights, read_weights

_CHUNK = 1 << 20  # values that are compared at a time, in double precision
_NO_ARRAY: np.ndarray = np.empty(0, np.float32)  # stands in where a file has none


@dataclass(frozen=True, slots=True)
class BlobName:
    """Which of a layer's arrays."""

    layer: str
    index: int


@dataclass(frozen=True, slots=True)
class BlobChange:
    """An array of both files, of one shape, whose values differ."""

    name: BlobName
    shape: tuple[int, ...]
    max_difference: float  # the largest absolute one; nan where one of the values is nan
    mean_difference: float  # the mean of all absolute ones
    differing: int  # values that differ


@dataclass(slots=True)
class WeightChanges:
    """What differs between two files of weights."""

    removed: list[tuple[BlobName, tuple[int, ...]]] = field(default_factory=list)
    added: list[tuple[BlobName, tuple[int, ...]]] = field(default_factory=list)
    reshaped: list[tuple[BlobName, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)
    changed: list[BlobChange] = field(default_factory=list)
    equal: int = 0  # arrays that are

    def __bool__(self) -> bool:
        return bool(self.removed or self.added or self.reshaped or self.changed)


def compare_weights(old_path: str | Path, new_path: str | Path) -> WeightChanges:
    """What differs between two files of weights, matched by the layers' names.

    Raises: NetspecError where a file can't be read.
    """
    changes = WeightChanges()
    old, new = read_weights(old_path), read_weights(new_path)
    for layer in dict.fromkeys([*old, *new]):
        arrays = zip_longest(old.get(layer, []), new.get(layer, []), fillvalue=_NO_ARRAY)
        for index, (one, other) in enumerate(arrays):
            if one is None and other is None:  # both share another layer's
                continue
            own = one if one is not None else _shared(old, other)
            theirs = other if other is not None else _shared(new, one)
            _compare(BlobName(layer, index), own, theirs, changes)
    return changes


def _shared(weights: Weights, wanted: np.ndarray | None) -> np.ndarray:
    """The array that stands for one that a layer shares with another.

    HDF5 files do not say whose it is: it is the wanted one if any layer has that.
    """
    if wanted is None:
        return _NO_ARRAY
    every = (array for arrays in weights.values() for array in arrays if array is not None)
    return next((array for array in every if np.array_equal(array, wanted)), _NO_ARRAY)


def _compare(name: BlobName, old: np.ndarray, new: np.ndarray, changes: WeightChanges) -> None:
    if new is _NO_ARRAY:
        changes.removed.append((name, old.shape))
    elif old is _NO_ARRAY:
        changes.added.append((name, new.shape))
    elif not (same_shape(old.shape, new.shape) or same_shape(new.shape, old.shape)):
        changes.reshaped.append((name, old.shape, new.shape))
    elif change := compare_arrays(name, old, new):
        changes.changed.append(change)
    else:
        changes.equal += 1


def compare_arrays(name: BlobName, old: np.ndarray, new: np.ndarray) -> BlobChange | None:
    """How far two arrays of one size lie apart; None where they are equal.

    Two nan, and two infinities of one sign, are equal.
    """
    largest, total, differing = 0.0, 0.0, 0
    one, other = old.reshape(-1), new.reshape(-1)
    for start in range(0, one.size, _CHUNK):
        a = one[start : start + _CHUNK].astype(np.float64)
        b = other[start : start + _CHUNK].astype(np.float64)
        is_same = (a == b) | (np.isnan(a) & np.isnan(b))
        if is_same.all():
            continue
        apart = np.abs(a[~is_same] - b[~is_same])
        differing += apart.size
        total += float(apart.sum())
        largest = float(np.maximum(largest, apart.max()))  # keeps a nan
    if not differing:
        return None
    return BlobChange(name, old.shape, largest, total / one.size, differing)
