"""Colour spaces of 8-bit pixels, in OpenCV's arithmetic.

BGR to HSV, to YCrCb and to grey are OpenCV's whole-number rules; HSV back to BGR goes through
single precision and may be one level off.
Source: OpenCV's color.cpp. Shapes: (3, H, W) uint8, channels in the order B, G, R.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_SHIFT = 12  # of the tables that take the place of divisions
_SECTORS = np.array(
    [(1, 3, 0), (1, 0, 2), (3, 0, 1), (0, 2, 1), (0, 1, 3), (2, 1, 0)]
)  # which of the four levels B, G and R are in a sixth of the hue's circle


def bgr_to_hsv(image: Pixels) -> Pixels:
    """Hue in steps of 2 degrees (0 to 179), saturation and value 0 to 255."""
    blue, green, red = image.astype(np.int32)
    value = image.max(axis=0).astype(np.int32)
    spread = value - image.min(axis=0)
    saturation = (spread * _quotients(255)[value] + (1 << (_SHIFT - 1))) >> _SHIFT
    offset = np.where(
        value == red,
        green - blue,
        np.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue = (offset * _quotients(180 / 6)[spread] + (1 << (_SHIFT - 1))) >> _SHIFT
    hue = np.where(hue < 0, hue + 180, hue)
    return np.stack([hue, saturation, value]).clip(0, 255).astype(np.uint8)


def hsv_to_bgr(image: Pixels) -> Pixels:
    """The way back; a hue of 180 and more goes once round the circle."""
    hue = image[0].astype(np.float32) * np.float32(6 / 180)
    saturation, value = (plane.astype(np.float32) * np.float32(1 / 255) for plane in image[1:])
    hue = np.where(hue >= 6, hue - 6, hue)
    sector = np.floor(hue).astype(np.int64)
    part = hue - sector.astype(np.float32)
    levels = np.stack(
        [
            value,
            value * (1 - saturation),
            value * (1 - saturation * part),
            value * (1 - saturation * (1 - part)),
        ]
    )
    chosen = np.take_along_axis(levels, _SECTORS[sector].transpose(2, 0, 1), axis=0)
    return np.rint(np.where(saturation == 0, value, chosen) * 255).clip(0, 255).astype(np.uint8)


def bgr_to_grey(image: Pixels) -> Pixels:
    """Luma. Shapes: (3, H, W) to (H, W)."""
    blue, green, red = image.astype(np.int32)
    return ((4899 * red + 9617 * green + 1868 * blue + (1 << 13)) >> 14).astype(np.uint8)


def bgr_to_ycrcb(image: Pixels) -> Pixels:
    """Luma and the two differences of colour, which are 128 for a grey."""
    blue, _, red = image.astype(np.int32)
    luma = bgr_to_grey(image).astype(np.int32)
    chroma = [
        ((difference * factor + (128 << 14) + (1 << 13)) >> 14)
        for difference, factor in ((red - luma, 11682), (blue - luma, 9241))
    ]
    return np.stack([luma, *chroma]).clip(0, 255).astype(np.uint8)


def ycrcb_to_bgr(image: Pixels) -> Pixels:
    """The way back."""
    luma, cr, cb = image.astype(np.int32)
    cr, cb, half = cr - 128, cb - 128, 1 << 13
    blue = luma + ((cb * 29049 + half) >> 14)
    green = luma + ((cb * -5636 + cr * -11698 + half) >> 14)
    red = luma + ((cr * 22987 + half) >> 14)
    return np.stack([blue, green, red]).clip(0, 255).astype(np.uint8)


def _quotients(of: float) -> NDArray[Any]:
    """`of` divided by 1 to 255, as whole numbers of 12 more bits; 0 for a division by 0."""
    divisors = np.arange(1, 256)
    return np.concatenate([[0], np.rint((of * (1 << _SHIFT)) / divisors)]).astype(np.int32)
