"""Windows of pictures as items of a batch, as R-CNN cuts them out.

Source: caffe/python/caffe/detector.py; its arithmetic is that of the WindowData layer here, by
which such a net is trained.
"""

from __future__ import annotations

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.readers.images import Pixels, resize
from netspec.readers.picture import PicturePlan
from netspec.readers.preprocess import Floats
from netspec.readers.windows import place_window


def window_item(plan: PicturePlan, pixels: Pixels, corners: list[int], context_pad: int) -> Floats:
    """A window with its surroundings, stretched to the net's input; beyond the picture is the mean.

    Args:
        corners: xmin, ymin, xmax, ymax, all of them inside.
        context_pad: pixels of the input that show the surroundings on each side.

    Shapes: (C, H, W) to (C, crop, crop).
    Raises: NetspecError where the window lies outside of the picture, or the pad fills the crop.
    """
    side, other = plan.crop
    if side != other or 2 * context_pad >= side:
        message = f"windows need a square input of more than twice the context pad, {context_pad}"
        raise NetspecError(f"{message}, got {side}×{other}")
    _, height, width = pixels.shape
    place = place_window(corners, height, width, side, context_pad, False, False)
    if place is None:
        shown = " ".join(map(str, corners))
        message = f"the window {shown} does not lie in the picture"
        raise NetspecError(f"{message}, which is {width} wide and {height} high")
    item = np.zeros((len(pixels), side, side), np.float32)
    if not (place.height and place.width):
        return item  # less than a pixel of it shows the picture
    shown_part = pixels[:, place.y1 : place.y2 + 1, place.x1 : place.x2 + 1]
    part = resize(shown_part, place.height, place.width)
    there = np.s_[:, place.top : place.top + place.height, place.left : place.left + place.width]
    values = (part[::-1] if plan.is_rgb else part).astype(np.float32)
    if plan.raw_scale != 255:
        values *= np.float32(plan.raw_scale / 255)
    mean = _centre(plan)
    if mean is not None:
        values -= mean[there]
    item[there] = values * np.float32(plan.scale)
    return item


def _centre(plan: PicturePlan) -> Floats | None:
    """The mean of each place of the input, of a larger mean its centre."""
    if plan.mean is None:
        return None
    channels, side = plan.channels, plan.crop[0]
    if plan.mean.shape[1:] == (1, 1):
        return np.broadcast_to(plan.mean, (channels, side, side))
    top, left = ((size - side) // 2 for size in plan.mean.shape[1:])
    return plan.mean[:, top : top + side, left : left + side]
