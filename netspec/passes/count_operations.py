"""What a forward pass computes beside multiply-adds, by kind."""

from __future__ import annotations

from netspec.graph import Layer, Net
from netspec.layers import find_spec
from netspec.layers.operations import Operations


def count_operations(net: Net) -> dict[Layer, Operations]:
    """The operations of each layer over the whole batch."""
    return {layer: operations_of(layer) for layer in net.layers}


def operations_of(layer: Layer) -> Operations:
    """A layer's operations over the whole batch; none where a shape is not known.

    A bias begins its sum and counts nothing. Nor does what depends on the data: matching boxes,
    sorting detections.
    """
    spec = find_spec(layer.spec_name)
    blobs = [*layer.bottom_blobs, *layer.top_blobs]
    is_known = spec is not None and all(blob.shape is not None for blob in blobs)
    return spec.operations(layer) if spec and is_known else Operations()
