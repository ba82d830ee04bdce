"""Normalisation: LRN is ONNX's own, BatchNorm with stored statistics too."""

from __future__ import annotations

import numpy as np

from netspec.exporters.not_exported import not_exported
from netspec.exporters.onnx_graph import OnnxGraph
from netspec.schema.caffe_pb2 import LRNParameter


def emit_lrn(graph: OnnxGraph) -> None:
    p = graph.layer.field("lrn_param")
    if p.norm_region == LRNParameter.ACROSS_CHANNELS:
        settings = {"alpha": p.alpha, "beta": p.beta, "bias": p.k, "size": p.local_size}
        graph.node("LRN", [graph.bottoms[0]], graph.tops[0], **settings)
        return
    # within a channel: Caffe's AVE pooling of the squares, whose divisor counts the pad; k is 1
    places = {"kernel_shape": [p.local_size] * 2, "pads": [p.local_size // 2] * 4}
    square = graph.node("Mul", [graph.bottoms[0], graph.bottoms[0]])
    mean = graph.node("AveragePool", [square], count_include_pad=1, **places)
    scaled = graph.node("Mul", [mean, graph.constant(p.alpha, "alpha")])
    factor = graph.node(
        "Pow",
        [graph.node("Add", [scaled, graph.constant(1, "one")]), graph.constant(-p.beta, "beta")],
    )
    graph.node("Mul", [graph.bottoms[0], factor], graph.tops[0])


def emit_batch_norm(graph: OnnxGraph) -> None:
    p = graph.layer.field("batch_norm_param")
    if not (p.use_global_stats if p.HasField("use_global_stats") else graph.layer.phase == "TEST"):
        reason = "it normalises by the batch's own statistics"
        raise not_exported(graph.layer, reason, "batch_norm_param", "use_global_stats")
    mean, variance, count = (np.asarray(value, np.float64) for value in graph.params)
    factor = 0.0 if not count.reshape(-1)[0] else 1 / count.reshape(-1)[0]
    ones = np.ones_like(mean)
    names = [
        graph.constant(value, what, is_statistic=True)
        for value, what in (
            (ones, "scale"),
            (0 * ones, "bias"),
            (mean * factor, "mean"),
            (variance * factor, "variance"),
        )
    ]
    x = graph.bottoms[0]
    axes = len(graph.layer.bottom_blobs[0].shape or ())
    if axes == 1:
        x = graph.node("Reshape", [x, graph.sizes(-1, 1)])
    y = graph.node(
        "BatchNormalization", [x, *names], None if axes == 1 else graph.tops[0], epsilon=p.eps
    )
    if axes == 1:
        graph.node("Reshape", [y, graph.sizes(-1)], graph.tops[0])


def emit_mvn(graph: OnnxGraph) -> None:
    p, bottom = graph.layer.field("mvn_param"), graph.layer.bottom_blobs[0].shape or ()
    x = graph.bottoms[0]
    if len(bottom) < 4:
        x = graph.node("Reshape", [x, graph.sizes(*[0] * len(bottom), *[1] * (4 - len(bottom)))])
    along = graph.sizes(*([1, 2, 3] if p.across_channels else [2, 3]))
    centred = graph.node(
        "Sub",
        [x, graph.node("ReduceMean", [x, along])],
        None if p.normalize_variance else graph.tops[0],
    )
    if p.normalize_variance:
        square = graph.node("Mul", [centred, centred])
        deviation = graph.node("Sqrt", [graph.node("ReduceMean", [square, along])])
        divisor = graph.node("Add", [deviation, graph.constant(p.eps, "eps")])
        graph.node("Div", [centred, divisor], graph.tops[0])


EMITTERS = {"LRN": emit_lrn, "BatchNorm": emit_batch_norm, "MVN": emit_mvn}
