"""Caffe's fillers in numpy, for DummyData."""

from __future__ import annotations

from math import ceil, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from netspec.schema.caffe_pb2 import FillerParameter


# beyond the range of 32 bits lies infinity, as in Caffe
@np.errstate(over="ignore", invalid="ignore")
def fill(
    filler: FillerParameter, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float32]:
    """An array as the filler makes it.

    The numbers follow Caffe's distributions, not its random stream. The layer's check has seen that
    the filler exists, and can fill the shape.

    Source: filler.hpp.
    """
    kind = filler.type
    if not prod(shape):
        return np.zeros(shape, np.float32)
    if kind == "constant":
        return np.full(shape, filler.value, np.float32)
    if kind == "uniform":
        return _uniform(rng, shape, filler.min, filler.max)
    if kind == "gaussian":
        return _gaussian(filler, shape, rng)
    if kind == "positive_unitball":
        rows = rng.random(shape, np.float32).reshape(shape[0] if shape else 1, -1)
        return (rows / rows.sum(axis=1, keepdims=True)).reshape(shape).astype(np.float32)
    if kind == "xavier":
        limit = sqrt(3 / _fan(filler, shape))
        return _uniform(rng, shape, -limit, limit)
    if kind == "msra":
        return rng.standard_normal(shape, np.float32) * np.float32(sqrt(2 / _fan(filler, shape)))
    return _bilinear(shape)


def _uniform(
    rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float
) -> NDArray[np.float32]:
    return rng.random(shape, np.float32) * np.float32(high - low) + np.float32(low)


def _gaussian(
    filler: FillerParameter, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float32]:
    """`sparse` keeps each value with probability sparse / shape[0].

    On average so many of each column stay.
    """
    values = rng.standard_normal(shape, np.float32) * np.float32(filler.std) + np.float32(
        filler.mean
    )
    return (
        values
        if filler.sparse < 0
        else values * (rng.random(shape, np.float32) < filler.sparse / shape[0])
    )


def _fan(filler: FillerParameter, shape: tuple[int, ...]) -> float:
    """n of xavier and msra, read off the shape alone: a single axis counts as the whole."""
    count = prod(shape)
    fan_in = count / shape[0]
    fan_out = count / shape[1] if len(shape) > 1 else count
    if filler.variance_norm == FillerParameter.FAN_OUT:
        return fan_out
    return (fan_in + fan_out) / 2 if filler.variance_norm == FillerParameter.AVERAGE else fan_in


def _bilinear(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The same upsampling kernel in every plane."""
    factor = ceil(shape[3] / 2)
    centre = (shape[3] - 1) / (2 * factor)
    row = 1 - np.abs(np.arange(shape[3]) / factor - centre)
    return np.broadcast_to(np.outer(row, row), shape).astype(np.float32)
