"""Where a run's numbers became non-finite: the first layer with such an output, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from netspec.diagnostics import ERROR, Diagnostic, NetspecError, Span, note
from netspec.graph import Layer, Net
from netspec.hint import Hint
from netspec.pytorch.layer_values import forward_watched
from netspec.pytorch.module import NetModule


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether every value is finite.

    Sums show it fast; where one overflows, the values are looked at.
    """
    floats = [
        tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()
    ]
    if not floats:
        return True
    if bool(torch.isfinite(torch.stack(torch._foreach_norm(floats, 1))).all()):
        return True
    return all(bool(torch.isfinite(tensor).all()) for tensor in floats)


@dataclass(frozen=True, slots=True)
class NotFinite:
    """The first layer of a forward pass with a top that is not finite."""

    layer: Layer
    top: str
    param: int | None  # of its params the first that is not finite
    item: int | None  # for what stands so in the data: which item of the batch

    def note(self, iteration: int) -> Diagnostic:
        """Who it is, and why its output may be so."""
        cause = "its bottoms and params are finite" if self.layer.bottoms else "the data is so"
        if self.param is not None:
            maker = (
                "an update before has made it so"
                if iteration
                else "its filler, or a weight file, has made it so"
            )
            cause = f"its param {self.param} is not finite either: {maker}"
        return note(
            f"{self.layer.label} ({self.layer.type}) is the first whose output is not finite: "
            f"'{self.top}'; {cause}",
            self.layer.span,
        )


@torch.no_grad()
def first_not_finite(net: Net, module: NetModule, inputs: Sequence[Tensor]) -> NotFinite | None:
    """The first layer of a forward pass with a top that is not finite.

    Returns None where all are finite.
    """
    for name, value in zip(module.input_names, inputs, strict=True):
        if not all_finite([value]):
            rows = (
                torch.isfinite(value.reshape(len(value), -1)).all(1)
                if value.dim()
                else torch.tensor([False])
            )
            return NotFinite(
                net.first_version(name).producer, name, None, int(rows.logical_not().nonzero()[0])
            )
    found: list[NotFinite] = []

    def look(index: int, tops: list[Tensor]) -> None:
        layer = net.layers[index]
        if found or all_finite(tops):
            return
        param = next(
            (i for i, blob in enumerate(module.layer_params[index]) if not all_finite([blob])), None
        )
        top = next(
            name for name, value in zip(layer.tops, tops, strict=True) if not all_finite([value])
        )
        found.append(NotFinite(layer, top, param, None))

    forward_watched(module, inputs, look)
    return found[0] if found else None


def report_not_finite(
    net: Net,
    module: NetModule,
    loss: float,
    iteration: int,
    base_lr: Span | None,
    inputs: Sequence[Tensor],
) -> dict[str, Tensor]:
    """Repeats a forward pass of an iteration whose loss was non-finite, and looks at every layer.

    Returns no outputs where all values are finite.

    Raises: NetspecError at the first layer whose output is not.
    """
    found = first_not_finite(net, module, inputs)
    if found:
        raise loss_fault(loss, iteration, found, base_lr)
    return {}


def loss_fault(
    loss: float, iteration: int, found: NotFinite | None, base_lr: Span | None
) -> NetspecError:
    """The error to raise for a non-finite loss.

    The rate is only blamed after an update, and not for what is in the data.
    """
    fault = Diagnostic(
        ERROR, f"the loss is {loss:g} at iteration {iteration}: the run stops, its snapshots stand"
    )
    if iteration and not (found and found.item is not None):
        fault.span, fault.hint = (
            base_lr,
            Hint("a lower base_lr, clip_gradients, or another filler may help"),
        )
    fault.notes += [found.note(iteration)] if found else []
    error = NetspecError(fault)
    if found and found.item is not None:
        error.item, error.blob = found.item, found.top
    return error
