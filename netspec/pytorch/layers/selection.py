"""Layers that pick values or items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule

if TYPE_CHECKING:
    from netspec.diagnostics import Span


class ArgMax(LayerModule):
    """The places of the largest values, as floats: of each item (axis None), or along an axis.

    With `values` a row of the values follows the places; along an axis the values stand alone. Of
    equal values the last comes first.
    """

    def __init__(self, top_k: int, axis: int | None, values: bool) -> None:
        super().__init__()
        self.top_k, self.axis, self.values = top_k, axis, values

    def extra_repr(self) -> str:
        return f"top_k={self.top_k}, axis={self.axis}, values={self.values}"

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        rows = x.detach().flatten(1) if x.dim() > 1 else x.detach().unsqueeze(1)
        rows, axis = (rows, 1) if self.axis is None else (x.detach(), self.axis)
        index = _largest(rows, self.top_k, axis)
        if self.axis is not None and self.values:
            return rows.gather(axis, index)
        # bfloat16 could not distinguish places above 256
        place = index.to(torch.promote_types(x.dtype, torch.float32))
        if self.axis is not None:
            return place
        found = (
            torch.stack((place, rows.gather(axis, index).to(place.dtype)), 1)
            if self.values
            else place.unsqueeze(1)
        )
        # as many axes as the input, 3 at least
        return found.reshape(*found.shape, *[1] * (x.dim() - 3))


def _largest(x: Tensor, count: int, axis: int) -> Tensor:
    """The places of the largest values along an axis; of equal ones the last comes first."""
    is_traced = (
        torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    )
    if 1 < count < x.shape[axis] and not is_traced:
        values, places = x.topk(count + 1, axis)
        # the order of equals is any here
        if (values.narrow(axis, 0, count) > values.narrow(axis, 1, count)).all():
            return places.narrow(axis, 0, count)
    # both ways to look keep the first of equals, so that they find the last
    last, last_first = x.shape[axis] - 1, x.flip(axis)
    if count == 1:  # max takes two thirds of argmax's time
        return last - last_first.max(axis, keepdim=True).indices
    return last - last_first.argsort(stable=True, dim=axis, descending=True).narrow(axis, 0, count)


def row_index(
    values: Tensor,
    rows: int,
    label: str,
    name: str,
    span: Span | None,
    drops_fractions: bool = False,
) -> Tensor:
    """A blob's values as whole numbers, by which rows are taken.

    Args: drops_fractions: whether -0.5 is row 0; else it is none.

    Raises: NetspecError for a number that no row has (on the CPU; a GPU's own check ends the run
        there).
    """
    values = values.detach()
    if not torch.compiler.is_compiling() and values.device.type == "cpu":
        low, high = (v.item() for v in torch.aminmax(values)) if values.numel() else (0, -1)
        is_least = low > -1 if drops_fractions else low >= 0
        if not (is_least and high < rows):  # NaN is no number of a row either
            values = values.trunc() if drops_fractions else values
            bad = ~((values >= 0) & (values < rows))
            place = bad.nonzero()[0].tolist()
            where = f"'{name}'[{', '.join(map(str, place))}]" if place else f"'{name}'"
            held = f"rows 0 to {rows - 1}" if rows else "no rows"
            raise NetspecError(
                f"{label}: {where} is {values[tuple(place)].item():g}, but there are {held}", span
            )
    return values.long()


class BatchReindex(LayerModule):
    """The items of its first input that the second one lists.

    The gradients of one that stands there twice are summed.
    """

    def __init__(self, label: str, name: str, span: Span | None = None) -> None:
        super().__init__()
        self.label, self.name, self.span = label, name, span

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        return x.index_select(0, row_index(index, x.shape[0], self.label, self.name, self.span))


class Filter(LayerModule):
    """The items at which the selector, the last input, is not 0.

    How many these are depends on the data.
    """

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        *bottoms, selector = inputs
        index = selector.detach().reshape(-1).nonzero().squeeze(1)
        tops = tuple(x.index_select(0, index) for x in bottoms)
        return tops if len(tops) > 1 else tops[0]


def build_argmax(layer: Layer) -> nn.Module:
    p = layer.message.argmax_param
    return ArgMax(
        p.top_k,
        p.axis % len(layer.bottom_blobs[0].shape or ()) if p.HasField("axis") else None,
        p.out_max_val,
    )


def build_batch_reindex(layer: Layer) -> nn.Module:
    return BatchReindex(layer.label, layer.bottoms[1], layer.spans.at("bottom", 1))


BUILDERS = {
    "ArgMax": Builder(build_argmax),
    "BatchReindex": Builder(build_batch_reindex),
    "Filter": Builder(lambda layer: Filter()),
}
