"""The Data layer: records of an LMDB or LevelDB."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.files.paths import net_path, resolve_path
from netspec.graph import Layer
from netspec.readers.byte_images import NotBytesError
from netspec.readers.crew import ALONE, Crew
from netspec.readers.images import datum_pixels
from netspec.readers.mean import Floats
from netspec.readers.randomness import BATCH, generator, record_generators
from netspec.readers.reader import Batch, Shard, record_text
from netspec.readers.transform import Fetched, Transformer
from netspec.schema.caffe_pb2 import DataParameter, Datum
from netspec.stores.damage import key_text
from netspec.stores.records import database_kind, open_records

# bytes of LevelDB up to which reading it through for its count is no burden
_COUNTED_AT_ONCE = 1 << 30


class DatabaseReader:
    """Feeds the records in key order, over the end and on from the first even inside a batch.

    Sizes may differ between batches, as in Caffe, which then gives the whole net new shapes. What
    other processes feed is stepped over undecoded: an LMDB is not even read there, a LevelDB can
    only be gone through.

    Shapes: first top (N, C, h, w); second top, the labels, (N).
    Source: the Data layer. It does not shuffle, and ignores rand_skip.
    """

    crew: Crew = ALONE

    def __init__(self, layer: Layer, seed: int, shard: Shard) -> None:
        param = layer.message.data_param
        self._layer, self._seed, self._shard = layer, seed, shard
        self._batch_size = param.batch_size
        path = resolve_path(param.source, net_path(layer))
        self._span = layer.spans.at("data_param", "source")
        self.transformer = Transformer(
            layer.message.transform_param, layer.phase, net_path(layer), layer.spans, layer.label
        )
        self._records = open_records(path, param.backend, self._span)
        self._counts_slowly = (
            database_kind(path, param.backend) == DataParameter.LEVELDB
            and _bytes_below(path) > _COUNTED_AT_ONCE
        )

    @property
    def size(self) -> int | None:
        return None if self._counts_slowly else self._records.count

    def read(self, batch_index: int) -> Batch:
        try:
            return self._read(batch_index)
        except NotBytesError:
            self.transformer.gives_bytes = False
            return self._read(batch_index)

    def _read(self, batch_index: int) -> Batch:
        labels, keys = np.empty(self._batch_size, np.float32), list[bytes]()
        numbers = self._shard.numbers(batch_index, self._batch_size)
        data = self.transformer.batch(
            self._fetched(numbers, labels, keys),
            len(numbers),
            generator(self._seed, self._layer, BATCH, batch_index),
            lambda place: self._records.describe(numbers[place], keys[place]),
            self._shard,
            record_generators(self._seed, self._layer, numbers),
            self.crew,
        )
        return dict(zip(self._layer.tops, (data, labels)))  # noqa: B905 - one top feeds no labels

    def originals(self, batch_index: int) -> list[NDArray[Any]]:
        """The images of a batch before they are transformed."""
        numbers = self._shard.numbers(batch_index, self._batch_size)
        labels = np.empty(self._batch_size, np.float32)
        return [decode() for decode in self._fetched(numbers, labels, [])]

    def _fetched(self, numbers: range, labels: Floats, keys: list[bytes]) -> Iterator[Fetched]:
        """Records one after the other, and on the way their labels and keys."""
        for place, index in enumerate(numbers):
            key, datum = self._records.read(index)
            keys.append(key)
            labels[place] = datum.label
            yield partial(self._pixels, index, key, datum)

    def _pixels(self, index: int, key: bytes, datum: Datum) -> NDArray[Any]:
        try:
            return datum_pixels(datum, self.transformer.color)
        except NetspecError:  # again, with the name that it would not be worth to make before
            name = self._records.describe(index, key)
            return datum_pixels(datum, self.transformer.color, name, self._span)

    def record(self, batch_index: int, item: int) -> str:
        number = self._shard.numbers(batch_index, self._batch_size)[item]
        key, _ = self._records.read(number)
        return record_text(
            number % self.size if self.size else number, self.size, f"'{key_text(key)}'"
        )

    def close(self) -> None:
        self._records.close()


def _bytes_below(folder: str) -> int:
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
