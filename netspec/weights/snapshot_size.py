"""How many bytes a snapshot takes, from the net alone: known before it is written."""

from __future__ import annotations

from math import prod

from netspec.files.varint import varint_size
from netspec.graph import Net, Shape
from netspec.passes.build_graph import AUTOMATIC_TOP
from netspec.schema.caffe_pb2 import LayerParameter, NetParameter, SolverState
from netspec.schema.solver_types import HISTORIES

# What HDF5 adds, as measured with h5py: for the file, for a layer's group, for a blob.
_HDF5_WEIGHTS, _HDF5_GROUP, _HDF5_BLOB, _HDF5_STATE = 2200, 1060, 300, 3000


def weights_bytes(net: Net, hdf5: bool = False, with_diffs: bool = False) -> int:
    """The size of the .caffemodel, in which each layer that shares a param writes it again.

    In HDF5 only its owner does.

    Args: with_diffs: whether the gradients stand beside the weights (snapshot_diff).
    """
    if hdf5:
        diffs = [_HDF5_BLOB + 4 * param.count for layer in net.layers for param in layer.params]
        data = [
            _HDF5_BLOB + 4 * param.count
            for layer in net.layers
            for param in layer.params
            if param.owner is None
        ]
        return (
            _HDF5_WEIGHTS
            + _HDF5_GROUP * len(net.layers) * (1 + with_diffs)
            + sum(data)
            + sum(diffs) * with_diffs
        )
    size = NetParameter(name=net.name).ByteSize()
    for layer in net.layers:
        tops = [top for top in layer.tops if top != AUTOMATIC_TOP]
        inner = LayerParameter(
            name=layer.name, type=layer.type, bottom=layer.bottoms, top=tops
        ).ByteSize()
        inner += sum(_field_size(_blob_size(param.shape, with_diffs)) for param in layer.params)
        size += _field_size(inner, NetParameter.LAYER_FIELD_NUMBER)
    return size


def state_bytes(
    net: Net, solver_type: str, iteration: int, weights_path: str, hdf5: bool = False
) -> int:
    """The size of the .solverstate.

    History blobs for every param that a layer owns, learned or not.
    """
    shapes = [
        param.shape for layer in net.layers for param in layer.params if param.owner is None
    ] * HISTORIES.get(solver_type, 1)
    if hdf5:
        return _HDF5_STATE + sum(_HDF5_BLOB + 4 * prod(shape) for shape in shapes)
    path = len(weights_path.encode(errors="surrogateescape"))
    return (
        SolverState(iter=iteration, current_step=0).ByteSize()
        + _field_size(path)
        + sum(_field_size(_blob_size(shape)) for shape in shapes)
    )


def _blob_size(shape: Shape, with_diff: bool = False) -> int:
    """A BlobProto of single precision: its values, and its shape in a message of its own."""
    dims = sum(map(varint_size, shape))
    values = 4 * prod(shape)
    return (_field_size(values) * (1 + with_diff) if values else 0) + (
        _field_size(_field_size(dims)) if shape else 0
    )


def _field_size(size: int, number: int = 1) -> int:
    """A field of `size` bytes with its tag and its length."""
    return varint_size(number << 3) + varint_size(size) + size


def size_text(size: float) -> str:
    """Bytes for people: 233.1 MiB."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"
