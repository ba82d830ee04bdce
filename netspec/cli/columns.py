"""The columns of `netspec shapes`: what each says of a layer, or of a group of layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import ceil
from typing import Any

from netspec.cli.layer_groups import Row, layers_of
from netspec.graph import COLUMNS, Blob, Layer, Net
from netspec.layers.operations import Operations
from netspec.layers.reach import Reach


class Figures:
    """What the columns take from passes over the net, computed once and only where asked for."""

    def __init__(self, net: Net, precision: str = "fp32") -> None:
        self.net, self.precision = net, precision

    @cached_property
    def fields(self) -> dict[Blob, Reach | None]:
        from netspec.passes.receptive_field import receptive_field

        return receptive_field(self.net)

    @cached_property
    def value_bytes(self) -> int:
        from netspec.passes.memory_cost import PRECISIONS

        return PRECISIONS[self.precision]

    @cached_property
    def blob_bytes(self) -> dict[Layer, int]:
        from netspec.passes.memory_cost import blob_bytes

        return blob_bytes(self.net, self.value_bytes)

    @cached_property
    def operations(self) -> dict[Layer, Operations]:
        from netspec.passes.count_operations import count_operations

        return count_operations(self.net)


def _plain(value: Callable[[Any], Any]) -> Column:
    return lambda _, row: value(row)


def _reach(of: Callable[[Reach], tuple[float, ...]]) -> Column:
    """For each top what its receptive field says along the spatial axes.

    'whole' where the whole input may count; nothing of tops that see no data.
    """

    def column(figures: Figures, row: Row) -> list[tuple[float, ...] | str]:
        fields = [figures.fields[blob] for blob in row.top_blobs if blob in figures.fields]
        return ["whole" if field is None else of(field) for field in fields]

    return column


def _operations(kind: str) -> Column:
    return lambda figures, row: sum(
        getattr(figures.operations[layer], kind) for layer in layers_of(row)
    )


def _param_bytes(figures: Figures, row: Row) -> int:
    """The bytes of the params that the layers own."""
    owned = (p.count for layer in layers_of(row) for p in layer.params if p.owner is None)
    return figures.value_bytes * sum(owned)


def _blob_bytes(figures: Figures, row: Row) -> int:
    return sum(figures.blob_bytes[layer] for layer in layers_of(row))


def _short(values: tuple[float, ...]) -> tuple[float, ...]:
    """Numbers as people read them: whole ones without a point, thirds with six digits."""
    return tuple(int(v) if v == int(v) else float(f"{v:.6g}") for v in values)


Column = Callable[[Figures, Any], Any]
ALL_COLUMNS: dict[str, Column] = {
    **{name: _plain(value) for name, value in COLUMNS.items()},
    "line": _plain(lambda row: row.span.line if row.span else 0),
    **{kind: _operations(kind) for kind in Operations._fields},
    "receptive_field": _reach(lambda reach: tuple(map(ceil, reach.size))),
    "stride": _reach(lambda reach: _short(reach.stride)),
    "offset": _reach(lambda reach: _short(reach.offset)),
    "param_bytes": _param_bytes,
    "blob_bytes": _blob_bytes,
}
CSV_COLUMNS = (*COLUMNS, "line")
SUMMED = (*Operations._fields, "param_bytes", "blob_bytes")  # whose sums stand below a table
