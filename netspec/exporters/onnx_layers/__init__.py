"""What writes a layer as ONNX nodes, by the name of its spec.

The files are the families of netspec/layers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from netspec.exporters.onnx_graph import OnnxGraph

# Writes the nodes of the layer that the graph is at.
Emitter = Callable[[OnnxGraph], None]
_FAMILIES = (
    "convolution",
    "pooling",
    "inner_product",
    "normalization",
    "neuron",
    "shape",
    "arithmetic",
    "selection",
    "recurrent",
    "prior_box",
    "detection",
    "regions",
    "faster_rcnn",
    "mobile",
    "segmentation",
    "sequence",
)


@cache
def emitters() -> dict[str, Emitter]:
    """Every emitter by the name of the spec that it writes."""
    found: dict[str, Emitter] = {}
    for family in _FAMILIES:
        found |= import_module(f"{__name__}.{family}").EMITTERS
    return found
