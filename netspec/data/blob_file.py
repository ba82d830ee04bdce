"""The size of the array in a .binaryproto file (a BlobProto): numpy-free, for the probe and the transformer."""

from __future__ import annotations

from math import prod

from google.protobuf.message import DecodeError

from netspec.diagnostics import NetspecError, Span
from netspec.schema.caffe_pb2 import BlobProto

HOW_TO_MAKE_ONE = "`netspec dataset mean DB mean.binaryproto` makes one; `netspec dataset sample` makes those of the nets in models/"


def read_mean_blob(path: str, span: Span | None = None) -> tuple[BlobProto, tuple[int, int, int]]:
    """A mean file's message and the (C, H, W) of its first image, which is all that Caffe uses of it.

    Raises: NetspecError where it is missing, no BlobProto, or its sizes do not fit its values.
    Source: DataTransformer's constructor and Blob::FromProto.
    """
    try:
        with open(path, "rb") as file:
            blob = BlobProto.FromString(file.read())
    except FileNotFoundError:
        raise NetspecError(f"the mean file '{path}' is missing", span, HOW_TO_MAKE_ONE) from None
    except (OSError, ValueError) as error:
        raise NetspecError(f"the mean file '{path}' can't be read: {getattr(error, 'strerror', None) or error}", span) from None
    except DecodeError:
        raise NetspecError(f"the mean file '{path}' is no .binaryproto of a blob", span) from None
    shape = _blob_shape(blob)
    values = len(blob.double_data) or len(blob.data)
    if min(shape, default=0) <= 0 or prod(shape) != values or not 3 <= len(shape) <= 4:
        size = "×".join(map(str, shape)) or "scalar"
        raise NetspecError(f"the mean file '{path}' holds {values} values of size {size}, expected one image C×H×W", span)
    channels, height, width = shape[-3:]
    return blob, (channels, height, width)


def _blob_shape(blob: BlobProto) -> tuple[int, ...]:
    """A blob's sizes; one of the four old fields is enough to make it the old form, as in Caffe."""
    if any(blob.HasField(field) for field in ("num", "channels", "height", "width")):
        return blob.num, blob.channels, blob.height, blob.width
    return tuple(blob.shape.dim)
