"""What all readers of data layers share: one class a layer type gives the batch of any index."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.graph import Layer

Batch = dict[str, NDArray[Any]]


class Reader(Protocol):
    """Reads what a data layer feeds. `read` is a function of the seed and the index alone."""

    @property
    def size(self) -> int | None:
        """Records in one pass over the data; None where there is no such number or it would take long to find."""
        ...

    def read(self, batch_index: int) -> Batch: ...
    def close(self) -> None: ...


def named_source(layer: Layer, param_name: str) -> str:
    """The `source` of a data layer. Raises: NetspecError where it names none."""
    source: str = getattr(layer.message, param_name).source
    if not source:
        raise NetspecError(f"{layer.label} names no {param_name}.source", layer.spans.at(param_name))
    return source


def batch_size(layer: Layer, param_name: str) -> int:
    """The `batch_size` of a data layer. Raises: NetspecError where it is 0 or missing."""
    size: int = getattr(layer.message, param_name).batch_size
    if size <= 0:
        raise NetspecError(f"{layer.label} needs a {param_name}.batch_size above 0", layer.spans.at(param_name, "batch_size"))
    return size
