"""A builder for each layer type: graph.Layer → torch.nn.Module. The files are those of netspec/layers."""

from __future__ import annotations

from collections.abc import Callable

from torch import fx, nn

from netspec.graph import Layer
from netspec.pytorch.layers import (
    arithmetic,
    convolution,
    data,
    inner_product,
    loss,
    neuron,
    normalization,
    pooling,
    python,
    recurrent,
    regression_loss,
    shape,
)

_FAMILIES = (data, convolution, pooling, inner_product, normalization, neuron, shape, arithmetic, loss, regression_loss, recurrent, python)

# A builder returns None where a layer computes nothing of its own (Dropout in TEST, Split).
BUILDERS: dict[str, Callable[[Layer], nn.Module | None]] = {}
# How a layer's call is written into the graph, where it is not `top = self.layer(bottoms…)`.
EMITTERS: dict[str, Callable[[fx.Graph, Layer, str, list[fx.Node]], fx.Node | list[fx.Node]]] = {}

for _family in _FAMILIES:
    BUILDERS.update(_family.BUILDERS)
    EMITTERS.update(getattr(_family, "EMITTERS", {}))


def emit_default(graph: fx.Graph, layer: Layer, target: str, bottoms: list[fx.Node]) -> fx.Node | list[fx.Node]:
    """One call with all bottoms; without a submodule every top is the bottom."""
    if not target:
        return [bottoms[0]] * len(layer.top_blobs)
    return graph.call_module(target, tuple(bottoms))
