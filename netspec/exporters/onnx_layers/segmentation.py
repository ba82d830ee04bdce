"""Planes in other sizes, and the forks' one-layer batch normalisation with stored statistics."""

from __future__ import annotations

import numpy as np

from netspec.exporters.not_exported import not_exported
from netspec.exporters.onnx_graph import OnnxGraph
from netspec.layers.segmentation import interpolation_of


def emit_interp(graph: OnnxGraph) -> None:
    rule = interpolation_of(graph.layer.field("interp_param"))
    rows, columns = (graph.layer.bottom_blobs[0].shape or ())[2:]
    x = graph.bottoms[0]
    if rule.begin or rule.end:
        starts = graph.sizes(rule.begin, rule.begin)
        ends = graph.sizes(rows - rule.end, columns - rule.end)
        x = graph.node("Slice", [x, starts, ends, graph.sizes(2, 3)])
    out = (graph.layer.top_blobs[0].shape or ())[2:]
    _resize(graph, x, out, mode="linear", coordinate_transformation_mode="align_corners")


def emit_upsample(graph: OnnxGraph) -> None:
    out = (graph.layer.top_blobs[0].shape or ())[2:]
    settings = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    _resize(graph, graph.bottoms[0], out, mode="nearest", **settings)


def _resize(graph: OnnxGraph, x: str, out: tuple[int, ...], **settings: str) -> None:
    """Each plane in another size; the first two axes stay."""
    nothing = ""  # the places of regions and factors, which sizes stand in for
    sizes = graph.sizes(*out)
    graph.node("Resize", [x, nothing, nothing, sizes], graph.tops[0], axes=[2, 3], **settings)


def emit_segnet_bn(graph: OnnxGraph) -> None:
    p = graph.layer.field("bn_param")
    if p.BNMode.Name(p.bn_mode) == "LEARN":
        reason = "it normalises by the batch's own statistics"
        raise not_exported(graph.layer, reason, "bn_param", "bn_mode")
    scale, shift = (graph.constant(value, str(i)) for i, value in enumerate(graph.params))
    graph.node("Add", [graph.node("Mul", [graph.bottoms[0], scale]), shift], graph.tops[0])


def emit_pspnet_bn(graph: OnnxGraph) -> None:
    p = graph.layer.field("bn_param")
    if graph.layer.phase == "TRAIN" and not p.frozen:
        raise not_exported(graph.layer, "it normalises by the batch's own statistics")
    values = [np.asarray(value).reshape(-1) for value in graph.params]
    names = [graph.constant(value, str(i)) for i, value in enumerate(values)]
    graph.node("BatchNormalization", [graph.bottoms[0], *names], graph.tops[0], epsilon=p.eps)


EMITTERS = {
    "Interp": emit_interp,
    "Upsample (yolo)": emit_upsample,
    "BN (segnet)": emit_segnet_bn,
    "BN (pspnet)": emit_pspnet_bn,
}
