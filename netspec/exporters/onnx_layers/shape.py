"""Layers that only arrange values."""

from __future__ import annotations

from netspec.exporters.onnx_graph import OnnxGraph
from netspec.layers.axes import offsets_of, replaced_axes, slice_sizes


def emit_concat(graph: OnnxGraph) -> None:
    p = graph.layer.field("concat_param")
    axis = p.concat_dim if p.HasField("concat_dim") else p.axis
    graph.node("Concat", graph.bottoms, graph.tops[0], axis=axis)


def emit_slice(graph: OnnxGraph) -> None:
    p, bottom = graph.layer.field("slice_param"), graph.layer.bottom_blobs[0].shape or ()
    axis = (p.slice_dim if p.HasField("slice_dim") else p.axis) % len(bottom)
    if len(graph.tops) == 1:
        graph.node("Identity", [graph.bottoms[0]], graph.tops[0])
        return
    parts = graph.sizes(*slice_sizes(bottom[axis], len(graph.tops), p.slice_point))
    graph.node("Split", [graph.bottoms[0], parts], graph.tops, axis=axis)


def emit_split(graph: OnnxGraph) -> None:
    for top in graph.tops:
        graph.node("Identity", [graph.bottoms[0]], top)


def emit_flatten(graph: OnnxGraph) -> None:
    p, bottom = graph.layer.field("flatten_param"), graph.layer.bottom_blobs[0].shape or ()
    start, end = p.axis % len(bottom), p.end_axis % len(bottom)
    if start == 1 and end == len(bottom) - 1:
        graph.node("Flatten", [graph.bottoms[0]], graph.tops[0], axis=1)
        return
    made = [1] if end < start else [-1]
    behind = bottom[max(end + 1, start) :]
    graph.node(
        "Reshape", [graph.bottoms[0], graph.sizes(*[0] * start, *made, *behind)], graph.tops[0]
    )


def emit_reshape(graph: OnnxGraph) -> None:
    p, bottom = graph.layer.field("reshape_param"), graph.layer.bottom_blobs[0].shape or ()
    start, end = replaced_axes(len(bottom), p.axis, p.num_axes)
    # a 0 copies the axis at its own place, in Caffe as in ONNX
    dims = [*[0] * start, *p.shape.dim, *bottom[end:]]
    graph.node("Reshape", [graph.bottoms[0], graph.sizes(*dims)], graph.tops[0])


def emit_tile(graph: OnnxGraph) -> None:
    p, axes = graph.layer.field("tile_param"), len(graph.layer.bottom_blobs[0].shape or ())
    times = [1] * axes
    times[p.axis % axes] = p.tiles
    graph.node("Tile", [graph.bottoms[0], graph.sizes(*times)], graph.tops[0])


def emit_crop(graph: OnnxGraph) -> None:
    p, axes = graph.layer.field("crop_param"), len(graph.layer.bottom_blobs[0].shape or ())
    axis, top = p.axis % axes, graph.layer.top_blobs[0].shape or ()
    starts = offsets_of(p.offset, axes - axis)
    ends = [start + top[axis + i] for i, start in enumerate(starts)]
    bounds = [graph.sizes(*values) for values in (starts, ends, range(axis, axes))]
    graph.node("Slice", [graph.bottoms[0], *bounds], graph.tops[0])


def emit_parameter(graph: OnnxGraph) -> None:
    graph.node("Identity", [graph.constant(graph.params[0], "0")], graph.tops[0])


EMITTERS = {
    "Concat": emit_concat,
    "Slice": emit_slice,
    "Split": emit_split,
    "Flatten": emit_flatten,
    "Reshape": emit_reshape,
    "Tile": emit_tile,
    "Crop": emit_crop,
    "Parameter": emit_parameter,
}
