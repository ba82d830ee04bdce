"""JPEGs of the usual kind, decoded straight into an array."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from numpy.typing import NDArray

_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_BARE = range(0xD0, 0xDA)  # markers that no length follows
_SCAN = 0xDA
_ADOBE, _SEVERAL = 0xEE, (0xE2, b"MPF\0")  # says what the colours are; has more pictures


def decode_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG of three 8-bit channels, which are Pillow's.

    Pillow's decoder alone does it, into the array: opening a file, its picture and what is taken
    from that to an array cost a third of the decoding of a small one.

    Shapes: (3, H, W), in the order B, G, R; a pixel's three lie side by side in memory.
    Returns: None for what has to be looked at closer: another kind of file, a damaged one.
    """
    size = _usual_size(data)
    if size is None or not _agrees():
        return None
    from PIL import Image

    if size[0] * size[1] > (Image.MAX_IMAGE_PIXELS or 0):
        return None
    try:
        return _decoded(data, *size)
    except (ValueError, OSError):  # the caller decodes it again, and says what is wrong with it
        return None


def _decoded(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """Raises: what Pillow raises."""
    from PIL import Image

    pixels = np.empty((height, width, 4), np.uint8)
    # a picture whose memory is the array
    picture = Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)
    picture.frombytes(data, "jpeg", ("RGBX", ""))
    return pixels.transpose(2, 0, 1)[2::-1]


@cache
def _agrees() -> bool:
    """Whether Pillow decodes into an array here: with libjpeg-turbo it does, with libjpeg not."""
    from PIL import Image

    file = io.BytesIO()
    Image.linear_gradient("L").resize((19, 11)).convert("RGB").save(file, "JPEG")
    try:
        own = _decoded(file.getvalue(), 11, 19)
    except (ValueError, OSError):
        return False
    with Image.open(file) as picture:
        return np.array_equal(own[::-1].transpose(1, 2, 0), np.asarray(picture))


def _usual_size(data: bytes) -> tuple[int, int] | None:
    """Height and width by the header; None where anything is out of the usual.

    Segments are stepped over as libjpeg does it, so that the size is the one that it will find.
    """
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind in _FRAMES:
            bits, channels = data[at + 4], data[at + 9]
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            usual = (bits, channels) == (8, 3) and height and width
            return (height, width) if usual else None
        steps_otherwise = kind <= 0xC0 or kind == 0xFF or kind in _BARE or length < 2
        if steps_otherwise or kind in (_SCAN, _ADOBE):
            return None
        if (kind, data[at + 4 : at + 8]) == _SEVERAL:
            return None
        at += 2 + length
    return None
