"""The receptive field of each blob: the part of the net's data that one of its places sees."""

from __future__ import annotations

from netspec.graph import Blob, Layer, Net
from netspec.layers import find_spec
from netspec.layers.reach import Reach
from netspec.layers.spec import Spec


def receptive_field(net: Net) -> dict[Blob, Reach | None]:
    """The reach of each blob into the data, in their places; pad counts as data.

    None where the whole of the data may count: behind InnerProduct, or where a layer type does not
    keep to places. A blob is left out where no data leads to it or its shape is unknown. Branches
    that meet have what any of them sees. Statistics of a batch do not count.

    Source: Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks,
    2019.
    """
    fields: dict[Blob, Reach | None] = {}
    for layer in net.layers:
        spec = find_spec(layer.spec_name)
        if spec is None:
            continue
        if spec.is_source:
            fields.update(_sources(layer))
            continue
        seen = [
            _through(spec, layer, i, fields[blob])
            for i, blob in enumerate(layer.bottom_blobs)
            if blob in fields and i not in spec.sizes_only
        ]
        if seen:
            field = _joined(seen)
            fields.update({blob: field for blob in layer.top_blobs if blob.shape is not None})
    return fields


def _sources(layer: Layer) -> dict[Blob, Reach | None]:
    """The tops that have places: labels have none."""
    return {
        blob: Reach.place(len(blob.shape) - 2)
        for blob in layer.top_blobs
        if blob.shape is not None and len(blob.shape) > 2
    }


def _through(spec: Spec, layer: Layer, bottom: int, field: Reach | None) -> Reach | None:
    reach = spec.reach(layer, bottom)
    if reach is None or field is None or len(reach.size) != len(field.size):
        return None
    return reach.after(field)


def _joined(fields: list[Reach | None]) -> Reach | None:
    joined = fields[0]
    for field in fields[1:]:
        if joined is None or field is None or len(joined.size) != len(field.size):
            return None
        joined = joined.joined(field)
    return joined
