"""The WindowData layer: windows of images, for training detectors."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.files.mean_file import read_mean_blob
from netspec.files.paths import net_path, resolve_path
from netspec.graph import Layer, shape_text
from netspec.readers.crew import ALONE, Crew
from netspec.readers.images import decode, read_image_file, resize
from netspec.readers.randomness import BATCH, generator
from netspec.readers.reader import Batch, Shard
from netspec.readers.window_list import IMAGE, LABEL, LINE, Floats, read_windows

_CHANNELS = 3


class WindowReader:
    """Draws windows: in each batch those of background, then fg_fraction of it with objects.

    Each is cut out of its image with its surroundings, stretched to crop_size × crop_size and
    flipped at random where `mirror` is set, in TEST too. What lies beyond the image is 0, so the
    mean where one is subtracted. Several processes draw the windows of one large batch, and each
    cuts out its own.

    Shapes: first top (N, 3, crop_size, crop_size); second top, the labels, (N), 0 for background.
    Source: the WindowData layer. It scales by window_data_param.scale, not by transform_param's.
    """

    crew: Crew = ALONE
    size = None  # windows are drawn, not gone through

    def __init__(self, layer: Layer, seed: int, shard: Shard) -> None:
        self._layer, self._seed, self._shard = layer, seed, shard
        self._param, self._transform = (
            layer.message.window_data_param,
            layer.message.transform_param,
        )
        # drawn for all processes, so that fg_fraction holds over the whole
        whole = self._param.batch_size * shard.processes
        self._span = layer.spans.at("window_data_param", "source")
        self._crop = int(self._transform.crop_size)
        self._path = resolve_path(self._param.source, net_path(layer))
        self._images, self._sets = read_windows(
            self._path, self._param.fg_threshold, self._param.bg_threshold, self._span
        )
        objects = int(np.float32(whole) * np.float32(self._param.fg_fraction))
        self._counts = whole - objects, objects
        for windows, count, field, side in zip(
            self._sets,
            self._counts,
            ("bg_threshold", "fg_threshold"),
            ("below", "of at least"),
            strict=True,
        ):
            if count and not len(windows):
                message = (
                    f"{layer.label}: no window of '{self._path}' has an overlap {side} {field} "
                    f"{getattr(self._param, field):g}"
                )
                raise NetspecError(
                    message,
                    layer.spans.at("window_data_param", field),
                    f"each batch takes {count} such windows",
                )
        self._mean = self._read_mean()
        self._files = (
            [read_image_file(self._image_path(i), self._span) for i in range(len(self._images))]
            if self._param.cache_images
            else None
        )

    def read(self, batch_index: int) -> Batch:
        windows, flips = self._drawn(batch_index)
        data = np.zeros((len(windows), _CHANNELS, self._crop, self._crop), np.float32)
        self.crew.each(
            lambda place: self._draw(data[place], windows[place], bool(flips[place])),
            range(len(windows)),
        )
        return dict(
            zip(self._layer.tops, (data, windows[:, LABEL].astype(np.float32)), strict=True)
        )

    def record(self, batch_index: int, item: int) -> str:
        window = self._drawn(batch_index)[0][item]
        return (
            f"the window in line {window[LINE]} of '{self._path}', of "
            f"'{self._image_path(int(window[IMAGE]))}'"
        )

    def close(self) -> None:
        self._files = None

    def _drawn(self, batch_index: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """This process's windows of a batch, and which of them are flipped."""
        rng = generator(self._seed, self._layer, BATCH, batch_index)
        drawn = [
            windows[rng.integers(0, len(windows), count)]
            for windows, count in zip(self._sets, self._counts, strict=True)
            if count
        ]
        windows = np.concatenate(drawn)
        flips = (
            rng.integers(0, 2, len(windows))
            if self._transform.mirror
            else np.zeros(len(windows), np.int64)
        )
        return windows[self._shard.own], flips[self._shard.own]

    def _draw(self, square: Floats, window: NDArray[np.int32], flip: bool) -> None:
        """Puts a window into its square."""
        number = int(window[IMAGE])
        path = self._image_path(number)
        where = f"line {window[LINE]} of '{self._path}': "
        file = (
            self._files[number]
            if self._files is not None
            else read_image_file(path, self._span, where)
        )
        image = decode(file, True, f"{where}the image '{path}'", self._span)
        corners, (_, height, width) = window[-4:].tolist(), image.shape
        place = place_window(
            corners,
            height,
            width,
            self._crop,
            self._param.context_pad,
            self._param.crop_mode == "square",
            flip,
        )
        if place is None:
            message = (
                f"line {window[LINE]} of '{self._path}': the window "
                f"{' '.join(map(str, corners))} lies outside of"
            )
            raise NetspecError(
                f"{message} '{path}', which is {width} wide and {height} high", self._span
            )
        if not (place.height and place.width):
            return  # less than a pixel of the square shows the image
        pixels = resize(
            image[:, place.y1 : place.y2 + 1, place.x1 : place.x2 + 1], place.height, place.width
        )
        there = np.s_[
            :, place.top : place.top + place.height, place.left : place.left + place.width
        ]
        square[there] = pixels[:, :, ::-1] if flip else pixels
        with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN as in Caffe
            if self._mean is not None:
                square[there] -= self._mean[there]
            square[there] *= np.float32(self._param.scale)

    def _image_path(self, number: int) -> str:
        return resolve_path(
            self._param.root_folder + self._images[number], self._path, net_path(self._layer)
        )

    def _read_mean(self) -> Floats | None:
        """The mean of each place of the square. Shapes: (3, crop_size, crop_size)."""
        transform = self._transform
        if transform.mean_value:
            values = np.array(transform.mean_value, np.float32).reshape(-1, 1, 1)
            return np.broadcast_to(values, (_CHANNELS, self._crop, self._crop))
        if not transform.HasField("mean_file"):
            return None
        span = self._layer.spans.at("transform_param", "mean_file")
        blob, shape = read_mean_blob(resolve_path(transform.mean_file, net_path(self._layer)), span)
        offset = (shape[2] - self._crop) // 2  # Caffe takes the width's offset for the height, too
        if shape[0] != _CHANNELS or offset < 0 or shape[1] < offset + self._crop:
            raise NetspecError(
                f"{self._layer.label}: the mean '{transform.mean_file}' is {shape_text(shape)}, "
                f"too small for 3×{self._crop}×{self._crop}",
                span,
            )
        mean = np.array(blob.double_data or blob.data, np.float32)[: math.prod(shape)].reshape(
            shape
        )
        return mean[:, offset : offset + self._crop, offset : offset + self._crop]


class Place(NamedTuple):
    """A part of an image, its last row and column included, and where it goes in the square."""

    x1: int
    y1: int
    x2: int
    y2: int
    top: int
    left: int
    height: int
    width: int


def place_window(
    corners: list[int],
    image_height: int,
    image_width: int,
    crop: int,
    context_pad: int,
    square: bool,
    flip: bool,
) -> Place | None:
    """What a window shows and where; None for one that lies outside of its image.

    With a context the window grows till its surroundings fill `context_pad` pixels on each side of
    the square; with `square` it first grows to a square. What then hangs over the image's edge is
    left out of the square.

    Source: WindowDataLayer::load_batch, in its single precision.
    """
    x1, y1, x2, y2 = corners
    if x1 > x2 or y1 > y2:
        return None
    if not (context_pad or square):
        fits = x1 >= 0 and x2 < image_width and y1 >= 0 and y2 < image_height
        return Place(x1, y1, x2, y2, 0, 0, crop, crop) if fits else None
    grown = np.float32(crop) / np.float32(crop - 2 * context_pad)
    half_width, half_height = np.float32((x2 - x1 + 1) / 2), np.float32((y2 - y1 + 1) / 2)
    centre_x, centre_y = np.float32(x1) + half_width, np.float32(y1) + half_height
    if square:
        half_width = half_height = max(half_width, half_height)
    across = _clip(
        _round(centre_x - half_width * grown),
        _round(centre_x + half_width * grown),
        image_width,
        crop,
        flip,
    )
    down = _clip(
        _round(centre_y - half_height * grown),
        _round(centre_y + half_height * grown),
        image_height,
        crop,
        False,
    )
    if across is None or down is None:
        return None
    return Place(across[0], down[0], across[1], down[1], down[2], across[2], down[3], across[3])


def _clip(
    first: int, last: int, size: int, crop: int, flip: bool
) -> tuple[int, int, int, int] | None:
    """Along one axis.

    The first and last place inside the image, then where they begin in the square and how far they
    reach.
    """
    before, after = max(0, -first), max(0, last - size + 1)
    scale = np.float32(crop) / np.float32(last - first + 1)
    first, last = first + before, last - after
    if first > last:
        return None
    begin = _round(np.float32(after if flip else before) * scale)
    return (
        first,
        last,
        begin,
        max(0, min(_round(np.float32(last - first + 1) * scale), crop - begin)),
    )


def _round(value: np.float32) -> int:
    """To the nearest, halves away from zero, as C's round."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))
