"""Axes and sizes that the shape layers' specs and modules share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from netspec.graph import Shape, shape_text
from netspec.layers.layer_context import LayerContext


def slice_sizes(size: int, tops: int, points: Sequence[int]) -> list[int]:
    """What each top of a Slice holds of an axis; without points all hold the same."""
    if not points:
        return [size // tops] * tops
    return [end - start for start, end in pairwise([0, *points, size])]


def replaced_axes(axes: int, axis: int, num_axes: int) -> tuple[int, int]:
    """The axes that a Reshape replaces, the second not included.

    A negative axis counts from one behind the last.
    """
    start = axis + axes + 1 if axis < 0 else axis
    return start, axes if num_axes == -1 else start + num_axes


def reshaped(bottom: Sequence[int], dims: Sequence[int], start: int, end: int) -> Shape:
    """A shape whose axes from `start` to `end` are replaced.

    0 copies the axis at the same place, -1 is what is left.
    """
    new = [bottom[start + i] if dim == 0 else dim for i, dim in enumerate(dims)]
    if -1 in dims:
        left, taken = left_and_taken(bottom, dims, start, end)
        new[list(dims).index(-1)] = left // max(taken, 1)
    return (*bottom[:start], *new, *bottom[end:])


def left_and_taken(
    bottom: Sequence[int], dims: Sequence[int], start: int, end: int
) -> tuple[int, int]:
    """What the replaced axes hold, and what of it the given sizes take.

    Axes that are only copied count in neither.
    """
    copied = {start + i for i, dim in enumerate(dims) if dim == 0}
    left = prod([bottom[i] for i in range(start, end) if i not in copied])
    return left, prod([dim for dim in dims if dim > 0]) * prod(
        [bottom[i] for i in copied if i >= end]
    )


def offsets_of(given: Sequence[int], axes: int) -> list[int]:
    """Where a Crop begins on each of its axes: no offset is 0, one goes for all."""
    return list(given) * axes if len(given) == 1 else list(given) or [0] * axes


def require_maps(context: LayerContext, *indices: int) -> Shape:
    """Requires bottoms, or all of them, to be N×C×H×W; returns the shape of the first of these."""
    chosen = indices or tuple(range(len(context.bottoms)))
    for i in chosen:
        if len(context.bottoms[i]) != 4:
            raise context.stop(
                f"'{context.layer.bottoms[i]}' must be N×C×H×W, "
                f"got {shape_text(context.bottoms[i])}",
                "bottom",
                i,
                notes=[context.made_here(i)],
            )
    return context.bottoms[chosen[0]]
