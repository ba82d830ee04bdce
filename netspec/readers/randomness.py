"""Random numbers as a function of what they are for.

A resumed run therefore draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np

from netspec.graph import Layer

# purposes: one batch's draws, the order of one epoch, the start in a list, the rows of one epoch's
# file (ROWS + its number)
BATCH, ORDER, SKIP, ROWS = 0, 1, 2, 3
ITEM = 2**32  # one record's draws, by its number in the stream; ROWS goes on for each file


def generator(seed: int, layer: Layer, purpose: int, index: int = 0) -> np.random.Generator:
    """A generator that depends on nothing but its arguments.

    Philox is counter-based: seed and layer are the key; purpose and index (of the batch or epoch)
    start the counter so far apart that no two of its streams meet.
    """
    # train and test nets often share a layer's name
    who = crc32(layer.name.encode()) | (layer.phase == "TRAIN") << 32
    key = np.array([seed % 2**64, who], np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, 0, index, purpose], np.uint64))
    )


def record_generators(
    seed: int, layer: Layer, numbers: Sequence[int]
) -> Callable[[int], np.random.Generator]:
    """For a place of a batch the generator of the record there.

    Args: numbers: of the batch's records, in the endless stream.
    """
    return lambda place: generator(seed, layer, ITEM, numbers[place])
