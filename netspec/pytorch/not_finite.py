"""Where a run's numbers stopped being numbers: the first layer whose output is not finite, and why."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netspec.diagnostics import Diagnostic, note
from netspec.graph import Net
from netspec.pytorch.layer_values import forward_watched
from netspec.pytorch.module import NetModule


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether every value is finite. Sums tell it fast; where one overflows, the values are looked at."""
    floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    if not floats:
        return True
    if bool(torch.isfinite(torch.stack(torch._foreach_norm(floats, 1))).all()):
        return True
    return all(bool(torch.isfinite(tensor).all()) for tensor in floats)


@torch.no_grad()
def first_not_finite(net: Net, module: NetModule, inputs: Sequence[Tensor]) -> Diagnostic | None:
    """A note on the first layer of a forward pass with a bottom, a param or a top that is not finite; None where all are finite."""
    found: list[Diagnostic] = []

    def look(index: int, tops: list[Tensor]) -> None:
        layer = net.layers[index]
        if found or all_finite(tops):
            return
        bad_params = [i for i, blob in enumerate(module.layer_params[index]) if not all_finite([blob])]
        top = next(name for name, value in zip(layer.tops, tops, strict=True) if not all_finite([value]))
        cause = (
            f"its param {bad_params[0]} is not finite either: an update before has made it so" if bad_params else "its bottoms and params are finite"
        )
        if not layer.bottoms:
            cause = "it stands so in the data"
        found.append(note(f"{layer.label} ({layer.type}) is the first whose output is not finite: '{top}'; {cause}", layer.span))

    forward_watched(module, inputs, look)
    return found[0] if found else None
