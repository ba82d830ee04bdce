"""A compiled net on its own data: each forward pass takes the next batch of its data layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from netspec.diagnostics import NetspecError, Span, note
from netspec.graph import Blob, Net
from netspec.pytorch.finish_images import ImageFinisher
from netspec.pytorch.layers.loss_terms import label_span
from netspec.pytorch.module import NetModule
from netspec.pytorch.planar_inputs import inputs_last
from netspec.readers.batches import batches, open_reader, reader_of
from netspec.readers.byte_images import ByteImages
from netspec.readers.reader import WHOLE, Shard

# what may stand between labels and their data layer
ITEM_BY_ITEM = ("Flatten", "Reshape", "Split", "Power", "Threshold", "Clip")
Run = Callable[[Sequence[Tensor]], dict[str, Tensor]]


class Feed:
    """The module of a net and the stream of its data, from batch `start` on.

    Nothing is opened before the first pass.

    Args:
        shard: which records of each batch are this process's.
        every: takes each so-many-th batch, where the others are for other processes.
        oversample: reads ten crops of each record, for `TenCrops`.
        workers: threads that decode and transform the data, as in `batches`.
        finishes: does mean, scale and mirror of images on the device, to which their bytes go; None
            where that isn't the CPU, whose threads do it ahead.

    Raises: NetspecError where an input of the module is fed by no data layer.
    """

    def __init__(
        self,
        net: Net,
        module: NetModule,
        device: torch.device,
        seed: int,
        start: int = 0,
        shard: Shard = WHOLE,
        every: int = 1,
        oversample: bool = False,
        workers: int | None = None,
        finishes: bool | None = None,
    ) -> None:
        self.net, self.module, self.device, self.index = net, module, device, start
        self.shard, self.every, self.seed = shard, every, seed
        self.inputs: list[Tensor] = []  # of the last pass
        self._last = inputs_last(module)
        self._finish = {name: ImageFinisher(device) for name in module.input_names}
        unfed = [name for name in module.input_names if name not in net.sources]
        if unfed:
            blob = net.blobs[unfed[0]]
            raise NetspecError(
                f"no data layer feeds the input '{unfed[0]}'",
                blob.span,
                "to train or test it, a net takes its data from data layers",
            )
        self._batches = (
            batches(
                net,
                start=start,
                seed=seed,
                prefetch=1 if oversample else 2,  # ten batches' memory
                shard=self.shard,
                every=every,
                oversample=oversample,
                workers=workers,
                as_bytes=device.type != "cpu" if finishes is None else finishes,
            )
            if net.sources
            else None
        )

    def forward(self, run: Run | None = None) -> dict[str, Tensor]:
        """The outputs of the next batch, by another way than the module's own where `run` is given.

        Raises: NetspecError; one for an item of the batch names its record.
        """
        batch = next(self._batches) if self._batches is not None else {}
        self.inputs = [self._on_device(name, batch[name]) for name in self.module.input_names]
        try:
            outputs = self.module(*self.inputs) if run is None else run(self.inputs)
        except NetspecError as error:
            raise self._with_record(error) from None
        self.index += self.every
        return outputs

    def _on_device(self, name: str, fed: NDArray[Any] | ByteImages) -> Tensor:
        if isinstance(fed, ByteImages):
            value = self._finish[name](fed)
        else:
            value = torch.from_numpy(fed).to(self.device, non_blocking=True)
        last = name in self._last and value.dim() == 4
        return value.contiguous(memory_format=torch.channels_last) if last else value

    def _with_record(self, error: NetspecError) -> NetspecError:
        if error.item is None:
            return error
        blob = self._fed_blob(error)
        if blob is None or not reader_of(blob.producer):
            return error
        # a batch is a function of the seed, the shard and its index
        reader = open_reader(blob.producer, self.seed, self.shard)
        try:
            record = reader.record(self.index, error.item)
        finally:
            reader.close()
        where = f"{blob.producer.label} feeds it" + (f"; it is {record}" if record else "")
        error.diagnostics[0].notes.append(note(where, blob.span))
        return NetspecError(error.diagnostics)

    def _fed_blob(self, error: NetspecError) -> Blob | None:
        """The blob that was fed and whose item is at fault.

        Returns None where the items between are not known to be the same.
        """
        if error.blob is not None:
            return self.net.first_version(error.blob)
        readers = [
            layer
            for layer in self.net.layers
            if len(layer.bottoms) > 1 and _is_same(label_span(layer), error.diagnostics[0].span)
        ]
        blob = readers[0].bottom_blobs[1] if readers else None
        while blob is not None and blob.producer.type in ITEM_BY_ITEM:
            before = blob.producer.bottom_blobs[0]
            if not before.shape or not blob.shape or before.shape[0] != blob.shape[0]:
                return None
            blob = before
        return blob

    def close(self) -> None:
        """Ends the reading of data."""
        if self._batches is not None:
            self._batches.close()


def _is_same(one: Span | None, other: Span | None) -> bool:
    return (
        one is not None
        and other is not None
        and (one.source, one.start) == (other.source, other.start)
    )
