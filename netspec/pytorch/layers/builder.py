"""How a layer type is lowered to PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from netspec.graph import Layer

# A call that is written into the graph where it is not `top = self.layer(bottoms…)`: graph, layer,
# name of the submodule, bottoms
Emit = Callable[[fx.Graph, Layer, str, list[fx.Node]], fx.Node | list[fx.Node]]
# Caffe's gradient where an in-place layer has written over the bottom or the top: the gradient of
# the top, the bottom as it was, what now stands in the bottom's and in the top's memory (in place
# the two are one tensor), the module → the gradient of the bottom
Gradient = Callable[[Tensor, Tensor, Tensor, Tensor, Any], Tensor]


def _never(layer: Layer) -> bool:
    return False


@dataclass(frozen=True)
class Builder:
    """What lowers a layer type.

    `build` gives the module, or None where a layer computes nothing of its own (Dropout in TEST,
    Split). `leaves_top` says whether torch's gradient of the layer does without its top, so that
    the next layer may write over it.
    """

    build: Callable[[Layer], nn.Module | None]
    emit: Emit | None = None
    gradient: Gradient | None = None
    leaves_top: Callable[[Layer], bool] = _never


def always(layer: Layer) -> bool:
    """For `leaves_top`: whatever the layer's settings are."""
    return True


def emit_default(
    graph: fx.Graph, layer: Layer, target: str, bottoms: list[fx.Node]
) -> fx.Node | list[fx.Node]:
    """One call with all bottoms; without a submodule every top is the bottom."""
    if not target:
        return [bottoms[0]] * len(layer.top_blobs)
    return graph.call_module(target, tuple(bottoms))
