"""Activations."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np

from netspec.exporters.onnx_graph import OnnxGraph
from netspec.graph import Layer


def _one(
    op: str, settings: Callable[[Layer], dict[str, Any]] = lambda layer: {}
) -> Callable[[OnnxGraph], None]:
    """An emitter of a single node."""

    def emit(graph: OnnxGraph) -> None:
        graph.node(op, [graph.bottoms[0]], graph.tops[0], **settings(graph.layer))

    return emit


def emit_relu(graph: OnnxGraph) -> None:
    slope = graph.layer.field("relu_param").negative_slope
    if slope:
        graph.node("LeakyRelu", [graph.bottoms[0]], graph.tops[0], alpha=slope)
    else:
        graph.node("Relu", [graph.bottoms[0]], graph.tops[0])


def emit_prelu(graph: OnnxGraph) -> None:
    axes = len(graph.layer.bottom_blobs[0].shape or ())
    slope = np.asarray(graph.params[0]).reshape(-1, *[1] * (axes - 2))
    graph.node("PRelu", [graph.bottoms[0], graph.constant(slope, "0")], graph.tops[0])


def emit_clip(graph: OnnxGraph) -> None:
    p = graph.layer.field("clip_param")
    above = graph.node("Max", [graph.bottoms[0], graph.constant(p.min, "min")])
    graph.node("Min", [above, graph.constant(p.max, "max")], graph.tops[0])


def _affine(graph: OnnxGraph, x: str, scale: float, shift: float) -> str:
    """shift + scale · x, without what does nothing."""
    if scale != 1:
        x = graph.node("Mul", [x, graph.constant(scale, "scale")])
    return graph.node("Add", [x, graph.constant(shift, "shift")]) if shift else x


def emit_exp(graph: OnnxGraph) -> None:
    p = graph.layer.field("exp_param")
    rate = 1.0 if p.base == -1 else log(p.base)
    graph.node(
        "Exp", [_affine(graph, graph.bottoms[0], p.scale * rate, p.shift * rate)], graph.tops[0]
    )


def emit_log(graph: OnnxGraph) -> None:
    p = graph.layer.field("log_param")
    inner = _affine(graph, graph.bottoms[0], p.scale, p.shift)
    if p.base == -1:
        graph.node("Log", [inner], graph.tops[0])
    else:
        graph.node(
            "Mul",
            [graph.node("Log", [inner]), graph.constant(1 / log(p.base), "rate")],
            graph.tops[0],
        )


def emit_power(graph: OnnxGraph) -> None:
    p = graph.layer.field("power_param")
    inner = _affine(graph, graph.bottoms[0], p.scale, p.shift)
    if p.power == 1:
        graph.node("Identity", [inner], graph.tops[0])
    else:
        graph.node("Pow", [inner, graph.constant(p.power, "power")], graph.tops[0])


def emit_swish(graph: OnnxGraph) -> None:
    inner = _affine(graph, graph.bottoms[0], graph.layer.field("swish_param").beta, 0)
    graph.node("Mul", [graph.bottoms[0], graph.node("Sigmoid", [inner])], graph.tops[0])


def emit_threshold(graph: OnnxGraph) -> None:
    limit = graph.constant(graph.layer.field("threshold_param").threshold, "threshold")
    graph.node("Cast", [graph.node("Greater", [graph.bottoms[0], limit])], graph.tops[0], to=1)


EMITTERS = {
    "AbsVal": _one("Abs"),
    "BNLL": _one("Softplus"),
    "Clip": emit_clip,
    "Dropout": _one("Identity"),
    "ELU": _one("Elu", lambda layer: {"alpha": layer.field("elu_param").alpha}),
    "Exp": emit_exp,
    "Log": emit_log,
    "PReLU": emit_prelu,
    "Power": emit_power,
    "ReLU": emit_relu,
    "Sigmoid": _one("Sigmoid"),
    "Softmax": _one("Softmax", lambda layer: {"axis": layer.field("softmax_param").axis}),
    "Swish": emit_swish,
    "TanH": _one("Tanh"),
    "Threshold": emit_threshold,
}
