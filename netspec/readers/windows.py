"""The WindowData layer: windows of images, for training detectors."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, Span, os_reason
from netspec.files.mean_file import read_mean_blob
from netspec.files.paths import net_path, resolve_path
from netspec.files.whole_number import INT32, whole_number
from netspec.graph import Layer, shape_text
from netspec.read_file import open_regular
from netspec.readers.images import decode, read_image_file, resize
from netspec.readers.randomness import BATCH, generator
from netspec.readers.reader import Batch, Shard, batch_size, named_source

Floats = NDArray[np.float32]
_CHANNELS = 3
_LARGEST_FLOAT = float(np.finfo(np.float32).max)
_IMAGE, _LABEL, _LINE = 0, 1, 2  # columns of a table of windows; x1, y1, x2 and y2 follow


class WindowReader:
    """Draws windows: in each batch those of background, then fg_fraction of it with objects.

    Each is cut out of its image with its surroundings, stretched to crop_size × crop_size and
    flipped at random where `mirror` is set, in TEST too. What lies beyond the image is 0, so the
    mean where one is subtracted. Several processes draw the windows of one large batch, and each
    cuts out its own.

    Shapes: first top (N, 3, crop_size, crop_size); second top, the labels, (N), 0 for background.
    Source: the WindowData layer. It scales by window_data_param.scale, not by transform_param's.
    """

    size = None  # windows are drawn, not gone through

    def __init__(self, layer: Layer, seed: int, shard: Shard) -> None:
        self._layer, self._seed, self._shard = layer, seed, shard
        self._param, self._transform = (
            layer.message.window_data_param,
            layer.message.transform_param,
        )
        # drawn for all processes, so that fg_fraction holds over the whole
        whole = batch_size(layer, "window_data_param") * shard.processes
        self._span = layer.spans.at("window_data_param", "source")
        self._crop = int(self._transform.crop_size)
        if 2 * self._param.context_pad >= self._crop:
            message = f"{layer.label} needs a crop_size above 0 and above twice its context_pad"
            raise NetspecError(message, layer.spans.at("transform_param", "crop_size"))
        self._path = resolve_path(named_source(layer, "window_data_param"), net_path(layer))
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
        for item, window, flip in zip(data, windows, flips, strict=True):
            self._draw(item, window, bool(flip))
        return dict(
            zip(self._layer.tops, (data, windows[:, _LABEL].astype(np.float32)), strict=True)
        )

    def record(self, batch_index: int, item: int) -> str:
        window = self._drawn(batch_index)[0][item]
        return (
            f"the window in line {window[_LINE]} of '{self._path}', of "
            f"'{self._image_path(int(window[_IMAGE]))}'"
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
        number = int(window[_IMAGE])
        path = self._image_path(number)
        where = f"line {window[_LINE]} of '{self._path}': "
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
                f"line {window[_LINE]} of '{self._path}': the window "
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


def read_windows(
    path: str, fg_threshold: float, bg_threshold: float, span: Span | None = None
) -> tuple[list[str], tuple[NDArray[np.int32], ...]]:
    """The images of a list of windows, and its windows of background and of objects.

    For each image the list has a line each with '# ' and its number, its path, channels, height,
    width, and the number of its windows, which follow in a line each: label, overlap, x1, y1, x2,
    y2. Images are counted as they come, whatever number the list gives them. Windows with an
    overlap between the two thresholds are left out.

    Shapes: windows (n, 7): image, label (0 for background), line, x1, y1, x2, y2.
    Raises: NetspecError where it can't be read or breaks the form, with the line's number.
    """
    images: list[str] = []
    background, objects = [], []
    try:
        with io.TextIOWrapper(
            open_regular(path), encoding="utf-8", errors="surrogateescape"
        ) as file:
            lines = _Lines(file, path, span)
            while lines.begins_image():
                images.append(lines.text("the image's path"))
                for what in ("channels", "height", "width"):
                    lines.number(f"the image's {what}")
                overlaps, windows = lines.windows(
                    lines.number("the number of its windows"), len(images) - 1
                )
                is_object = overlaps >= np.float32(fg_threshold)
                is_background = ~is_object & (overlaps < np.float32(bg_threshold))
                wrong = windows[is_object & (windows[:, _LABEL] <= 0)]
                if len(wrong):
                    message = (
                        f"line {wrong[0, _LINE]} of '{path}' has label {wrong[0, _LABEL]}; "
                        "a window that shows an object has one above 0"
                    )
                    raise NetspecError(message, span)
                objects.append(windows[is_object])
                windows[:, _LABEL] = 0
                background.append(windows[is_background])
    except (OSError, ValueError) as error:
        raise NetspecError(f"the list '{path}' can't be read: {os_reason(error)}", span) from None
    if not images:
        raise NetspecError(f"the list '{path}' is empty", span)
    return images, (np.concatenate(background), np.concatenate(objects))


class _Lines:
    """The lines of a list of windows, those that are blank passed over."""

    def __init__(self, file: TextIO, path: str, span: Span | None) -> None:
        self._path, self._span = path, span
        self._last = 0  # number of the last line that was read
        self._lines: Iterator[tuple[int, str]] = (
            (i, line.strip()) for i, line in enumerate(file, 1) if not line.isspace()
        )

    def begins_image(self) -> bool:
        """Whether another image begins; its number is read."""
        line = self._next()
        if line is not None and (len(line.split()) != 2 or line.split()[0] != "#"):
            self._fail("'# ' and the number of an image", line)
        return line is not None

    def _next(self) -> str | None:
        found = next(self._lines, None)
        if found is None:
            return None
        self._last, line = found
        return line

    def text(self, what: str) -> str:
        line = self._next()
        return self._fail(what, None) if line is None else line

    def number(self, what: str) -> int:
        line = self.text(what)
        number = whole_number(line) if line.isascii() and line.isdecimal() else None
        return self._fail(f"{what}, at most {INT32[1]}", line) if number is None else number

    def windows(self, count: int, image: int) -> tuple[Floats, NDArray[np.int32]]:
        """The overlaps and the table of an image's windows."""
        form = "a window: label, overlap, x1, y1, x2, y2"
        rows = list(islice(self._lines, count))
        words = " ".join(line for _, line in rows).split()
        try:
            values = np.array(words, np.float64).reshape(len(rows), 6)
            whole = values[:, [0, 2, 3, 4, 5]]
            # what is no number fails each comparison
            if (
                not (abs(whole) < 2**31).all()
                or (whole % 1).any()
                or not (abs(values[:, 1]) <= _LARGEST_FLOAT).all()
            ):
                raise ValueError
        except ValueError:
            for self._last, line in rows:
                if not _is_window(line):
                    self._fail(form, line)
            raise
        self._last = rows[-1][0] if rows else self._last
        if len(rows) < count:
            self._fail(form, None)
        table = np.empty((count, 7), np.int32)
        table[:, _IMAGE] = image
        table[:, _LINE] = [number for number, _ in rows]
        table[:, [_LABEL, 3, 4, 5, 6]] = whole
        return values[:, 1].astype(np.float32), table

    def _fail(self, expected: str, got: str | None) -> NoReturn:
        if got is None:
            raise NetspecError(
                f"the list '{self._path}' ends after line {self._last}, expected {expected}",
                self._span,
            )
        raise NetspecError(
            f"line {self._last} of '{self._path}' is '{got[:80]}', expected {expected}", self._span
        )


def _is_window(line: str) -> bool:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        return False
    is_whole = all(
        value.is_integer() and abs(value) < 2**31 for i, value in enumerate(values) if i != 1
    )
    return len(values) == 6 and is_whole and abs(values[1]) <= _LARGEST_FLOAT
