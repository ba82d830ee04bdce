"""SSD's layers up to its boxes, whose number depends on the data."""

from __future__ import annotations

from math import prod

import numpy as np

from netspec.exporters.onnx_graph import OnnxGraph
from netspec.layers.detection import axes_in_order


def emit_permute(graph: OnnxGraph) -> None:
    axes = len(graph.layer.bottom_blobs[0].shape or ())
    order = graph.layer.field("permute_param").order
    graph.node("Transpose", [graph.bottoms[0]], graph.tops[0], perm=axes_in_order(order, axes))


def emit_normalize(graph: OnnxGraph) -> None:
    p, bottom = graph.layer.field("norm_param"), graph.layer.bottom_blobs[0].shape or ()
    x = graph.bottoms[0]
    along = graph.sizes(*(range(1, len(bottom)) if p.across_spatial else (1,)))
    squares = graph.node("ReduceSumSquare", [x, along])
    norm = graph.node("Sqrt", [graph.node("Add", [squares, graph.constant(p.eps, "eps")])])
    scale = np.asarray(graph.params[0])
    shape = (1,) if prod(scale.shape) == 1 else (-1, *[1] * (len(bottom) - 2))
    factor = graph.constant(scale.reshape(shape), "0")
    graph.node("Mul", [graph.node("Div", [x, norm]), factor], graph.tops[0])


EMITTERS = {"Permute": emit_permute, "Normalize (ssd)": emit_normalize}
