"""A plain torch Dataset over an LMDB of Datums, as one would write it without netspec."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class LmdbDataset(Dataset[tuple[Tensor, int]]):
    """Raw records over and over, for longer than anybody reads.

    Args:
        crop: the side of a random crop, which is flipped as often as not; 0 for neither.
        mean: of each channel.
    """

    def __init__(
        self, path: str, crop: int = 0, mean: tuple[float, ...] = (), scale: float = 1
    ) -> None:
        self._path, self._crop, self._scale = path, crop, scale
        self._mean = np.array(mean, np.float32)[:, None, None] if mean else None
        self._transaction: Any = None

    def __len__(self) -> int:
        return 1 << 40

    def _open(self) -> None:
        """In the process that reads: an environment must not be carried over a fork."""
        import lmdb

        environment = lmdb.open(self._path, readonly=True, lock=False, readahead=False)
        self._transaction = environment.begin(buffers=True)
        self._keys = [bytes(key) for key in self._transaction.cursor().iternext(values=False)]
        self._rng = np.random.default_rng()

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from netspec.schema.caffe_pb2 import Datum

        if self._transaction is None:
            self._open()
        datum = Datum.FromString(self._transaction.get(self._keys[index % len(self._keys)]))
        shape = datum.channels, datum.height, datum.width
        image = np.frombuffer(datum.data, np.uint8).reshape(shape)
        if self._crop:
            top, left = (self._rng.integers(0, side - self._crop + 1) for side in shape[1:])
            image = image[:, top : top + self._crop, left : left + self._crop]
            if self._rng.integers(0, 2):
                image = image[:, :, ::-1]
        pixels = image.astype(np.float32)
        if self._mean is not None:
            pixels -= self._mean
        if self._scale != 1:
            pixels *= np.float32(self._scale)
        return torch.from_numpy(np.ascontiguousarray(pixels)), datum.label
