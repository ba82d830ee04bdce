"""What a forward pass costs: multiply-adds of each layer over the whole batch."""

from __future__ import annotations

from netspec.graph import Net
from netspec.layers import find_spec


def count_cost(net: Net) -> None:
    """Fills in each layer's `macs`. Layers without a known shape count as 0."""
    for layer in net.layers:
        spec = find_spec(layer.spec_name)
        if (
            spec is not None
            and layer.top_blobs
            and all(blob.shape is not None for blob in layer.top_blobs)
        ):
            layer.macs = spec.macs(layer)


def param_count(net: Net) -> int:
    """The number of values in all params; a shared one counts once."""
    return net.param_count
