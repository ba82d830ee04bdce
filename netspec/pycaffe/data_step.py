"""Data layers of a running net: each forward pass takes the next batch of their stream."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from netspec.graph import Layer as GraphLayer
from netspec.pycaffe.step import Step
from netspec.readers.batches import Batches, open_reader
from netspec.readers.crew import default_workers
from netspec.readers.reader import WHOLE, Shard


class DataStep(Step):
    """A layer that reads records. Its data is opened when the net is made."""

    def __init__(
        self, *args: Any, layer: GraphLayer, seed: int, device: torch.device, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.layer, self._seed, self._device = layer, seed, device
        self._shard: Shard = WHOLE
        self._start = 0
        self._stream: Batches | None = None
        self._reader: Any = None
        self._fixed: set[str] = set()
        self.read_from(seed)

    def read_from(self, seed: int, start: int = 0, shard: Shard = WHOLE) -> None:
        """Goes on with a batch of the stream of a seed. Raises: NetspecError."""
        self.close()
        self._seed, self._start, self._shard = seed, start, shard
        self._reader = open_reader(self.layer, seed, shard)
        # as in Caffe constants are filled once: what a script writes over them stays
        constants = {
            name: array
            for name, array in getattr(self._reader, "constants", {}).items()
            if name not in self._fixed
        }
        self._take(constants)
        self._fixed |= constants.keys()

    def _take(self, batch: dict[str, NDArray[Any]]) -> None:
        for name, top in zip(self.top_names, self.tops, strict=True):
            if name in batch:
                top.hold(torch.from_numpy(batch[name]).to(self._device))

    def forward(self) -> None:
        if self._stream is None:
            self._stream = Batches(
                [self._reader], self._start, 2, workers=default_workers(self._shard.processes)
            )
        batch = next(self._stream)
        self._take({name: array for name, array in batch.items() if name not in self._fixed})

    def to(self, device: torch.device) -> None:
        self._device = device

    def close(self) -> None:
        """Ends the reading."""
        if self._stream is not None:
            self._stream.close()
        elif self._reader is not None:
            self._reader.close()
        self._stream = self._reader = None


class MemoryDataStep(Step):
    """A layer that feeds the arrays of a script, batch after batch, round and round.

    Source: Caffe's MemoryDataLayer.
    """

    def __init__(self, *args: Any, layer: GraphLayer, device: torch.device, **more: Any) -> None:
        super().__init__(*args, **more)
        self._param, self._device = layer.message.memory_data_param, device
        self._arrays: tuple[NDArray[Any], NDArray[Any]] | None = None
        self._position = 0

    def feed(self, data: NDArray[Any], labels: NDArray[Any]) -> None:
        """Sets the arrays, which are read in each pass.

        Raises: RuntimeError where they do not fit.
        """
        p = self._param
        _check_array("data array", data, (p.channels, p.height, p.width))
        _check_array("labels array", labels, (1, 1, 1))
        if len(data) != len(labels):
            raise RuntimeError(
                "data and labels must have the same first dimension, "
                f"got {len(data)} and {len(labels)}"
            )
        if len(data) == 0 or len(data) % p.batch_size:
            raise RuntimeError(
                f"the first dimension must be a multiple of the batch size {p.batch_size}, "
                f"got {len(data)}"
            )
        self._arrays, self._position = (data, labels), 0

    def forward(self) -> None:
        if self._arrays is None:
            raise RuntimeError(
                f"the MemoryData layer '{self.name}' has no data: "
                "net.set_input_arrays gives it some"
            )
        end = self._position + self._param.batch_size
        for top, array in zip(self.tops, self._arrays, strict=True):
            rows = torch.from_numpy(array[self._position : end]).clone()
            top.hold(rows.view((len(rows), *top.sizes[1:])).to(self._device))
        self._position = end % len(self._arrays[0])

    def to(self, device: torch.device) -> None:
        self._device = device


def _check_array(what: str, array: NDArray[Any], sizes: tuple[int, ...]) -> None:
    if not array.flags.c_contiguous:
        raise RuntimeError(f"{what} must be C contiguous")
    if array.ndim != 4:
        raise RuntimeError(f"{what} must be 4-d, got {array.ndim}")
    if array.dtype != "float32":
        raise RuntimeError(f"{what} must be float32, got {array.dtype}")
    names = ("number of channels", "height", "width")
    for name, size, got in zip(names, sizes, array.shape[1:], strict=True):
        if size != got:
            raise RuntimeError(f"{what} has the wrong {name}: expected {size}, got {got}")
