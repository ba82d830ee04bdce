"""Other batch sizes of a net: its inputs' shapes, and the largest batch that something admits."""

from __future__ import annotations

from collections.abc import Callable

from netspec.graph import Net, Shape

LARGEST = 2**31 - 1  # Caffe counts items with an int


def batch_shapes(net: Net, batch: int) -> dict[str, Shape]:
    """The shapes of the net's inputs and data for another number of items.

    Given to `load` as `inputs`, they make the net anew. An input whose first axis is not the
    number of items keeps its shape.
    """
    shapes = {name: net.first_version(name).shape for name in (*net.inputs, *net.sources)}
    return {
        name: (batch, *shape[1:])
        for name, shape in shapes.items()
        if shape and shape[0] == net.batch_size
    }


def largest_batch(fits: Callable[[int], bool]) -> int:
    """The largest batch that fits, where every smaller one does, too; 0 where none does."""
    if not fits(1):
        return 0
    good, bad = 1, 2
    while bad <= LARGEST and fits(bad):
        good, bad = bad, 2 * bad
    bad = min(bad, LARGEST + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        if fits(middle):
            good = middle
        else:
            bad = middle
    return good
