"""A caffemodel of any fork: only its layers' names and blobs, whose field numbers all forks share.

The numbers of the layers' settings clash: what one fork's message holds at a number need not be
what Caffe's can hold there, and protobuf refuses the file as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from netspec.files.varint import read_varint, varint
from netspec.schema.caffe_pb2 import LayerParameter, NetParameter, V1LayerParameter

_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}  # bytes by wire type
_LAYERS = {  # by the number in NetParameter, the numbers that are kept of each layer
    NetParameter.LAYER_FIELD_NUMBER: {
        LayerParameter.NAME_FIELD_NUMBER,
        LayerParameter.TYPE_FIELD_NUMBER,
        LayerParameter.BOTTOM_FIELD_NUMBER,
        LayerParameter.TOP_FIELD_NUMBER,
        LayerParameter.BLOBS_FIELD_NUMBER,
    },
    NetParameter.LAYERS_FIELD_NUMBER: {
        V1LayerParameter.LAYER_FIELD_NUMBER,  # the layer itself, in the oldest form
        V1LayerParameter.NAME_FIELD_NUMBER,
        V1LayerParameter.BOTTOM_FIELD_NUMBER,
        V1LayerParameter.TOP_FIELD_NUMBER,
        V1LayerParameter.BLOBS_FIELD_NUMBER,
    },
}


def without_settings(raw: bytes) -> bytes:
    """The bytes of a NetParameter with its name, and of its layers what `_LAYERS` names.

    Raises: ValueError, IndexError where the bytes are no message or end first.
    """
    parts: list[bytes] = []
    for number, whole, content in _fields(raw):
        if number == NetParameter.NAME_FIELD_NUMBER:
            parts.append(whole)
        elif number in _LAYERS:
            kept = [field for inner, field, _ in _fields(content) if inner in _LAYERS[number]]
            size = sum(map(len, kept))
            parts += [varint(number << 3 | _LENGTH_DELIMITED), varint(size), *kept]
    return b"".join(parts)


def _fields(raw: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Each field of a message: its number, its bytes, and its content where it has a length."""
    at = 0
    while at < len(raw):
        start = at
        tag, at = read_varint(raw, at)
        content = b""
        if tag & 7 == 0:
            _, at = read_varint(raw, at)
        elif tag & 7 == _LENGTH_DELIMITED:
            size, at = read_varint(raw, at)
            content = raw[at : at + size]
            at += size
        else:
            at += _FIXED[tag & 7]
        if at > len(raw):
            raise IndexError("a field does not end")
        yield tag >> 3, raw[start:at], content
