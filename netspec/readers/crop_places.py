"""Where the records of a batch are cropped, and which are flipped."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from netspec.readers.reader import Shard
from netspec.readers.ten_places import ten_places

Place = tuple[int, int, int]  # of a crop: its top row and left column, and whether it is flipped


class CropPlaces:
    """Where the records of a batch are cropped, and which are flipped.

    A record gets what it would get if every record of all processes' batch had its size: a process
    does not know the sizes of what the others read.

    Args:
        count: the records of all processes' batch.
        at_random: crops anywhere instead of in the centre, rounded down.
        mirror: flips every other record, at random.
    """

    def __init__(
        self, count: int, at_random: bool, mirror: bool, rng: np.random.Generator, shard: Shard
    ) -> None:
        self._count, self._at_random, self._mirror, self._shard = count, at_random, mirror, shard
        self._rng, self._start = rng, rng.bit_generator.state
        self._drawn: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._lock = Lock()

    def of(self, spare: tuple[int, int], i: int) -> Place:
        """That of the record at a place of the batch, whose crop leaves out rows and columns."""
        drawn = self._drawn.get(spare)  # mostly there is but one size
        if drawn is None:
            with self._lock:
                self._rng.bit_generator.state = self._start
                drawn = self._drawn[spare] = self._draw(*spare)[:, self._shard.own]
        top, left, flip = drawn[:, i].tolist()
        return top, left, flip

    def ten(self, spare: tuple[int, int]) -> list[Place]:
        """Those of the ten crops of a record."""
        return [(*place[:, 0].tolist(),) for place in ten_places([spare])]

    def _draw(self, spare_rows: int, spare_columns: int) -> NDArray[np.int64]:
        """Places for all records as if they were of one size. Shapes: (3, count)."""
        count, rng = self._count, self._rng
        if self._at_random:
            tops, lefts = (
                rng.integers(0, spare_rows + 1, count),
                rng.integers(0, spare_columns + 1, count),
            )
        else:
            tops, lefts = np.full(count, spare_rows // 2), np.full(count, spare_columns // 2)
        flips = rng.integers(0, 2, count) if self._mirror else np.zeros(count, np.int64)
        return np.stack([tops, lefts, flips])
