"""Element-wise arithmetic between blobs, with learned factors, and sums over axes."""

from __future__ import annotations

import numpy as np

from netspec.exporters.onnx_graph import OnnxGraph
from netspec.schema.caffe_pb2 import EltwiseParameter, ReductionParameter


def emit_eltwise(graph: OnnxGraph) -> None:
    p = graph.layer.field("eltwise_param")
    if p.operation == EltwiseParameter.MAX:
        graph.node("Max", graph.bottoms, graph.tops[0])
        return
    op, values = ("Mul" if p.operation == EltwiseParameter.PROD else "Add"), list(graph.bottoms)
    for i, factor in enumerate(p.coeff if op == "Add" else ()):
        if factor != 1:
            values[i] = graph.node("Mul", [values[i], graph.constant(factor, f"coeff{i}")])
    total = values[0]
    for i, value in enumerate(values[1:], 2):
        total = graph.node(op, [total, value], graph.tops[0] if i == len(values) else None)


def _spread(graph: OnnxGraph, i: int, axis: int) -> str:
    """Param i, or the second bottom in place of the first, broadcasting from `axis` on."""
    axes, has_bottom = len(graph.layer.bottom_blobs[0].shape or ()), len(graph.bottoms) > 1
    if has_bottom and i == 0:
        shape = graph.layer.bottom_blobs[1].shape or ()
        behind = axes - axis % axes - len(shape)
        if not shape or behind <= 0:
            return graph.bottoms[1]
        dims = graph.sizes(*[0] * len(shape), *[1] * behind)
        return graph.node("Reshape", [graph.bottoms[1], dims])
    value = np.asarray(graph.params[i - has_bottom])
    behind = axes - axis % axes - value.ndim
    return graph.constant(
        value.reshape(*value.shape, *[1] * behind) if value.ndim else value, str(i)
    )


def emit_scale(graph: OnnxGraph) -> None:
    p = graph.layer.field("scale_param")
    factor = _spread(graph, 0, p.axis)
    product = graph.node("Mul", [graph.bottoms[0], factor], None if p.bias_term else graph.tops[0])
    if p.bias_term:
        graph.node("Add", [product, _spread(graph, 1, p.axis)], graph.tops[0])


def emit_bias(graph: OnnxGraph) -> None:
    bias = _spread(graph, 0, graph.layer.field("bias_param").axis)
    graph.node("Add", [graph.bottoms[0], bias], graph.tops[0])


def emit_reduction(graph: OnnxGraph) -> None:
    p, axes = graph.layer.field("reduction_param"), len(graph.layer.bottom_blobs[0].shape or ())
    ops = {
        ReductionParameter.SUM: "ReduceSum",
        ReductionParameter.ASUM: "ReduceL1",
        ReductionParameter.SUMSQ: "ReduceSumSquare",
        ReductionParameter.MEAN: "ReduceMean",
    }
    along = graph.sizes(*range(p.axis % axes, axes))
    made = None if p.coeff != 1 else graph.tops[0]
    total = graph.node(ops[p.operation], [graph.bottoms[0], along], made, keepdims=0)
    if p.coeff != 1:
        graph.node("Mul", [total, graph.constant(p.coeff, "coeff")], graph.tops[0])


EMITTERS = {
    "Eltwise": emit_eltwise,
    "Scale": emit_scale,
    "Bias": emit_bias,
    "Reduction": emit_reduction,
}
