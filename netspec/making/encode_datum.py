"""Images to the bytes of a Datum, the record of Caffe's databases."""

from __future__ import annotations

import io

import numpy as np

from netspec.schema.caffe_pb2 import Datum

FORMATS = {
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "png": "PNG",
    "bmp": "BMP",
    "webp": "WEBP",
    "tif": "TIFF",
    "tiff": "TIFF",
}
_JPEG_QUALITY = 95  # Source: cv::imencode


def raw_datum(image: np.ndarray, label: int) -> bytes:
    """A record that holds the values themselves.

    Shapes: (C, H, W) uint8, channels in the order B, G, R.
    """
    channels, height, width = image.shape
    datum = Datum(
        channels=channels,
        height=height,
        width=width,
        data=image.tobytes(),
        label=label,
        encoded=False,
    )
    return datum.SerializeToString()


def encoded_datum(file: bytes, label: int) -> bytes:
    """A record that holds the bytes of an image file.

    Its sizes stay unset, as Caffe leaves them.
    """
    return Datum(data=file, label=label, encoded=True).SerializeToString()


def encode_image(image: np.ndarray, kind: str) -> bytes:
    """The bytes of an image file. `kind` is one of FORMATS.

    Shapes: (3 or 1, H, W) uint8, channels in the order B, G, R.
    """
    from PIL import Image  # raw records need no PIL

    picture = Image.fromarray(
        image[0] if len(image) == 1 else np.ascontiguousarray(image[::-1].transpose(1, 2, 0))
    )
    file = io.BytesIO()
    picture.save(
        file, FORMATS[kind], **({"quality": _JPEG_QUALITY} if FORMATS[kind] == "JPEG" else {})
    )
    return file.getvalue()
