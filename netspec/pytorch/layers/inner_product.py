"""Dense layers: torch.nn.Linear behind a flatten that the graph shows. Tables of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.selection import row_index
from netspec.pytorch.layers.unfilled import unfilled

if TYPE_CHECKING:
    from netspec.diagnostics import Span


class TransposedLinear(LayerModule):
    """A dense layer whose weights are stored in × out."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


class Embed(LayerModule):
    """The row of the weights that each value names, its fraction dropped, and a bias.

    Shapes: x (…), out (…, num_output).
    """

    def __init__(
        self, rows: int, outputs: int, bias: bool, label: str, name: str, span: Span | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, outputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.label, self.name, self.span = label, name, span

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, bias={self.bias is not None}"

    def forward(self, x: Tensor) -> Tensor:
        rows = self.weight.shape[0]
        index = row_index(x, rows, self.label, self.name, self.span, drops_fractions=True)
        y = F.embedding(index, self.weight)
        return y if self.bias is None else y + self.bias


def build_inner_product(layer: Layer) -> nn.Module:
    p = layer.message.inner_product_param
    inputs, outputs = layer.params[0].shape if p.transpose else layer.params[0].shape[::-1]
    return unfilled(
        TransposedLinear if p.transpose else nn.Linear, inputs, outputs, bias=p.bias_term
    )


def build_embed(layer: Layer) -> nn.Module:
    p = layer.message.embed_param
    return Embed(
        p.input_dim,
        p.num_output,
        p.bias_term,
        layer.label,
        layer.bottoms[0],
        layer.spans.at("bottom", 0),
    )


def emit_inner_product(
    graph: fx.Graph, layer: Layer, target: str, bottoms: list[fx.Node]
) -> fx.Node:
    axes = len(layer.bottom_blobs[0].shape or ())
    axis = layer.message.inner_product_param.axis % axes
    x = bottoms[0] if axis == axes - 1 else graph.call_function(torch.flatten, (bottoms[0], axis))
    return graph.call_module(target, (x,))


BUILDERS = {
    "InnerProduct": Builder(build_inner_product, emit_inner_product, leaves_top=always),
    "Embed": Builder(build_embed),
}
