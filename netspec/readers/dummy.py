"""The DummyData layer: numbers by a filler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.files.blob_shape import OLD_SIZES
from netspec.graph import Layer
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

    size = None

    def __init__(self, layer: Layer, seed: int, shard: Shard) -> None:
        param = layer.message.dummy_data_param
        tops = len(layer.tops)
        fillers = list(param.data_filler) or [FillerParameter()]  # without a filler: zeros
        if len(fillers) not in (1, tops):
            message = f"{layer.label} has {tops} tops and {len(fillers)} data_fillers"
            raise NetspecError(
                message,
                layer.spans.at("dummy_data_param", "data_filler"),
                "give one for all tops or one a top",
            )
        self._layer, self._seed, self._shard = layer, seed, shard
        self._fillers = fillers if len(fillers) == tops else fillers * tops
        self._shapes = dummy_shapes(layer)
        rng = generator(seed, layer, BATCH)
        # made here to find what a filler refuses before the first batch
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
        except NetspecError as error:
            span = self._layer.spans.at("dummy_data_param", "data_filler", i)
            raise error.retold(f"{self._layer.label}: ", span) from None


def dummy_shapes(layer: Layer) -> list[tuple[int, ...]]:
    """The shape of each top.

    Shapes and the old num, channels, height and width hold once or once a top.

    Raises: NetspecError where there are too few or too many of them, or both forms.
    """
    param, tops = layer.message.dummy_data_param, len(layer.tops)
    old = [list(getattr(param, name)) for name in OLD_SIZES]
    span = layer.spans.at("dummy_data_param")
    if any(old) and param.shape:
        raise NetspecError(
            f"{layer.label} gives both shape and num, channels, height or width", span
        )
    if not any(old):
        given = [tuple(shape.dim) for shape in param.shape]
    elif all(len(axis) in (1, tops) for axis in old):
        given = list(
            zip(*(axis if len(axis) == tops else axis * tops for axis in old), strict=True)
        )
    else:
        raise NetspecError(
            f"{layer.label} needs num, channels, height and width once or once a top", span
        )
    if len(given) not in (1, tops):
        raise NetspecError(
            f"{layer.label} has {tops} tops and {len(given)} shapes",
            span,
            "give one for all tops or one a top",
        )
    if any(size < 0 for shape in given for size in shape):
        raise NetspecError(f"{layer.label} has a negative size", span)
    return given if len(given) == tops else given * tops
