"""A compiled net on its own data: each forward pass takes the next batch of its data layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from netspec.data.batches import batches, dataset_size
from netspec.data.reader import WHOLE, Share
from netspec.diagnostics import NetspecError, note
from netspec.graph import Net
from netspec.pytorch.module import NetModule

Run = Callable[[Sequence[Tensor]], dict[str, Tensor]]


class Feed:
    """The module of a net and the stream of its data, from batch `start` on. Nothing is opened before the first pass.

    Args:
        share: which records of each batch are this process's.
        every: takes each so-many-th batch, where the others are for other processes.

    Raises: NetspecError where an input of the module is fed by no data layer.
    """

    def __init__(self, net: Net, module: NetModule, device: torch.device, seed: int, start: int = 0, share: Share = WHOLE, every: int = 1) -> None:
        self.net, self.module, self.device, self.index = net, module, device, start
        self.share, self.every = share, every
        self.inputs: list[Tensor] = []  # of the last pass
        unfed = [name for name in module.input_names if name not in net.sources]
        if unfed:
            blob = net.blobs[unfed[0]]
            raise NetspecError(f"no data layer feeds the input '{unfed[0]}'", blob.span, "to train or test it, a net takes its data from data layers")
        self._batches = batches(net, start=start, seed=seed, share=self.share, every=every) if net.sources else None

    def forward(self, run: Run | None = None) -> dict[str, Tensor]:
        """The outputs of the next batch, by another way than the module's own where `run` is given.

        Raises: NetspecError; one for an item of the batch names its record.
        """
        arrays = next(self._batches) if self._batches is not None else {}
        self.inputs = [torch.from_numpy(arrays[name]).to(self.device, non_blocking=True) for name in self.module.input_names]
        try:
            outputs = self.module(*self.inputs) if run is None else run(self.inputs)
        except NetspecError as error:
            raise self._with_record(error) from None
        self.index += self.every
        return outputs

    def _with_record(self, error: NetspecError) -> NetspecError:
        if error.item is None:
            return error
        source = self.net.blobs[self.net.sources[0]]
        record = (self.index * (source.shape or (1,))[0] + error.item) * self.share.processes + self.share.rank
        size = dataset_size(self.net)
        where = f"it is record {record % size} (from 0) of its {size:,}" if size else f"it is record {record} (from 0) that was read"
        error.diagnostics[0].notes.append(note(f"{source.producer.label} feeds it; {where}", source.span))
        return NetspecError(error.diagnostics)

    def close(self) -> None:
        """Ends the reading of data."""
        if self._batches is not None:
            self._batches.close()
