"""A sheet of pairs of pictures: records before and after a transformation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError

if TYPE_CHECKING:
    from PIL import Image

_SIDE = 224  # of the square that a picture fits into
_GAP, _LINE = 12, 16  # between pictures; of the text above and below
_PAIRS = 2  # in a row
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
Pair = tuple[NDArray[Any], NDArray[Any], str]


def draw_sheet(pairs: Sequence[Pair], title: str, image_format: str = "PNG") -> bytes:
    """The picture of pairs of images and of what stands below each.

    Values are rounded and cut off at 0 and 255.
    Shapes: images (3 or 1, H, W), channels in the order B, G, R.
    Raises: NetspecError for images with another number of channels.
    """
    from PIL import Image, ImageDraw

    columns = min(_PAIRS, len(pairs))
    wide, high = 2 * _SIDE + 3 * _GAP, _SIDE + _LINE + _GAP
    top = 2 * _LINE + _GAP
    size = (columns * wide, top + -(-len(pairs) // columns) * high)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, _GAP // 2), _ascii(title), _INK)
    for column in range(columns):
        for which, word in enumerate(("before", "after")):
            left = column * wide + _GAP + which * (_SIDE + _GAP)
            pen.text((left, _GAP // 2 + _LINE), word, _INK)
    for number, (before, after, name) in enumerate(pairs):
        row, column = divmod(number, columns)
        left, upper = column * wide + _GAP, top + row * high
        for which, image in enumerate((before, after)):
            sheet.paste(_fitted(image, name), (left + which * (_SIDE + _GAP), upper))
        pen.text((left, upper + _SIDE + 2), _cut(_ascii(name), pen, wide - 2 * _GAP), _INK)
    file = io.BytesIO()
    sheet.save(file, image_format)
    return file.getvalue()


def _fitted(image: NDArray[Any], name: str) -> Image.Image:
    """The picture as large as the square lets it be, small ones by whole pixels."""
    from PIL import Image

    if len(image) not in (1, 3):
        raise NetspecError(f"{name} has {len(image)} channels, a sheet shows 1 or 3")
    with np.errstate(invalid="ignore"):  # a NaN is black
        levels = np.nan_to_num(np.rint(image.astype(np.float32)), nan=0).clip(0, 255)
    colours = np.ascontiguousarray(levels.astype(np.uint8)[::-1].transpose(1, 2, 0))
    picture = Image.fromarray(colours[:, :, 0] if len(image) == 1 else colours).convert("RGB")
    factor = _SIDE / max(picture.size)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BILINEAR
    return picture.resize((width, height), how)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()  # all that Pillow's own font has


def _cut(text: str, pen: Any, width: int) -> str:
    """As much of a text as fits, with its end: names of files differ there."""
    if pen.textlength(text) <= width:
        return text
    while text and pen.textlength(f"...{text}") > width:
        text = text[1:]
    return f"...{text}"
