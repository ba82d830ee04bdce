"""caffemodel files: a NetParameter in binary form, of which the layers' names and blobs count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.schema.caffe_pb2 import LayerParameter, NetParameter
from netspec.weights.blob_proto import Buffer, wire_blob, wire_field
from netspec.weights.open_caffemodel import open_caffemodel
from netspec.weights.read_bytes import PROTOBUF_LIMIT


class LayerWeights(NamedTuple):
    """A layer as a weight file holds it; a plain tuple in this order does as well.

    Arrays in Caffe's order and layout.
    """

    name: str
    type: str
    bottoms: Sequence[str]
    tops: Sequence[str]
    arrays: Sequence[np.ndarray]


LayerTuple = tuple[str, str, Sequence[str], Sequence[str], Sequence[np.ndarray]]
Diffs = Iterable[Sequence[np.ndarray | None]]


def read_caffemodel(path: str | Path) -> dict[str, list[np.ndarray]]:
    """The arrays of every layer that has any, by the layer's name, in file order.

    Of any size; what is held is the arrays, each read to its place. Reads the present form and both
    older ones (V1 `layers`, V0 `layers { layer { } }`), in single, double or NVIDIA's half
    precision. Types are not looked at: a file may hold layers that nobody knows, and the caller
    matches by name. Of two layers with one name the later wins, as where Caffe copies one after the
    other.

    Raises: NetspecError where the file is no caffemodel, is cut short, or a blob's shape does not
        fit its values.
    """
    with open_caffemodel(path) as model:
        return {
            layer.name: [blob.array() for blob in layer.blobs]
            for layer in model.layers
            if layer.blobs
        }


def write_caffemodel(
    path: str | Path, net_name: str, layers: Iterable[LayerTuple], diffs: Diffs | None = None
) -> None:
    """Writes what Caffe itself reads.

    `layer` entries with name, type, bottoms, tops and blobs in single precision.

    Args: diffs: for each layer, for each of its arrays, the gradient to store with it
        (snapshot_diff), or None.
    Raises: NetspecError where the file can't be written or would pass protobuf's 2 GiB.
    """
    parts: list[Buffer] = [NetParameter(name=net_name).SerializeToString()]
    for (name, kind, bottoms, tops, arrays), layer_diffs in with_diffs(layers, diffs):
        layer: list[Buffer] = [
            LayerParameter(name=name, type=kind, bottom=bottoms, top=tops).SerializeToString()
        ]
        for array, diff in zip(arrays, layer_diffs, strict=True):
            layer += wire_field(LayerParameter.BLOBS_FIELD_NUMBER, wire_blob(array, diff))
        parts += wire_field(NetParameter.LAYER_FIELD_NUMBER, layer)
    write_parts(path, parts)


def with_diffs(
    layers: Iterable[LayerTuple], diffs: Diffs | None
) -> Iterator[tuple[LayerTuple, Sequence[np.ndarray | None]]]:
    """Each layer with its diffs, None for each array where there are none.

    Raises: ValueError where their numbers differ.
    """
    if diffs is None:
        return ((layer, [None] * len(layer[4])) for layer in layers)
    return zip(layers, diffs, strict=True)


def write_parts(path: str | Path, parts: list[Buffer]) -> None:
    """Writes a protobuf message that is given in parts, whole or not at all."""
    size = sum(map(len, parts))
    if size > PROTOBUF_LIMIT:
        raise NetspecError(
            f"'{path}' can't be written: {size:,} bytes are more than the "
            "2 GiB that protobuf's format allows",
            hint="give the file the suffix .safetensors or .h5, which have no such limit",
        )
    write_atomically(path, lambda file: file.writelines(parts))
