"""Arrays of batches, whose memory is used again."""

from __future__ import annotations

import weakref
from collections import deque
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)
_SMALL = 1 << 20  # bytes up to which the allocator itself uses memory again
_SPARE = 2  # blocks kept for the next batches


class ArrayPool:
    """Gives arrays whose memory comes back once they and all of their views are gone.

    Memory that is new from the system costs more than all that is computed into it: each of its
    pages is cleared first. To whoever holds an array it is one of its own.
    """

    def __init__(self) -> None:
        self._spare: deque[NDArray[np.uint8]] = deque(maxlen=_SPARE)

    def empty(self, shape: tuple[int, ...], kind: type[T]) -> NDArray[T]:
        """An array of any content."""
        size = np.dtype(kind).itemsize * prod(shape)
        if size < _SMALL:
            return np.empty(shape, kind)
        block = self._block(size)
        # over a memoryview, for a view of an array would be counted as one of the block itself
        array: NDArray[T] = np.frombuffer(block.data, kind)
        weakref.finalize(array, self._spare.append, block).atexit = False
        return array.reshape(shape)

    def _block(self, size: int) -> NDArray[np.uint8]:
        try:
            while True:  # those of another size are not asked for any more
                block = self._spare.pop()
                if block.nbytes == size:
                    return block
        except IndexError:
            return np.empty(size, np.uint8)
