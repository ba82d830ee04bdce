"""Dense layers as Gemm and MatMul; tables of vectors as Gather."""

from __future__ import annotations

import numpy as np

from netspec.exporters.onnx_graph import OnnxGraph


def emit_inner_product(graph: OnnxGraph) -> None:
    p, axes = graph.layer.field("inner_product_param"), len(graph.layer.bottom_blobs[0].shape or ())
    axis = p.axis % axes
    names = [graph.constant(value, str(i)) for i, value in enumerate(graph.params)]
    if axis == 1:
        rows = graph.bottoms[0] if axes == 2 else graph.node("Flatten", [graph.bottoms[0]], axis=1)
        graph.node("Gemm", [rows, *names], graph.tops[0], transB=int(not p.transpose))
        return
    weight = graph.params[0] if p.transpose else np.transpose(graph.params[0])
    rows = graph.node("Reshape", [graph.bottoms[0], graph.sizes(*[0] * axis, -1)])
    matrix = graph.constant(weight, "transposed")
    if axis == 0:  # one item: the top has the outputs alone
        row = graph.node("MatMul", [graph.node("Reshape", [rows, graph.sizes(1, -1)]), matrix])
        product = graph.node("Reshape", [row, graph.sizes(-1)])
    else:
        product = graph.node("MatMul", [rows, matrix])
    graph.node(
        *(("Add", [product, names[1]]) if len(names) > 1 else ("Identity", [product])),
        graph.tops[0],
    )


def emit_embed(graph: OnnxGraph) -> None:
    names = [graph.constant(value, str(i)) for i, value in enumerate(graph.params)]
    index = graph.node("Cast", [graph.bottoms[0]], to=7)  # the fraction is dropped
    rows = graph.node("Gather", [names[0], index], None if len(names) > 1 else graph.tops[0])
    if len(names) > 1:
        graph.node("Add", [rows, names[1]], graph.tops[0])


EMITTERS = {"InnerProduct": emit_inner_product, "Embed": emit_embed}
