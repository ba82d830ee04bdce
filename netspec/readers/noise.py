"""What noise_param does to an image after it is resized, each step where its field is set.

Source: weiliu89/caffe, branch ssd, ApplyNoise of util/im_transforms.cpp; OpenCV's equalizeHist,
    GaussianBlur, erode and CLAHE. The blur may be one level off.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.readers.color import bgr_to_grey, bgr_to_hsv, bgr_to_ycrcb, ycrcb_to_bgr
from netspec.readers.images import Pixels, decode

_BLUR = 7, 1.5  # size and sigma of the blur
_TILES, _CLIP = 8, 4  # of CLAHE
_GREYS = 64  # that posterize makes one


def apply_noise(image: Pixels, param: Any, rng: np.random.Generator) -> Pixels:
    """The image after all steps, in the fork's order. Shapes: (C, H, W)."""
    if param.decolorize:
        image = np.stack([bgr_to_grey(image)] * 3)
    if param.gauss_blur:
        image = blur(image)
    if param.hist_eq:
        image = _on_luma(image, equalize)
    if param.clahe:
        image = _on_luma(image, clahe)
    if param.jpeg > 0:
        image = _through_jpeg(image, int(param.jpeg))
    if param.erode:
        image = erode(image)
    if param.posterize:
        image = image // _GREYS * _GREYS + _GREYS // 2
    if param.inverse:
        image = 255 - image
    if param.saltpepper:
        image = _salted(image, param.saltpepper_param, rng)
    return bgr_to_hsv(image) if param.convert_to_hsv else image


def blur(image: Pixels) -> Pixels:
    """Gaussian, whose weights add up to 1 as in OpenCV 4 (2.4's made images darker).

    The edges are mirrored.
    """
    size, sigma = _BLUR
    weights = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    blurred: NDArray[Any] = image.astype(np.float64)
    for axis in (2, 1):
        around = [(0, 0)] * 3
        around[axis] = (size // 2, size // 2)
        padded = np.pad(blurred, around, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=axis)
        blurred = windows @ weights
    return np.rint(blurred).clip(0, 255).astype(np.uint8)


def equalize(plane: Pixels) -> Pixels:
    """Histogram equalization of one channel. Shapes: (H, W)."""
    counts = np.bincount(plane.ravel(), minlength=256)
    first = int(np.flatnonzero(counts)[0])
    if counts[first] == plane.size:
        return plane
    above = np.cumsum(counts) - counts[first]
    table = above.astype(np.float32) * np.float32(255 / (plane.size - counts[first]))
    return np.rint(table).clip(0, 255).astype(np.uint8)[plane]


def clahe(plane: Pixels) -> Pixels:
    """Equalization in 8×8 tiles whose histograms are cut off, mixed between the tiles."""
    height, width = plane.shape
    padded = plane
    if height % _TILES or width % _TILES:
        more = [(0, _TILES - size % _TILES) for size in plane.shape]
        padded = np.pad(plane, more, mode="reflect" if min(plane.shape) > _TILES else "symmetric")
    rows, columns = (size // _TILES for size in padded.shape)
    tiles = padded.reshape(_TILES, rows, _TILES, columns).transpose(0, 2, 1, 3)
    tables = np.stack([_clipped_table(tile.ravel()) for line in tiles for tile in line]).reshape(
        _TILES, _TILES, 256
    )
    above, below, down = _between(height, rows)
    left, right, across = _between(width, columns)
    down = down[:, None]

    def value(y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
        return tables[y[:, None], x, plane].astype(np.float32)

    upper = value(above, left) * (1 - across) + value(above, right) * across
    lower = value(below, left) * (1 - across) + value(below, right) * across
    return np.rint(upper * (1 - down) + lower * down).clip(0, 255).astype(np.uint8)


def _clipped_table(tile: Pixels) -> NDArray[np.uint8]:
    counts = np.bincount(tile, minlength=256)
    limit = max(_CLIP * tile.size // 256, 1)
    cut = int(np.maximum(counts - limit, 0).sum())
    counts = np.minimum(counts, limit) + cut // 256
    rest = cut % 256
    if rest:
        step = max(256 // rest, 1)
        counts[np.arange(0, 256, step)[:rest]] += 1
    scale = np.float32(255 / tile.size)
    return np.rint(np.cumsum(counts).astype(np.float32) * scale).clip(0, 255).astype(np.uint8)


def _between(size: int, tile: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]:
    """The tiles before and behind each place, and how near the second one is."""
    place = np.arange(size, dtype=np.float32) / np.float32(tile) - np.float32(0.5)
    first = np.floor(place).astype(np.int64)
    share = place - first.astype(np.float32)
    return first.clip(0, _TILES - 1), (first + 1).clip(0, _TILES - 1), share


def erode(image: Pixels) -> Pixels:
    """Each pixel the darkest of itself and its four neighbours."""
    padded = np.pad(image, [(0, 0), (1, 1), (1, 1)], constant_values=255)
    cross = [
        padded[:, 1 + y : 1 + y + image.shape[1], 1 + x : 1 + x + image.shape[2]]
        for y, x in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
    ]
    return np.minimum.reduce(cross)


def _on_luma(image: Pixels, change: Any) -> Pixels:
    if len(image) == 1:
        return np.asarray(change(image[0]))[None]
    ycrcb = bgr_to_ycrcb(image)
    ycrcb[0] = change(ycrcb[0])
    return ycrcb_to_bgr(ycrcb)


def _through_jpeg(image: Pixels, quality: int) -> Pixels:
    """What a JPEG of some quality keeps; quirk: a grey image comes back with three channels."""
    from PIL import Image

    colours = image[0] if len(image) == 1 else np.ascontiguousarray(image[::-1].transpose(1, 2, 0))
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "JPEG", quality=min(quality, 100))
    return decode(file.getvalue(), True)


def _salted(image: Pixels, param: Any, rng: np.random.Generator) -> Pixels:
    """A share of the pixels, drawn with repetition, set to a value."""
    count = int(np.float32(param.fraction) * image.shape[1] * image.shape[2])
    rows, columns = rng.integers(0, image.shape[1], count), rng.integers(0, image.shape[2], count)
    values = np.array(list(param.value) or [0], np.float32).astype(np.uint8)
    image = image.copy()
    image[:, rows, columns] = values[:, None]
    return image
