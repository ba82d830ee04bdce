"""Layers that only arrange values."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from netspec.graph import Layer


class Concat(nn.Module):
    """Joins its bottoms along an axis."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def extra_repr(self) -> str:
        return f"axis={self.axis}"

    def forward(self, *bottoms: Tensor) -> Tensor:
        return torch.cat(bottoms, self.axis)


def build_concat(layer: Layer) -> nn.Module:
    p = layer.message.concat_param
    return Concat(p.concat_dim if p.HasField("concat_dim") else p.axis)


def build_flatten(layer: Layer) -> nn.Module:
    p = layer.message.flatten_param
    return nn.Flatten(p.axis, p.end_axis)


def emit_split(graph: fx.Graph, layer: Layer, target: str, bottoms: list[fx.Node]) -> list[fx.Node]:
    """Autograd sums the tops' gradients by itself."""
    return bottoms * len(layer.top_blobs)


BUILDERS = {"Concat": build_concat, "Flatten": build_flatten, "Split": lambda layer: None}
EMITTERS = {"Split": emit_split}
