"""Blobs as pycaffe shows them. Source: Caffe's Blob, pycaffe's _caffe.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from netspec.pycaffe.memory import Memory


class Blob:
    """An array of a net and its gradient: `data` and `diff` are numpy arrays over its memory."""

    is_shaped = True  # what a Python layer's top is asked for

    def __init__(
        self,
        shape: Sequence[int] = (),
        data: Memory | None = None,
        diff: Memory | None = None,
        device: torch.device | None = None,
    ) -> None:
        device = device or torch.device("cpu")
        self._shape = tuple(shape)
        self.data_memory = data or Memory(device)
        self.diff_memory = diff or Memory(device, owns_results=False)

    def __repr__(self) -> str:
        return f"<Blob {list(self._shape)}>"

    @property
    def shape(self) -> list[int]:
        return list(self._shape)

    @property
    def count(self) -> int:
        return prod(self._shape)

    num = property(lambda self: self._axis(0))
    channels = property(lambda self: self._axis(1))
    height = property(lambda self: self._axis(2))
    width = property(lambda self: self._axis(3))

    def _axis(self, axis: int) -> int:
        """The size of one of the four axes that blobs once had. Source: Blob::LegacyShape."""
        if len(self._shape) > 4:
            raise RuntimeError(
                "num, channels, height and width are for blobs of at most 4 axes, "
                f"this one has {len(self._shape)}"
            )
        return self._shape[axis] if axis < len(self._shape) else 1

    @property
    def data(self) -> NDArray[Any]:
        """The values; what is written into them is what layers read."""
        return self.data_memory.array(self._shape)

    @property
    def diff(self) -> NDArray[Any]:
        """The gradient; what is written into it is what a backward pass reads."""
        return self.diff_memory.array(self._shape)

    def reshape(self, *shape: int) -> None:
        """Sets the sizes. The values stay as far as there is room, as in Caffe."""
        sizes = tuple(index(size) for size in shape)
        if min(sizes, default=0) < 0:
            raise RuntimeError(f"a blob can't have a negative size, got {sizes}")
        self._shape = sizes

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape as a tuple."""
        return self._shape

    def tensor(self) -> Tensor:
        """The values for a layer to compute on."""
        return self.data_memory.tensor(self._shape)

    def diff_tensor(self) -> Tensor:
        """The gradient for a layer to compute on."""
        return self.diff_memory.tensor(self._shape)

    def hold(self, value: Tensor) -> None:
        """Takes what a layer has computed, and its shape."""
        self._shape = tuple(value.shape)
        self.data_memory.write(value)

    def hold_diff(self, value: Tensor | None) -> None:
        """Takes a gradient; None stands for zeros."""
        if value is None:
            self.diff_memory.clear()
        else:
            self.diff_memory.write(value)

    def to(self, device: torch.device) -> None:
        """Moves both to another device."""
        self.data_memory.to(device)
        self.diff_memory.to(device)


class BlobVec(list[Blob]):
    """The blobs of a layer."""

    def add_blob(self, *shape: int) -> None:
        """Adds one of these sizes."""
        blob = Blob()
        blob.reshape(*shape)
        self.append(blob)
