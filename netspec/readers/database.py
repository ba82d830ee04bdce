"""The Data layer: records of an LMDB or LevelDB."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.files.paths import net_path, resolve_path
from netspec.graph import Layer
from netspec.readers.images import datum_pixels
from netspec.readers.randomness import BATCH, generator, record_generators
from netspec.readers.reader import Batch, Shard, record_text
from netspec.readers.transform import Floats, Transformer
from netspec.schema.caffe_pb2 import DataParameter
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
        images, labels, names = self._fetched(batch_index)
        rng = generator(self._seed, self._layer, BATCH, batch_index)
        numbers = self._shard.numbers(batch_index, self._batch_size)
        own = record_generators(self._seed, self._layer, numbers)
        data = self.transformer.apply(images, rng, names.__getitem__, self._shard, own)
        return dict(zip(self._layer.tops, (data, labels)))  # noqa: B905 - one top feeds no labels

    def originals(self, batch_index: int) -> list[NDArray[Any]]:
        """The images of a batch before they are transformed."""
        return self._fetched(batch_index)[0]

    def _fetched(self, batch_index: int) -> tuple[list[NDArray[Any]], Floats, list[str]]:
        """A batch's images and labels, and what messages call them."""
        labels = np.empty(self._batch_size, np.float32)
        images, names = [], []
        for place, index in enumerate(self._shard.numbers(batch_index, self._batch_size)):
            key, datum = self._records.read(index)
            names.append(self._records.describe(index, key))
            images.append(datum_pixels(datum, self.transformer.color, names[-1], self._span))
            labels[place] = datum.label
        return images, labels, names

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
