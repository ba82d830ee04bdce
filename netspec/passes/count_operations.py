"""What a forward pass computes beside multiply-adds, by kind."""

from __future__ import annotations

from netspec.graph import Layer, Net
from netspec.layers import find_spec
from netspec.layers.operations import Operations


def count_operations(net: Net) -> dict[Layer, Operations]:
    """The operations of each layer over the whole batch; of one without a known shape none.

    A bias begins its sum and counts nothing. Nor does what depends on the data: matching boxes,
    sorting detections.
    """
    found = {}
    for layer in net.layers:
        spec = find_spec(layer.spec_name)
        blobs = [*layer.bottom_blobs, *layer.top_blobs]
        is_known = spec is not None and all(blob.shape is not None for blob in blobs)
        found[layer] = spec.operations(layer) if spec and is_known else Operations()
    return found
