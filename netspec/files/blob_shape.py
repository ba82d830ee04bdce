"""The shape that a BlobProto states, in today's form or in the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.graph import Shape

if TYPE_CHECKING:
    from netspec.schema.caffe_pb2 import BlobProto

OLD_SIZES = ("num", "channels", "height", "width")


def blob_shape(blob: BlobProto) -> Shape:
    """The shape that a blob states.

    Any of the old fields num, channels, height and width makes it one of four axes.

    Source: Blob::FromProto.
    """
    if any(blob.HasField(name) for name in OLD_SIZES):
        return tuple(getattr(blob, name) for name in OLD_SIZES)
    return tuple(blob.shape.dim)
