"""A module run along another program where the smallest difference changes which rows there are.

Detections and proposals are chosen by the order of scores and by overlaps near a threshold. The
other's bottoms of such a layer are compared with the module's; then what the module makes of the
other's own bottoms against the other's tops, and the layers behind go on from these.
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


def follow_values(
    module: NetModule,
    net: Net,
    inputs: Mapping[str, Tensor],
    theirs: Arrays,
    tolerance: float,
    what: str = "exported",
) -> tuple[dict[str, np.ndarray], dict[str, float], list[str]]:
    """The module's outputs, how far the chosen rows differ, and notes of rows that are others.

    Args:
        net: the net that was written: the module's, or the folded one.
        theirs: the other's values around the layers that choose.
        tolerance: of a difference, relative to the largest value.
        what: the other is, for messages.

    Raises: NetspecError where a bottom differs by more, or too many rows are others.
    """
    device = next((value.device for value in module.state_dict().values()), torch.device("cpu"))
    on_device = {name: torch.from_numpy(value).to(device) for name, value in theirs.items()}
    following = _Following(module, net, on_device, tolerance, what)
    with torch.no_grad():
        made = following.run(*(inputs[name].to(device) for name in module.input_names))
    outputs = module.shown(made)
    arrays = {name: value.cpu().numpy() for name, value in outputs.items()}
    return arrays, following.differences, following.notes


class _Following(fx.Interpreter):
    def __init__(
        self,
        module: NetModule,
        net: Net,
        theirs: Mapping[str, Tensor],
        tolerance: float,
        what: str,
    ) -> None:
        super().__init__(module)
        self.net, self.theirs, self.tolerance, self.what = net, theirs, tolerance, what
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
        apart = max(
            self._bottom_difference(layer, i, mine, other)
            for i, (mine, other) in enumerate(zip(args, read, strict=True))
        )
        made = super().call_module(target, tuple(read), kwargs)
        own = made if isinstance(made, tuple) else (made,)
        given = tuple(self.theirs[name] for name in self._tops(layer))
        tops = ([value.cpu().numpy() for value in values] for values in (own, given))
        worst = max(apart, self._require_same(layer, *tops))
        self.differences.update(dict.fromkeys(self._tops(layer), worst))
        return given if isinstance(made, tuple) else given[0]

    def _tops(self, layer: Layer) -> list[str]:
        return [self.net.value_name(blob) for blob in layer.top_blobs]

    def _bottom_difference(self, layer: Layer, i: int, own: Tensor, found: Tensor) -> float:
        difference = relative_difference(found.cpu().numpy(), own.cpu().numpy())
        if not difference <= self.tolerance:
            raise NetspecError(
                f"the {self.what} '{layer.bottoms[i]}' differs from the module's by "
                f"{difference:.1e} of its largest value, more than {self.tolerance:g}; "
                "nothing was written"
            )
        return difference

    def _require_same(self, layer: Layer, own: list[np.ndarray], found: list[np.ndarray]) -> float:
        """The difference of the tops. Raises: NetspecError."""
        worst = max(relative_difference(b, a) for a, b in zip(own, found, strict=True))
        if worst <= self.tolerance:
            return worst
        tables = []
        for values in (own, found):  # the regions or detections, and maybe the score of each
            rows = values[0].reshape(-1, values[0].shape[-1])
            tables.append(np.concatenate([rows, *(v.reshape(len(rows), 1) for v in values[1:])], 1))
        apart = rows_apart(tables[0], tables[1], self.tolerance)
        count = max(map(len, tables))
        if apart > _SHARE * count:
            raise NetspecError(
                f"{layer.label}: {apart} of {count} rows of the {self.what} "
                f"'{layer.tops[0]}' are not the module's; nothing was written",
                layer.span,
            )
        self.notes.append(
            f"{layer.label}: {apart} of {count} rows are others, by overlaps next to the threshold"
        )
        return 0.0  # the rows that are the same
