"""Pooling with Caffe's sizes and divisors as MaxPool and AveragePool."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from netspec.exporters.not_exported import not_exported
from netspec.exporters.onnx_graph import OnnxGraph
from netspec.graph import Shape
from netspec.layers.pooling import pyramid_window
from netspec.layers.window import Window, window_of
from netspec.schema.caffe_pb2 import PoolingParameter, SPPParameter

_TINY = float(np.finfo(np.float32).tiny)


def emit_pooling(graph: OnnxGraph) -> None:
    p, sizes = graph.layer.field("pooling_param"), (graph.layer.bottom_blobs[0].shape or ())[2:]
    window = window_of(p, 2, sizes if p.global_pooling else None)
    out = (graph.layer.top_blobs[0].shape or ())[2:]
    _pool(graph, p.pool, window, sizes, out)


def _pool(graph: OnnxGraph, method: int, window: Window, sizes: Shape, out: Shape) -> None:
    """Pools to the size that Caffe gives the top: what its rounding adds becomes pad behind."""
    spans = [(n - 1) * window.stride[i] + window.kernel[i] for i, n in enumerate(out)]
    behind = [max(0, span - sizes[i] - window.pad[i]) for i, span in enumerate(spans)]
    if any(b >= k for b, k in zip(behind, window.kernel, strict=True)):
        raise not_exported(graph.layer, "its last window holds no value", "pooling_param", "stride")
    places: dict[str, Any] = {
        "kernel_shape": list(window.kernel),
        "strides": list(window.stride),
        "pads": [*window.pad, *behind],
    }
    bottom, top = graph.bottoms[0], graph.tops[0]
    if method == PoolingParameter.MAX:
        _max(graph, sizes, places)
    elif method == PoolingParameter.AVE:
        mean = graph.node("AveragePool", [bottom], count_include_pad=1, **places)
        factor = window.kernel[0] * window.kernel[1] / _counts(window, sizes, out)
        graph.node("Mul", [mean, graph.constant(factor, "factor")], top)
    else:  # in TEST, a stochastic pooling is the mean of the values weighted by themselves
        square = graph.node("Mul", [bottom, bottom])
        above = graph.node("AveragePool", [square], count_include_pad=1, **places)
        below = graph.node("AveragePool", [bottom], count_include_pad=1, **places)
        tiny = graph.constant(_TINY / (window.kernel[0] * window.kernel[1]), "tiny")
        graph.node("Div", [above, graph.node("Add", [below, tiny])], top)


def _max(graph: OnnxGraph, sizes: Shape, places: dict[str, Any]) -> None:
    """The maxima; a second top takes their places in the plane, which ONNX counts over the blob."""
    if len(graph.tops) == 1:
        graph.node("MaxPool", [graph.bottoms[0]], graph.tops[0], **places)
        return
    index = f"{graph.tops[1]}/index"
    graph.node("MaxPool", [graph.bottoms[0]], [graph.tops[0], index], **places)
    plane = graph.constant(sizes[0] * sizes[1], "plane", np.int64)
    graph.node("Cast", [graph.node("Mod", [index, plane])], graph.tops[1], to=1)


def _counts(window: Window, sizes: Shape, out: Shape) -> np.ndarray:
    """What Caffe divides each window's sum by: its cells up to the end of the pad."""
    along = []
    for i, places in enumerate(out):
        start = np.arange(places) * window.stride[i] - window.pad[i]
        end = np.minimum(start + window.kernel[i], sizes[i] + window.pad[i])
        along.append((end - start).astype(np.float64))
    return reduce(np.multiply.outer, along)


def emit_spp(graph: OnnxGraph) -> None:
    p, sizes = graph.layer.field("spp_param"), (graph.layer.bottom_blobs[0].shape or ())[2:]
    if p.pool == SPPParameter.STOCHASTIC:
        raise not_exported(graph.layer, "Caffe draws its values in TEST, too", "spp_param", "pool")
    grids = []
    for level in range(p.pyramid_height):
        (height, above), (width, left) = (pyramid_window(size, level) for size in sizes)
        cells = 2**level
        behind = [height * cells - sizes[0] - above, width * cells - sizes[1] - left]
        places = {"kernel_shape": [height, width], "strides": [height, width]}
        places["pads"] = [above, left, *behind]
        made = graph.tops[0] if p.pyramid_height == 1 else None
        if p.pool == SPPParameter.MAX:
            grids.append(graph.node("MaxPool", [graph.bottoms[0]], made, **places))
        else:
            grids.append(
                graph.node("AveragePool", [graph.bottoms[0]], made, count_include_pad=1, **places)
            )
    if p.pyramid_height > 1:
        rows = [graph.node("Flatten", [grid], axis=1) for grid in grids]
        graph.node("Concat", rows, graph.tops[0], axis=1)


EMITTERS = {"Pooling": emit_pooling, "SPP": emit_spp}
