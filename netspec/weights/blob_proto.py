"""BlobProto, the array of Caffe's binary files.

To numpy, and from numpy straight to protobuf's wire format.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.files.blob_shape import blob_shape
from netspec.files.file_kind import HOW_TO_COPY
from netspec.files.varint import varint
from netspec.graph import Shape, shape_text
from netspec.schema.caffe_pb2 import BlobProto

MAX_AXES = 32  # Source: Blob::Reshape

Buffer = bytes | memoryview


def blob_array(blob: BlobProto, where: str) -> np.ndarray:
    """The values of a blob in single precision, in its shape.

    The old num, channels, height, width give four axes.

    Args: where: whose blob it is, for errors.
    Raises: NetspecError where the shape does not fit the number of values.
    Source: Blob::FromProto, which reads the old fields first and prefers double_data.
    """
    shape = blob_shape(blob)
    values = blob.double_data if len(blob.double_data) else blob.data
    require_fit(shape, len(values), where)
    # a double beyond the range of a float becomes inf, as in Caffe
    with np.errstate(over="ignore"):
        return np.array(values, dtype=np.float32).reshape(shape)


def require_fit(shape: Shape, count: int, where: str) -> None:
    """Raises NetspecError where no blob can have the shape, or none of `count` values."""
    if len(shape) > MAX_AXES or min(shape, default=0) < 0:
        raise damaged_blob(f"{where} has the shape {shape_text(shape)}, which no blob can have")
    if prod(shape) != count:
        wants = "value" if prod(shape) == 1 else "values"
        raise damaged_blob(
            f"{where} has the shape {shape_text(shape)}, {prod(shape):,} {wants}, "
            f"but holds {count:,}"
        )


def damaged_blob(message: str) -> NetspecError:
    """The error of a file whose blob is not whole."""
    return NetspecError(message, hint=f"the file is damaged: {HOW_TO_COPY}")


def wire_blob(array: np.ndarray, diff: np.ndarray | None = None) -> list[Buffer]:
    """The serialized BlobProto of an array and, where there is one, its gradient.

    As buffers to write one after the other.

    Not through protobuf's own objects: they take the values one by one, 7 s for AlexNet, and hold
    them twice more.
    """
    shape = np.shape(array)
    if diff is not None and np.shape(diff) != shape:
        raise NetspecError(
            f"a blob of the shape {shape_text(shape)} can't have a diff of the shape "
            f"{shape_text(np.shape(diff))}"
        )
    parts = _wire_floats(BlobProto.DATA_FIELD_NUMBER, array)
    if diff is not None:
        parts += _wire_floats(BlobProto.DIFF_FIELD_NUMBER, diff)
    if shape:
        dims = b"".join(map(varint, shape))
        parts += wire_field(BlobProto.SHAPE_FIELD_NUMBER, [wire_tag(1, len(dims)) + dims])
    return parts


def _wire_floats(number: int, array: np.ndarray) -> list[Buffer]:
    values = np.asarray(array, dtype="<f4", order="C")
    return (
        [wire_tag(number, values.nbytes), values.reshape(-1).view(np.uint8).data]
        if values.size
        else []
    )


def wire_field(number: int, parts: Iterable[Buffer]) -> list[Buffer]:
    """A submessage, given as buffers, as a field of the message around it."""
    parts = list(parts)
    return [wire_tag(number, sum(map(len, parts))), *parts]


def wire_tag(number: int, length: int) -> bytes:
    """What stands before a field of `length` bytes."""
    return varint(number << 3 | 2) + varint(length)
