"""Axes reversed and put in another order."""

from __future__ import annotations

from netspec.exporters.onnx_graph import OnnxGraph


def emit_reverse(graph: OnnxGraph) -> None:
    bottom = graph.layer.bottom_blobs[0].shape or ()
    axis = graph.layer.field("reverse_param").axis % len(bottom)
    _reversed(graph, [axis])


def emit_flip(graph: OnnxGraph) -> None:
    p = graph.layer.field("flip_param")
    _reversed(graph, [axis for axis, flips in ((2, p.flip_height), (3, p.flip_width)) if flips])


def _reversed(graph: OnnxGraph, axes: list[int]) -> None:
    bottom = graph.layer.bottom_blobs[0].shape or ()
    if not axes:
        graph.node("Identity", [graph.bottoms[0]], graph.tops[0])
        return
    ends = [-bottom[axis] - 1 for axis in axes]
    bounds = [graph.sizes(*values) for values in ([-1] * len(axes), ends, axes, [-1] * len(axes))]
    graph.node("Slice", [graph.bottoms[0], *bounds], graph.tops[0])


def emit_transpose(graph: OnnxGraph) -> None:
    order = list(graph.layer.field("transpose_param").dim)
    graph.node("Transpose", [graph.bottoms[0]], graph.tops[0], perm=order)


EMITTERS = {"Reverse": emit_reverse, "Flip": emit_flip, "Transpose": emit_transpose}
