"""An image turned about its middle."""

from __future__ import annotations

import numpy as np

from netspec.readers.boxes import Floats
from netspec.readers.images import Pixels


def rotated(image: Pixels, degrees: float, fill: Floats) -> Pixels:
    """The image turned against the clock, each pixel a mix of its four nearest old ones.

    What lies beyond the image has the fill's colour.
    Shapes: (C, H, W); fill (C) or (1).
    """
    if not degrees:
        return image
    height, width = image.shape[1:]
    angle = np.deg2rad(degrees)
    down = np.arange(height, dtype=np.float64)[:, None] - (height - 1) / 2
    across = np.arange(width, dtype=np.float64) - (width - 1) / 2
    # where each new pixel comes from; an edge of the fill's colour stands for all beyond it
    rows = np.clip(np.sin(angle) * across + np.cos(angle) * down + (height - 1) / 2, -1, height)
    columns = np.clip(np.cos(angle) * across - np.sin(angle) * down + (width - 1) / 2, -1, width)
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    below, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    edged = np.empty((len(image), height + 2, width + 2), np.float32)
    edged[...] = fill[:, None, None]
    edged[:, 1:-1, 1:-1] = image
    top, left = top + 1, left + 1
    bottom, far = np.minimum(top + 1, height + 1), np.minimum(left + 1, width + 1)
    upper = edged[:, top, left] * (1 - right) + edged[:, top, far] * right
    lower = edged[:, bottom, left] * (1 - right) + edged[:, bottom, far] * right
    mixed = np.rint(upper * (1 - below) + lower * below)
    return mixed.clip(0, 255).astype(np.uint8)
