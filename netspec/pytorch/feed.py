"""A compiled net on its own data: each forward pass takes the next batch of its data layers."""

from __future__ import annotations

import torch
from torch import Tensor

from netspec.data.batches import batches, dataset_size
from netspec.diagnostics import NetspecError, note
from netspec.graph import Net
from netspec.pytorch.module import NetModule


class Feed:
    """The module of a net and the stream of its data, from batch `start` on. Nothing is opened before the first pass.

    Raises: NetspecError where an input of the module is fed by no data layer.
    """

    def __init__(self, net: Net, module: NetModule, device: torch.device, seed: int, start: int = 0) -> None:
        self.net, self.module, self.device, self.index = net, module, device, start
        unfed = [name for name in module.input_names if name not in net.sources]
        if unfed:
            blob = net.blobs[unfed[0]]
            raise NetspecError(f"no data layer feeds the input '{unfed[0]}'", blob.span, "to train or test it, a net takes its data from data layers")
        self._batches = batches(net, start=start, seed=seed) if net.sources else None

    def forward(self) -> dict[str, Tensor]:
        """The outputs of the next batch. Raises: NetspecError; one for an item of the batch names its record."""
        arrays = next(self._batches) if self._batches is not None else {}
        tensors = [torch.from_numpy(arrays[name]).to(self.device, non_blocking=True) for name in self.module.input_names]
        try:
            outputs = self.module(*tensors)
        except NetspecError as error:
            raise self._with_record(error) from None
        self.index += 1
        return outputs

    def _with_record(self, error: NetspecError) -> NetspecError:
        if error.item is None:
            return error
        source = self.net.blobs[self.net.sources[0]]
        record = self.index * (source.shape or (1,))[0] + error.item
        size = dataset_size(self.net)
        where = f"it is record {record % size} (from 0) of its {size:,}" if size else f"it is record {record} (from 0) that was read"
        error.diagnostics[0].notes.append(note(f"{source.producer.label} feeds it; {where}", source.span))
        return NetspecError(error.diagnostics)

    def close(self) -> None:
        """Ends the reading of data."""
        if self._batches is not None:
            self._batches.close()
