"""What is in a weight file: of each layer's arrays the shape, and what its values are like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod, sqrt
from pathlib import Path

import numpy as np

from netspec.graph import Shape
from netspec.weights.choice import WeightChoice
from netspec.weights.files import Weights, is_caffemodel, read_weights
from netspec.weights.open_caffemodel import open_caffemodel

_CHUNK = 1 << 20  # values that are looked at in one go


@dataclass(frozen=True, slots=True)
class BlobSummary:
    """An array of a layer.

    Args:
        mean, deviation: of the finite values; None where there are none. The deviation is that of
            the values, not of a larger whole that they were drawn from.
        zeros, nans, infs: how many of the values are.
    """

    shape: Shape
    mean: float | None
    deviation: float | None
    zeros: int
    nans: int
    infs: int

    @property
    def count(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """A layer with its arrays; None stands for one that another layer has."""

    name: str
    type: str
    blobs: list[BlobSummary | None]


@dataclass(frozen=True, slots=True)
class WeightsSummary:
    """A weight file's layers that have arrays, in file order."""

    path: str
    layers: list[LayerSummary] = field(default_factory=list)

    @property
    def blobs(self) -> list[BlobSummary]:
        """The arrays of all layers."""
        return [blob for layer in self.layers for blob in layer.blobs if blob is not None]

    @property
    def count(self) -> int:
        """The values of all layers."""
        return sum(blob.count for blob in self.blobs)

    def placeholders(self) -> Weights:
        """The layers with arrays of their shapes, of zeros that take no memory."""
        return {
            layer.name: [
                None if blob is None else np.broadcast_to(np.float32(0), blob.shape)
                for blob in layer.blobs
            ]
            for layer in self.layers
        }


def summarize(path: str | Path, choice: WeightChoice | None = None) -> WeightsSummary:
    """What is in a weight file of any readable format; of a caffemodel an array at a time is read.

    Args: choice: which of its layers are looked at, and what they are called.
    Raises: NetspecError where the file can't be read, or lacks a layer that the choice names.
    """
    choice = choice or WeightChoice()
    if is_caffemodel(path) and not choice.tensors:
        with open_caffemodel(path) as model:
            stored = {layer.name: layer for layer in model.layers if layer.blobs}
            choice.require_names([path], stored)
            taken = choice.taken(path, stored)
            layers = [
                LayerSummary(name, layer.type, [blob_summary(blob.array()) for blob in layer.blobs])
                for name, layer in taken.items()
            ]
    else:
        weights = read_weights(path, names=choice.tensor_names())
        choice.require_names([path], weights)
        layers = [
            LayerSummary(name, "", [None if a is None else blob_summary(a) for a in arrays])
            for name, arrays in choice.taken(path, weights).items()
        ]
    return WeightsSummary(str(path), layers)


def blob_summary(array: np.ndarray) -> BlobSummary:
    """An array's shape, and what its values are like."""
    values = array.reshape(-1)
    zeros = nans = infs = 0
    moments = (0, 0.0, 0.0)  # how many finite values, their mean, their squared distance from it
    for start in range(0, values.size, _CHUNK):
        part = values[start : start + _CHUNK]
        zeros += int(np.count_nonzero(part == 0))
        nans += int(np.count_nonzero(np.isnan(part)))
        infs += int(np.count_nonzero(np.isinf(part)))
        finite = part[np.isfinite(part)].astype(np.float64)
        if finite.size:
            mean = float(finite.mean())
            moments = _merged([moments, (finite.size, mean, float(((finite - mean) ** 2).sum()))])
    count, mean, squares = moments
    return BlobSummary(
        tuple(array.shape),
        mean if count else None,
        sqrt(squares / count) if count else None,
        zeros,
        nans,
        infs,
    )


def _merged(parts: Iterable[tuple[int, float, float]]) -> tuple[int, float, float]:
    """The moments of several parts together.

    Source: Chan, Golub, LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances, 1979.
    """
    count, mean, squares = 0, 0.0, 0.0
    for n, its_mean, its_squares in parts:
        if n:
            distance, total = its_mean - mean, count + n
            squares += its_squares + distance**2 * count * n / total
            mean += distance * n / total
            count = total
    return count, mean, squares
