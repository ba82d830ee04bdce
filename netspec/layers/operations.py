"""What a layer computes beside multiply-adds."""

from __future__ import annotations

from typing import NamedTuple


class Operations(NamedTuple):
    """How many there are of each kind.

    Powers, roots and logarithms count as exponentials, differences as additions.
    """

    comparisons: int = 0
    additions: int = 0
    exponentials: int = 0
    divisions: int = 0

    def times(self, count: int) -> Operations:
        """These operations for each of so many values."""
        return Operations(*(number * count for number in self))

    def and_also(self, other: Operations) -> Operations:
        """These operations and others."""
        return Operations(*(a + b for a, b in zip(self, other, strict=True)))


SOFTMAX = Operations(comparisons=1, additions=2, exponentials=1, divisions=1)
SIGMOID = Operations(additions=1, exponentials=1, divisions=1)
TANH = Operations(additions=2, exponentials=1, divisions=1)
# three gates and two hyperbolic tangents of a hidden value
LSTM_STEP = SIGMOID.times(3).and_also(TANH.times(2))
