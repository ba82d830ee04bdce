"""Which places of a bottom a place of the top reads, along each spatial axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netspec.graph import Layer

if TYPE_CHECKING:
    from netspec.layers.window import Window


@dataclass(frozen=True, slots=True)
class Reach:
    """A window over some places, a value for each spatial axis (every axis behind N and C).

    Place i of the top reads `size` places around i · `stride` + `offset`, their centre. A stride
    below 1 is that of a layer that enlarges.
    """

    size: tuple[float, ...]
    stride: tuple[float, ...]
    offset: tuple[float, ...]

    @classmethod
    def place(cls, axes: int) -> Reach:
        """The place of the same number alone."""
        return cls((1,) * axes, (1,) * axes, (0,) * axes)

    def after(self, below: Reach) -> Reach:
        """The reach through two layers: this one's, of which `below` comes before."""
        axes = list(zip(below.size, below.stride, below.offset, strict=True))
        return Reach(
            tuple(n + (own - 1) * s for own, (n, s, _) in zip(self.size, axes, strict=True)),
            tuple(own * s for own, (_, s, _) in zip(self.stride, axes, strict=True)),
            tuple(o + own * s for own, (_, s, o) in zip(self.offset, axes, strict=True)),
        )

    def joined(self, other: Reach) -> Reach:
        """What either reads; of two strides the larger."""
        own, others = self._ends(), other._ends()
        ends = [(min(a, c), max(b, d)) for (a, b), (c, d) in zip(own, others, strict=True)]
        return Reach(
            tuple(end - start + 1 for start, end in ends),
            tuple(map(max, self.stride, other.stride)),
            tuple((start + end) / 2 for start, end in ends),
        )

    def _ends(self) -> list[tuple[float, float]]:
        """The first and the last place that place 0 reads."""
        return [
            (offset - (size - 1) / 2, offset + (size - 1) / 2)
            for size, offset in zip(self.size, self.offset, strict=True)
        ]


def same_places(layer: Layer, bottom: int) -> Reach | None:
    """Each place reads the same place, where the tops have the bottom's spatial axes."""
    sizes = (layer.bottom_blobs[bottom].shape or ())[2:]
    if not sizes or any((blob.shape or ())[2:] != sizes for blob in layer.top_blobs):
        return None
    return Reach.place(len(sizes))


def window_reach(window: Window) -> Reach:
    """What a convolution or pooling reads."""
    axes = range(len(window.kernel))
    return Reach(
        tuple(window.extent(i) for i in axes),
        window.stride,
        tuple((window.extent(i) - 1) / 2 - window.pad[i] for i in axes),
    )


def spread_reach(window: Window) -> Reach:
    """What a deconvolution reads.

    At most, for how many values fall on a place differs from place to place.
    """
    axes = range(len(window.kernel))
    return Reach(
        tuple(-(-window.extent(i) // window.stride[i]) for i in axes),
        tuple(1 / stride for stride in window.stride),
        tuple((window.pad[i] - (window.extent(i) - 1) / 2) / window.stride[i] for i in axes),
    )


def copied_reach(scales: tuple[int, ...]) -> Reach:
    """What a layer reads that spreads each value over a cell of its own."""
    return Reach(
        (1,) * len(scales),
        tuple(1 / scale for scale in scales),
        tuple((1 / scale - 1) / 2 for scale in scales),
    )
