"""The maximum over any rectangles of a map, in a few steps that do not depend on their number.

Tables hold the maxima of all rectangles whose sides are powers of two; any other rectangle is
covered by four of those. Source: the sparse table of range minimum queries (Bender and
Farach-Colton 2000).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Spans(NamedTuple):
    """Where bins begin and end along an axis, (R, bins), whole numbers on the map."""

    begin: Tensor
    end: Tensor


class _Found(NamedTuple):
    """Maxima and at which place of the map each stands, h·W + w; -1 where there is none."""

    value: Tensor
    place: Tensor | None  # None where nobody asks

    def each(self, change: Callable[[Tensor], Tensor]) -> _Found:
        """Both parts changed alike."""
        return _Found(change(self.value), None if self.place is None else change(self.place))

    def rows(self, index: Tensor) -> _Found:
        return self.each(lambda part: part.index_select(0, index))


def range_max(
    x: Tensor, image: Tensor, rows: Spans, columns: Spans, with_places: bool
) -> tuple[Tensor, Tensor | None]:
    """The maximum of every bin, and where asked for its place in x.flatten().

    Of equal values the first counts. An empty bin gives 0, and x.numel() for its place. NaN counts
    as less than any number.

    Shapes: x (N, C, H, W), image (R), rows (R, P), columns (R, Q) → twice (R, C, P, Q).
    """
    n, c, h, w = x.shape
    levels = [_levels(spans, limit) for spans, limit in ((rows, h), (columns, w))]
    table = _table(x, levels[0], levels[1], with_places)
    is_empty, level, low, high = zip(
        *(
            _cover(spans, count, limit)
            for spans, count, limit in ((rows, levels[0], h), (columns, levels[1], w))
        ),
        strict=True,
    )
    plane = (level[0][:, :, None] * levels[1] + level[1][:, None, :]) * n + image[:, None, None]
    found = None
    for row in (low[0], high[0]):
        for column in (low[1], high[1]):
            index = ((plane * h + row[:, :, None]) * w + column[:, None, :]).reshape(-1)
            each = table.rows(index)
            found = each if found is None else _better(found, each)
    assert found is not None
    shape = (*plane.shape, c)
    value, place = found.each(lambda part: part.view(shape).permute(0, 3, 1, 2))
    nothing = is_empty[0][:, None, :, None] | is_empty[1][:, None, None, :]
    top = value.masked_fill(nothing, 0).contiguous()
    if place is None:
        return top, None
    channel = torch.arange(c, device=x.device)[:, None, None]
    whole = (image[:, None, None, None] * c + channel) * (h * w) + place.long()
    return top, whole.masked_fill(nothing | (place < 0), x.numel()).contiguous()


def _levels(spans: Spans, limit: int) -> int:
    """How many powers of two the longest bin needs. Of a traced net, the longest that may be."""
    longest = limit
    if not torch.compiler.is_compiling():
        lengths = spans.end - spans.begin
        longest = max(1, int(lengths.max())) if lengths.numel() else 1
    return max(1, longest).bit_length()


def _cover(spans: Spans, levels: int, limit: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Which bins are empty; else the power of two, and where its two intervals begin."""
    length = spans.end - spans.begin
    powers = 2 ** torch.arange(levels, device=length.device)
    level = (torch.bucketize(length, powers, right=True) - 1).clamp(min=0)
    low = spans.begin.clamp(max=limit - 1)
    return length <= 0, level, low, torch.maximum(low, spans.end - powers[level])


def _table(x: Tensor, row_levels: int, column_levels: int, with_places: bool) -> _Found:
    """A row of C maxima for each level of rows and columns, image and place."""
    _, c, h, w = x.shape
    least = torch.finfo(x.dtype).min  # Caffe begins with -FLT_MAX and takes what is greater
    value = x.permute(0, 2, 3, 1)
    is_greater = value > least
    place = torch.arange(h * w, device=x.device, dtype=torch.int32).view(h, w, 1)
    first = _Found(
        torch.where(is_greater, value, least),
        torch.where(is_greater, place, -1).contiguous() if with_places else None,
    )
    levels = []
    for row in range(row_levels):
        first = _doubled(first, 1, 2 ** (row - 1)) if row else first
        here = first
        for column in range(column_levels):
            here = _doubled(here, 2, 2 ** (column - 1)) if column else here
            levels.append(here)
    return _Found(
        torch.stack([level.value for level in levels]).reshape(-1, c),
        torch.stack([level.place for level in levels if level.place is not None]).reshape(-1, c)
        if with_places
        else None,
    )


def _doubled(found: _Found, axis: int, step: int) -> _Found:
    """Of intervals of a length those of twice the length; what reaches past the map stays."""
    size = found.value.shape[axis]
    if step >= size:
        return found
    better = _better(
        found.each(lambda part: part.narrow(axis, 0, size - step)),
        found.each(lambda part: part.narrow(axis, step, size - step)),
    )
    rest = found.each(lambda part: part.narrow(axis, size - step, step))
    return _Found(
        torch.cat((better.value, rest.value), axis),
        None
        if better.place is None or rest.place is None
        else torch.cat((better.place, rest.place), axis),
    )


def _better(a: _Found, b: _Found) -> _Found:
    """The greater maximum; of equal ones the one that stands first on the map."""
    if a.place is None or b.place is None:
        return _Found(torch.maximum(a.value, b.value), None)
    second = (b.value > a.value) | ((b.value == a.value) & (b.place < a.place))
    return _Found(torch.where(second, b.value, a.value), torch.where(second, b.place, a.place))
