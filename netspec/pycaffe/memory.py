"""The memory of a blob's data or diff, which numpy arrays and torch tensors share.

Source: Caffe's SyncedMemory and Blob.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


class Memory:
    """Values in single precision, filled with zeros at first; blobs that share them hold one.

    Until a script has seen it, what a layer computes is taken over as it is. From then on its place
    stays and results are copied there, so that the script's array shows the values of each pass.
    On a GPU the array is a copy on the host, as in Caffe: it is brought up to date whenever the
    blob is asked for it, and what a script has written goes up before a layer reads it.
    """

    def __init__(self, device: torch.device, owns_results: bool = True) -> None:
        """owns_results: False where what is taken over may also be another memory's."""
        self._device, self._owns_results = device, owns_results
        self._values: Tensor | None = None
        self.is_seen = False
        self._host: Tensor | None = None
        self._is_at_host = False
        self._version = -1  # of the values, when the host's copy was made

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been written or read; it stands for zeros."""
        return self._values is None

    def _room(self, count: int) -> Tensor:
        """At least so many values, in any shape. Where there is no room they are zeros."""
        if self._values is None or self._values.numel() < count:
            self._values = torch.zeros(count, device=self._device)
            self._host, self._is_at_host = None, False
        return self._values

    def tensor(self, shape: Sequence[int]) -> Tensor:
        """The values for a layer to compute on: the memory itself, maybe in a view."""
        count = prod(shape)
        values = self._room(count)
        if self._is_at_host and self._host is not None:
            values.view(-1).copy_(self._host)
            self._is_at_host, self._version = False, values._version
        return _shaped(values, count, shape)

    def array(self, shape: Sequence[int]) -> NDArray[Any]:
        """The values for a script, which may write to them."""
        count = prod(shape)
        values = self._room(count)
        if not self.is_seen and not self._owns_results:
            values = self._values = values.clone()
        if values.device.type != "cpu":
            values = self._on_host(values)
        else:
            self.is_seen = True
        return _shaped(values, count, shape).numpy()

    def _on_host(self, values: Tensor) -> Tensor:
        if self._host is None or self._host.numel() != values.numel():
            self._host, self._is_at_host, self._version = torch.empty(values.numel()), False, -1
        if not self._is_at_host and self._version != values._version:
            self._host.copy_(values.view(-1))
            self._version = values._version
        self._is_at_host = True
        return self._host

    def write(self, value: Tensor) -> None:
        """Takes the values of a result."""
        value = value.detach()
        if value.dtype != torch.float32:
            value = value.float()
        held = self._values
        if held is not None and value.data_ptr() == held.data_ptr() and value.is_contiguous():
            return  # computed in place
        if self.is_seen:
            # as a script's writes it does not count as a change for autograd: a backward pass reads
            # what stands in the blobs
            self.tensor(value.shape).data.copy_(value)
            return
        self._values, self._version, self._is_at_host = value.contiguous(), -1, False

    def release(self) -> None:
        """Lets go of values that are about to be computed anew, so that their room is used again.

        What a script has seen stays at its place.
        """
        if not self.is_seen:
            self._values = None

    def fill(self, shape: Sequence[int], value: float) -> None:
        """Makes every value the same one."""
        self.tensor(shape).fill_(value)

    def clear(self) -> None:
        """Makes every value 0."""
        self._is_at_host = False
        if self.is_seen and self._values is not None:
            self._values.zero_()
        else:
            self._values = None

    def to(self, device: torch.device) -> None:
        """Moves the values to another device."""
        if self._values is not None:
            self._values = self.tensor(self._values.shape).to(device)
        self._device, self._host, self._is_at_host = device, None, False


def _shaped(values: Tensor, count: int, shape: Sequence[int]) -> Tensor:
    if values.numel() != count:
        return values.view(-1)[:count].view(shape)
    return values if values.shape == shape else values.view(shape)


class ParamData(Memory):
    """The values of a param of the compiled net: the param's own memory."""

    def __init__(self, param: Callable[[], Tensor]) -> None:
        super().__init__(torch.device("cpu"))
        self._param = param

    def _room(self, count: int) -> Tensor:
        self._values = self._param().detach()
        return self._values

    def to(self, device: torch.device) -> None:
        """Nothing: the param moves with its module."""
        self._host, self._is_at_host = None, False


class ParamDiff(Memory):
    """The gradient of a param of the compiled net, to which backward passes add."""

    def __init__(self, param: Callable[[], Tensor]) -> None:
        super().__init__(torch.device("cpu"))
        self.param = param
        # what a solver has taken from the param in its last update, to compute when it is looked at
        self.last_update: Callable[[], Tensor] | None = None

    @property
    def is_empty(self) -> bool:
        return self.param().grad is None

    def settle(self) -> None:
        """Puts the last update here, which Caffe leaves in the diff, where that is still to do."""
        if self.last_update is not None:
            update, self.last_update = self.last_update, None
            values = self._room(0)
            values.copy_(update().view(values.shape))

    def _room(self, count: int) -> Tensor:
        self.settle()
        param = self.param()
        if param.grad is None:
            param.grad = torch.zeros_like(param, requires_grad=False)
            self._version = -1
        self._values = param.grad
        return self._values

    def write(self, value: Tensor) -> None:
        self.tensor(value.shape).copy_(value)

    def release(self) -> None:
        """Nothing: backward passes add to it."""

    def clear(self) -> None:
        self._is_at_host, self._version, self.last_update = False, -1, None
        param = self.param()
        if param.grad is None:
            return
        if self.is_seen:
            param.grad.zero_()
        else:
            param.grad = None

    def to(self, device: torch.device) -> None:
        """Nothing: the gradient moves with its module."""
        self._host, self._is_at_host = None, False
