"""Layers that pick values or items."""

from __future__ import annotations

import numpy as np

from netspec.exporters.onnx_graph import OnnxGraph


def emit_arg_max(graph: OnnxGraph) -> None:
    p, bottom = graph.layer.field("argmax_param"), graph.layer.bottom_blobs[0].shape or ()
    has_axis = p.HasField("axis")
    axis = p.axis % len(bottom) if has_axis else 1
    rows = graph.bottoms[0] if has_axis else graph.node("Flatten", [graph.bottoms[0]], axis=1)
    size = bottom[axis] if has_axis else int(np.prod(bottom[1:]))
    # of equal values Caffe's first is the last: the axis is read backwards
    bounds = [graph.sizes(value) for value in (-1, -size - 1, axis, -1)]
    backwards = graph.node("Slice", [rows, *bounds])
    values, places = f"{graph.tops[0]}/values", f"{graph.tops[0]}/places"
    graph.node("TopK", [backwards, graph.sizes(p.top_k)], [values, places], axis=axis)
    if has_axis and p.out_max_val:
        graph.node("Identity", [values], graph.tops[0])
        return
    last = graph.constant(size - 1, "last", np.int64)
    index = graph.node("Sub", [last, places])
    if has_axis:
        graph.node("Cast", [index], graph.tops[0], to=1)
        return
    found = graph.node("Unsqueeze", [graph.node("Cast", [index], to=1), graph.sizes(1)])
    if p.out_max_val:
        found = graph.node(
            "Concat", [found, graph.node("Unsqueeze", [values, graph.sizes(1)])], axis=1
        )
    top = graph.layer.top_blobs[0].shape or ()
    graph.node("Reshape", [found, graph.sizes(0, *top[1:])], graph.tops[0])


def emit_batch_reindex(graph: OnnxGraph) -> None:
    index = graph.node("Cast", [graph.bottoms[1]], to=7)
    graph.node("Gather", [graph.bottoms[0], index], graph.tops[0], axis=0)


def emit_filter(graph: OnnxGraph) -> None:
    kept = graph.node("Reshape", [graph.node("Cast", [graph.bottoms[-1]], to=9), graph.sizes(-1)])
    for bottom, top in zip(graph.bottoms[:-1], graph.tops, strict=True):
        graph.node("Compress", [bottom, kept], top, axis=0)


EMITTERS = {"ArgMax": emit_arg_max, "BatchReindex": emit_batch_reindex, "Filter": emit_filter}
