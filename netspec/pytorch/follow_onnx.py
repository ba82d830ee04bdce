"""A module run along an ONNX model where the smallest difference changes which rows there are.

Detections and proposals are chosen by the order of scores and by overlaps near a threshold. What
the module makes of the model's own bottoms is held against the model's tops, and the layers behind
go on from these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from netspec.diagnostics import NetspecError
from netspec.exporters.differences import relative_difference, rows_apart
from netspec.graph import Layer, Net
from netspec.pytorch.module import NetModule

_CHOOSING = ("DetectionOutput", "Proposal", "Python (ProposalLayer)")
_SHARE = 0.01  # of the rows that may be others: overlaps that are next to the threshold

Arrays = Mapping[str, np.ndarray]


def choosing_layers(net: Net) -> list[Layer]:
    """The layers that choose rows."""
    return [layer for layer in net.layers if layer.spec_name in _CHOOSING]


def values_around(net: Net, layers: list[Layer]) -> set[str]:
    """The names of the values that layers read and make."""
    made = {net.value_name(blob) for layer in layers for blob in layer.top_blobs}
    return made.union(*(_bottoms(net, layer) for layer in layers))


def _bottoms(net: Net, layer: Layer) -> list[str]:
    return [
        net.value_name(blob.overwritten_by(writes) or blob)
        for blob, writes in zip(layer.bottom_blobs, layer.bottom_writes, strict=True)
    ]


def follow_onnx(
    module: NetModule, net: Net, inputs: Mapping[str, Tensor], theirs: Arrays, tolerance: float
) -> tuple[dict[str, np.ndarray], dict[str, float], list[str]]:
    """The module's outputs, how far the chosen rows are off, and notes of rows that are others.

    Args:
        net: the net that was written: the module's, or the folded one.
        theirs: the model's values around the layers that choose.
        tolerance: of a difference, relative to the largest value.

    Raises: NetspecError where too many rows are others.
    """
    device = next((value.device for value in module.state_dict().values()), torch.device("cpu"))
    on_device = {name: torch.from_numpy(value).to(device) for name, value in theirs.items()}
    following = _Following(module, net, on_device, tolerance)
    with torch.no_grad():
        made = following.run(*(inputs[name].to(device) for name in module.input_names))
    outputs = module.shown(made)
    arrays = {name: value.cpu().numpy() for name, value in outputs.items()}
    return arrays, following.differences, following.notes


class _Following(fx.Interpreter):
    def __init__(
        self, module: NetModule, net: Net, theirs: Mapping[str, Tensor], tolerance: float
    ) -> None:
        super().__init__(module)
        self.net, self.theirs, self.tolerance = net, theirs, tolerance
        self.notes: list[str] = []
        self.differences: dict[str, float] = {}
        targets = module.about.targets
        self.layers = {
            targets[layer.name]: layer for layer in choosing_layers(net) if layer.name in targets
        }

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        layer = self.layers.get(str(target))
        if layer is None or not all(name in self.theirs for name in self._tops(layer)):
            return super().call_module(target, args, kwargs)
        read = [
            self.theirs[name].reshape(own.shape) if name in self.theirs else own
            for name, own in zip(_bottoms(self.net, layer), args, strict=True)
        ]
        made = super().call_module(target, tuple(read), kwargs)
        own = made if isinstance(made, tuple) else (made,)
        given = tuple(self.theirs[name] for name in self._tops(layer))
        self._require_same(layer, *([v.cpu().numpy() for v in values] for values in (own, given)))
        return given if isinstance(made, tuple) else given[0]

    def _tops(self, layer: Layer) -> list[str]:
        return [self.net.value_name(blob) for blob in layer.top_blobs]

    def _require_same(self, layer: Layer, own: list[np.ndarray], found: list[np.ndarray]) -> None:
        differences = [relative_difference(b, a) for a, b in zip(own, found, strict=True)]
        if all(difference <= self.tolerance for difference in differences):
            self.differences.update(zip(self._tops(layer), differences, strict=True))
            return
        tables = []
        for values in (own, found):
            width = values[0].shape[-1]
            rows = values[0].reshape(-1, width)
            tables.append(
                np.concatenate([rows, *(v.reshape(len(rows), -1) for v in values[1:])], 1)
            )
        apart = rows_apart(tables[0], tables[1], self.tolerance)
        count = max(map(len, tables))
        if apart > _SHARE * count:
            raise NetspecError(
                f"{layer.label}: {apart} of {count} rows of the exported "
                f"'{layer.tops[0]}' are not the module's; nothing was written",
                layer.span,
            )
        self.notes.append(
            f"{layer.label}: {apart} of {count} rows are others, by overlaps next to the threshold"
        )
