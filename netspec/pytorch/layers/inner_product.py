"""Dense layers: torch.nn.Linear behind a flatten that the graph shows."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from netspec.graph import Layer


class TransposedLinear(nn.Module):
    """A dense layer whose weights are stored in × out."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


def build_inner_product(layer: Layer) -> nn.Module:
    p = layer.message.inner_product_param
    inputs, outputs = layer.params[0].shape if p.transpose else layer.params[0].shape[::-1]
    return (TransposedLinear if p.transpose else nn.Linear)(inputs, outputs, bias=p.bias_term)


def emit_inner_product(graph: fx.Graph, layer: Layer, target: str, bottoms: list[fx.Node]) -> fx.Node:
    axes = len(layer.bottom_blobs[0].shape or ())
    axis = layer.message.inner_product_param.axis % axes
    x = bottoms[0] if axis == axes - 1 else graph.call_function(torch.flatten, (bottoms[0], axis))
    return graph.call_module(target, (x,))


BUILDERS = {"InnerProduct": build_inner_product}
EMITTERS = {"InnerProduct": emit_inner_product}
