"""The ImageData layer: image files from a list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, Span, os_reason
from netspec.files.paths import net_path, resolve_path
from netspec.files.whole_number import INT32_RANGE, whole_number
from netspec.graph import Layer
from netspec.read_file import GIB, read_file, unreadable
from netspec.readers.crew import ALONE, Crew
from netspec.readers.images import Pixels, read_image
from netspec.readers.mean import Floats
from netspec.readers.randomness import BATCH, ORDER, SKIP, generator, record_generators
from netspec.readers.reader import Batch, Shard, record_text
from netspec.readers.transform import Fetched, Transformer

LARGEST_LIST = GIB  # bytes of a list of files: some ten million lines
_NUMBER = re.compile(r"\s*([+-]?[0-9]+)")


class ImageListReader:
    """Feeds the images of a list in its order or, with `shuffle`, in a new one for each pass.

    force_color and force_gray do nothing here, `is_color` does.

    Shapes: first top (N, C, h, w); second top, the labels, (N).
    Source: the ImageData layer.
    """

    crew: Crew = ALONE

    def __init__(self, layer: Layer, seed: int, shard: Shard) -> None:
        self._param = param = layer.message.image_data_param
        self._layer, self._seed, self._shard = layer, seed, shard
        self._batch_size = param.batch_size
        self._span = layer.spans.at("image_data_param", "source")
        self._path = resolve_path(param.source, net_path(layer))
        self._lines = read_list(self._path, self._span)
        self.transformer = Transformer(
            layer.message.transform_param, layer.phase, net_path(layer), layer.spans, layer.label
        )
        self._skip = (
            int(generator(seed, layer, SKIP).integers(0, param.rand_skip)) if param.rand_skip else 0
        )
        if self._skip >= len(self._lines):
            message = (
                f"{layer.label}: rand_skip came to {self._skip}, but '{self._path}' has only "
                f"{len(self._lines)} lines"
            )
            raise NetspecError(message, layer.spans.at("image_data_param", "rand_skip"))
        # of the epoch in use
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    @property
    def size(self) -> int:
        return len(self._lines)

    def read(self, batch_index: int) -> Batch:
        labels, names = np.empty(self._batch_size, np.float32), list[str]()
        numbers = self._shard.numbers(batch_index, self._batch_size)
        data = self.transformer.batch(
            self._fetched(numbers, labels, names),
            len(numbers),
            generator(self._seed, self._layer, BATCH, batch_index),
            names.__getitem__,
            self._shard,
            record_generators(self._seed, self._layer, numbers),
            self.crew,
        )
        return dict(zip(self._layer.tops, (data, labels)))  # noqa: B905 - one top feeds no labels

    def originals(self, batch_index: int) -> list[Pixels]:
        """The images of a batch before they are transformed."""
        numbers = self._shard.numbers(batch_index, self._batch_size)
        labels = np.empty(self._batch_size, np.float32)
        return [read() for read in self._fetched(numbers, labels, [])]

    def _fetched(self, numbers: range, labels: Floats, names: list[str]) -> Iterator[Fetched]:
        """Images one after the other, and on the way their labels and what messages call them."""
        param = self._param
        for place, number in enumerate(numbers):
            line = self._line(self._skip + number)
            where = f"line {line + 1} of '{self._path}': "
            path, labels[place] = split_line(self._lines[line], line, self._path, self._span)
            # Caffe puts the folder before the path as it is, so one without its slash becomes part
            # of the name
            path = resolve_path(param.root_folder + path, self._path, net_path(self._layer))
            names.append(f"'{path}'")
            size = param.new_height, param.new_width
            yield partial(read_image, path, param.is_color, *size, self._span, where)

    def record(self, batch_index: int, item: int) -> str:
        line = self._line(self._skip + self._shard.numbers(batch_index, self._batch_size)[item])
        image, _ = split_line(self._lines[line], line, self._path, self._span)
        return record_text(line, self.size, f"line {line + 1} of '{self._path}': '{image}'")

    def close(self) -> None:
        pass

    def _line(self, position: int) -> int:
        """The number of the line that is read at a position of the endless stream."""
        epoch, place = divmod(position, len(self._lines))
        if not self._param.shuffle:
            return place
        if self._order[0] != epoch:
            self._order = (
                epoch,
                generator(self._seed, self._layer, ORDER, epoch).permutation(len(self._lines)),
            )
        return int(self._order[1][place])


def read_list(path: str, span: Span | None = None) -> list[str]:
    """The lines of a list of images. Raises: NetspecError where it is missing or has none."""
    try:
        lines = read_file(path, LARGEST_LIST, "a list").decode(errors="surrogateescape").split("\n")
    except (OSError, ValueError) as error:
        if span is None:  # a command names it
            raise unreadable(path, error) from None
        raise NetspecError(f"the list '{path}' can't be read: {os_reason(error)}", span) from None
    # Caffe looks for an image without a name there, and stops
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise NetspecError(f"the list '{path}' is empty", span)
    if any("\0" in line for line in lines):
        raise NetspecError(f"the list '{path}' is not text", span)
    return lines


def split_line(line: str, index: int, path: str, span: Span | None = None) -> tuple[str, int]:
    """Path and label of a line, which its last space parts.

    A line without a space has label 0, as in Caffe.

    Raises: NetspecError where what follows the space is no number, for which Caffe would take 0, or
        one beyond C's int.
    """
    image, space, word = line.rstrip("\r").rpartition(" ")
    if not space:
        return word, 0
    number = _NUMBER.match(word)
    if not number:
        raise NetspecError(
            f"line {index + 1} of '{path}' ends in '{word}', expected a path, "
            "a space and a whole number",
            span,
        )
    label = whole_number(number[1])
    if label is None:
        raise NetspecError(
            f"line {index + 1} of '{path}' has a label out of range, '{number[1][:40]}', "
            f"expected {INT32_RANGE}",
            span,
        )
    return image, label
