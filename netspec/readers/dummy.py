"""The DummyData layer: numbers by a filler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.files.blob_shape import OLD_SIZES
from netspec.graph import Layer
from netspec.readers.crew import ALONE, Crew
from netspec.readers.fillers import fill
from netspec.readers.randomness import BATCH, generator
from netspec.readers.reader import Batch, Shard
from netspec.schema.caffe_pb2 import FillerParameter


class DummyReader:
    """Constants are filled once and fed as the same array each time.

    All other fillers fill anew for each batch.

    There are no records to deal out: each process draws batches of its own.

    Shapes: what dummy_data_param says.
    Source: the DummyData layer.
    """

    crew: Crew = ALONE  # one generator draws all of a batch
    size = None

    def __init__(self, layer: Layer, seed: int, shard: Shard) -> None:
        param = layer.message.dummy_data_param
        tops = len(layer.tops)
        fillers = list(param.data_filler) or [FillerParameter()]  # without a filler: zeros
        self._layer, self._seed, self._shard = layer, seed, shard
        self._fillers = fillers if len(fillers) == tops else fillers * tops
        self._shapes = dummy_shapes(layer)
        rng = generator(seed, layer, BATCH)
        # made here, so that a lack of memory is found before the first batch
        first = {top: self._fill(i, rng) for i, top in enumerate(layer.tops)}
        self.constants = {
            top: first[top]
            for top, filler in zip(layer.tops, self._fillers, strict=True)
            if filler.type == "constant"
        }

    def read(self, batch_index: int) -> Batch:
        rng = generator(
            self._seed, self._layer, BATCH, batch_index * self._shard.processes + self._shard.rank
        )
        return {
            top: self.constants[top] if top in self.constants else self._fill(i, rng)
            for i, top in enumerate(self._layer.tops)
        }

    def record(self, batch_index: int, item: int) -> None:
        return None

    def close(self) -> None:
        pass

    def _fill(self, i: int, rng: np.random.Generator) -> NDArray[np.float32]:
        try:
            return fill(self._fillers[i], self._shapes[i], rng)
        except MemoryError:
            message = (
                f"{self._layer.label}: the memory does not suffice for top '{self._layer.tops[i]}'"
            )
            raise NetspecError(message, self._layer.spans.at("dummy_data_param")) from None


def dummy_shapes(layer: Layer) -> list[tuple[int, ...]]:
    """The shape of each top.

    Shapes and the old num, channels, height and width hold once or once a top.
    """
    param, tops = layer.message.dummy_data_param, len(layer.tops)
    given = [tuple(shape.dim) for shape in param.shape]
    if not given:
        old = [list(getattr(param, name)) for name in OLD_SIZES]
        given = list(
            zip(*(axis if len(axis) == tops else axis * tops for axis in old), strict=True)
        )
    return given if len(given) == tops else given * tops
