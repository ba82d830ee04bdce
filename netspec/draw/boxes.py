"""A picture with boxes drawn over it."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Iterable

import numpy as np

from netspec.readers.images import Pixels

_STEP = 0.618034  # of the hue from label to label: neighbours differ most
Edges = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax in pixels


def draw_boxes(pixels: Pixels, boxes: Iterable[tuple[int, str, Edges]]) -> bytes:
    """The PNG of a picture with boxes and what is written at each, a colour a label.

    Args: boxes: label, text and edges.
    Shapes: pixels (3, H, W) of B, G, R.
    """
    from PIL import Image, ImageDraw

    picture = Image.fromarray(np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0)))
    pen = ImageDraw.Draw(picture)
    line = max(1, round(max(picture.size) / 300))
    for label, text, (left, top, right, bottom) in boxes:
        color = tuple(round(255 * x) for x in colorsys.hsv_to_rgb(label * _STEP % 1, 0.85, 0.95))
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), None, color, line)
        text = text.encode("ascii", "replace").decode()  # all that Pillow's own font has
        width, height = pen.textbbox((0, 0), text)[2:]
        above = top - height - 2 if top > height + 2 else top
        pen.rectangle((left, above, left + width + 3, above + height + 2), color)
        pen.text((left + 2, above), text, (0, 0, 0))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
