"""The rows of `netspec shapes`: the layers, or blocks of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netspec.diagnostics import Span, counted
from netspec.draw.blocks import find_blocks
from netspec.graph import Blob, Layer, Net, Param


@dataclass(slots=True, eq=False)
class Group:
    """Layers as one: what they read from others, what others read of them, and their sums.

    Its attributes are those that the columns ask of a layer.
    """

    name: str
    layers: list[Layer]
    top_blobs: list[Blob]

    @property
    def type(self) -> str:
        return counted(len(self.layers), "layer")

    @property
    def bottoms(self) -> list[str]:
        own = set(self.layers)
        return list(
            dict.fromkeys(
                blob.name
                for layer in self.layers
                for blob in layer.bottom_blobs
                if blob.producer not in own
            )
        )

    @property
    def tops(self) -> list[str]:
        return [blob.name for blob in self.top_blobs]

    @property
    def params(self) -> list[Param]:
        return []  # their shapes say nothing of a group, whose count stands beside them

    @property
    def param_count(self) -> int:
        return sum(layer.param_count for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def span(self) -> Span | None:
        return self.layers[0].span


Row = Layer | Group


def layers_of(row: Row) -> list[Layer]:
    return row.layers if isinstance(row, Group) else [row]


def grouped(net: Net) -> list[Row]:
    """The blocks of a net, as the pictures have them, and the layers that are in none."""
    rows: list[Row] = []
    at = 0
    for block in find_blocks([layer.name for layer in net.layers]):
        layers = net.layers[block.start : block.end]
        rows += [*net.layers[at : block.start], Group(block.name, layers, _read_outside(layers))]
        at = block.end
    return [*rows, *net.layers[at:]]


def _read_outside(layers: list[Layer]) -> list[Blob]:
    """The blobs of a group that other layers read, and those that none reads."""
    own = set(layers)
    return [
        blob
        for layer in layers
        for blob in layer.top_blobs
        if not blob.consumers or any(reader not in own for reader, _ in blob.consumers)
    ]


def in_order(rows: list[Row], value: Callable[[Any], Any]) -> list[Row]:
    """The rows by a column's values: texts from A to Z, numbers from the largest."""
    values = {row: value(row) for row in rows}
    if all(isinstance(each, (int, float)) for each in values.values()):
        return sorted(rows, key=lambda row: -values[row])
    return sorted(rows, key=lambda row: _sortable(values[row]))


def _sortable(value: Any) -> tuple[Any, ...]:
    """A text or a list as a key; shapes go by their sizes, an unknown one comes first."""
    parts = value if isinstance(value, list) else [value]
    return tuple((isinstance(part, str), () if part is None else part) for part in parts)
