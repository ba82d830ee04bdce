"""Pictures of a folder as squares of one size.

Source: caffe/tools/extra/resize_and_crop_images.py.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.readers.images import Pixels, read_image, resize
from netspec.readers.picture_list import picture_paths

_QUALITY = 95  # of a JPEG, as OpenCV writes it
_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".png": "PNG", ".bmp": "BMP"}


def square_images(
    source: str,
    out: str,
    side: int,
    antialiased: bool,
    overwrite: bool,
    on_left_out: Callable[[str], object],
) -> tuple[int, int]:
    """Writes each picture of a folder, with the folders below, to the same place below another.

    Args:
        side: pixels of a side.
        antialiased: by PIL's Lanczos filter, not OpenCV's bilinear rule.
        overwrite: over pictures that exist.
        on_left_out: called with the message of each that is left out.

    Returns: how many were written, and how many left out.
    Raises: NetspecError where there are none, or the system refuses.
    """
    if not os.path.isdir(source):
        raise NetspecError(f"the folder '{source}' does not exist")
    if Path(source).resolve() in (Path(out).resolve(), *Path(out).resolve().parents):
        raise NetspecError(f"'{out}' lies in '{source}', whose pictures are read")
    done = left_out = 0
    for path in list(picture_paths([source])):
        place = Path(out) / os.path.relpath(path, source)
        try:
            if place.exists() and not overwrite:
                raise NetspecError(f"'{place}' already exists", None, "--overwrite writes over it")
            suffix = place.suffix.lower()
            if suffix not in _FORMATS:
                raise NetspecError(f"'{path}': {suffix} is not written, {' '.join(_FORMATS)} are")
            square = _antialiased if antialiased else _bilinear
            content = _file(square(read_image(path), side), _FORMATS[suffix])
        except NetspecError as error:
            on_left_out(error.diagnostics[0].message)
            left_out += 1
            continue
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NetspecError(f"'{place.parent}' can't be created: {error.strerror}") from None
        write_atomically(place, content)
        done += 1
    return done, left_out


def _size(image: Pixels, side: int) -> tuple[int, int]:
    """The new height and width: the shorter one is the side."""
    height, width = image.shape[1:]
    if height > width:
        return side * height // width, side
    return side, side * width // height


def _bilinear(image: Pixels, side: int) -> Pixels:
    return _centre(resize(image, *_size(image, side)), side)


def _antialiased(image: Pixels, side: int) -> Pixels:
    from PIL import Image

    height, width = _size(image, side)
    picture = Image.fromarray(np.ascontiguousarray(image[::-1].transpose(1, 2, 0)))
    resized = picture.resize((width, height), Image.Resampling.LANCZOS)
    return _centre(np.asarray(resized).transpose(2, 0, 1)[::-1], side)


def _centre(image: Pixels, side: int) -> Pixels:
    top, left = (image.shape[1] - side) // 2, (image.shape[2] - side) // 2
    return image[:, top : top + side, left : left + side]


def _file(image: Pixels, form: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    options = {"quality": _QUALITY} if form == "JPEG" else {}
    rgb = np.ascontiguousarray(image[::-1].transpose(1, 2, 0))
    Image.fromarray(rgb).save(file, form, **options)
    return file.getvalue()
