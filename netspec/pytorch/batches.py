"""netspec.batches: what a net's data layers feed, as arrays or as tensors.

torch comes in only for tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, overload

from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.readers import batches as arrays
from netspec.readers.reader import WHOLE, Shard

if TYPE_CHECKING:
    from torch import Tensor


@overload
def batches(
    net: Net,
    start: int = 0,
    seed: int | None = None,
    prefetch: int = 2,
    shard: Shard = WHOLE,
    every: int = 1,
    tensors: Literal[False] = False,
    workers: int | None = None,
) -> arrays.Batches: ...
@overload
def batches(
    net: Net,
    start: int = 0,
    seed: int | None = None,
    prefetch: int = 2,
    shard: Shard = WHOLE,
    every: int = 1,
    *,
    tensors: Literal[True],
    workers: int | None = None,
) -> TensorBatches: ...


def batches(
    net: Net,
    start: int = 0,
    seed: int | None = None,
    prefetch: int = 2,
    shard: Shard = WHOLE,
    every: int = 1,
    tensors: bool = False,
    workers: int | None = None,
) -> arrays.Batches | TensorBatches:
    """What the net's data layers feed, batch after batch, without an end.

    `module(**next(stream))` takes one of tensors.

    Args:
        tensors: give torch tensors instead of numpy arrays.
        start, seed, prefetch, shard, every, workers: see `netspec.readers.batches.batches`.

    Returns:
        an iterator of {top: array or tensor}, float32; `close()`, leaving its `with` block or
        dropping it ends the threads.
    Raises: NetspecError where the net has no data layers, data is missing or settings contradict
        each other.
    """
    if not isinstance(net, Net):
        raise NetspecError(
            f"expected a loaded net, got {type(net).__name__}",
            None,
            'netspec.batches(netspec.load(path, phase="TRAIN"))',
        )
    if not net.sources:
        hint = f"the caller feeds its inputs: {', '.join(net.inputs)}" if net.inputs else None
        raise NetspecError(
            f"the net '{net.name}' has no data layers in phase {net.phase}", None, hint
        )
    stream = arrays.batches(net, start, seed, prefetch, shard, every, workers=workers)
    return TensorBatches(stream) if tensors else stream


class TensorBatches(Iterator["dict[str, Tensor]"]):
    """A stream of batches as tensors, which share the arrays' memory."""

    def __init__(self, stream: arrays.Batches) -> None:
        from torch import from_numpy

        self._stream, self._from_numpy = stream, from_numpy

    def __next__(self) -> dict[str, Tensor]:
        """The next batch. Raises: as the stream of arrays."""
        return {top: self._from_numpy(array) for top, array in next(self._stream).items()}

    def close(self) -> None:
        """Ends the reading and closes the data. More than once does no harm."""
        self._stream.close()

    def __enter__(self) -> TensorBatches:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
