"""The size of the array in a .binaryproto file (a BlobProto).

It needs no numpy, for the probe and the transformer use it.
"""

from __future__ import annotations

from math import prod

from google.protobuf.message import DecodeError

from netspec.diagnostics import NetspecError, Span, os_reason
from netspec.files.blob_shape import blob_shape
from netspec.files.file_kind import HOW_TO_COPY, cut_short, file_kind
from netspec.files.sample_sets import how_to_get_mean
from netspec.graph import shape_text
from netspec.read_file import GIB, read_file
from netspec.schema.caffe_pb2 import BlobProto


def read_mean_blob(path: str, span: Span | None = None) -> tuple[BlobProto, tuple[int, int, int]]:
    """A mean file's message and the (C, H, W) of its first image, all that Caffe uses of it.

    Raises: NetspecError where it is missing, no BlobProto, or its sizes do not fit its values.
    Source: DataTransformer's constructor and Blob::FromProto.
    """
    blob = BlobProto()
    try:
        raw = read_file(path, 2 * GIB - 1, "a mean file")  # protobuf's own limit
        blob.ParseFromString(raw)
    except FileNotFoundError:
        raise NetspecError(
            f"the mean file '{path}' does not exist", span, how_to_get_mean(path)
        ) from None
    except (OSError, ValueError) as error:
        message = f"the mean file '{path}' can't be read: {os_reason(error)}"
        raise NetspecError(message, span, _hint(path)) from None
    except DecodeError:
        raise _no_blob(path, raw, span) from None
    shape = blob_shape(blob)
    values = len(blob.double_data) or len(blob.data)
    if min(shape, default=0) <= 0 or prod(shape) != values or not 3 <= len(shape) <= 4:
        message = (
            f"the mean file '{path}' holds {values:,} values of size {shape_text(shape)}, "
            "expected one image C×H×W"
        )
        raise NetspecError(message, span, how_to_get_mean(path) if values else _hint(path))
    channels, height, width = shape[-3:]
    return blob, (channels, height, width)


def _no_blob(path: str, raw: bytes, span: Span | None) -> NetspecError:
    cut = cut_short(raw, BlobProto())
    if cut and file_kind(path) is None:
        message = (
            f"the mean file '{path}' is cut short: {len(raw):,} bytes, at least {cut[1]:,} expected"
        )
        return NetspecError(
            message, span, f"{HOW_TO_COPY}, or make it anew: `netspec dataset mean DB {path}`"
        )
    return NetspecError(
        f"the mean file '{path}' is not a .binaryproto of a blob, or is damaged", span, _hint(path)
    )


def _hint(path: str) -> str:
    """What lies there instead, and how to get what should."""
    kind = file_kind(path)
    return f"it is {kind}; {how_to_get_mean(path)}" if kind else how_to_get_mean(path)
