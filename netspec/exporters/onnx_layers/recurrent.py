"""LSTM and RNN as a Scan over the steps, which takes Caffe's continuation flags.

An exported net begins at states of 0: what netspec's module carries from one pass to the next is no
part of it. With `expose_hidden` the states are inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netspec.exporters.onnx_graph import OnnxGraph


def emit_recurrent(graph: OnnxGraph) -> None:
    exposes = graph.layer.field("recurrent_param").expose_hidden
    states = 2 if graph.layer.type == "LSTM" else 1
    has_static = len(graph.bottoms) - 2 - states * exposes > 0
    given = list(graph.bottoms[-states:]) if exposes else []
    names = [graph.constant(np.transpose(value), str(i)) for i, value in enumerate(graph.params)]
    x = graph.node("Reshape", [graph.bottoms[0], graph.sizes(0, 0, -1)])
    inputs = graph.node("Add", [graph.node("MatMul", [x, names[0]]), names[1]])
    if has_static:
        static = graph.node("Flatten", [graph.bottoms[2]], axis=1)
        inputs = graph.node("Add", [inputs, graph.node("MatMul", [static, names[2]])])
    flags = graph.node("Unsqueeze", [graph.bottoms[1], graph.sizes(2)])
    rest = names[3 if has_static else 2 :]
    hidden = graph.params[3 if has_static else 2].shape[1]
    if given:
        starts = [graph.node("Squeeze", [state, graph.sizes(0)]) for state in given]
    else:
        starts = [_zeros(graph, inputs, hidden)] * states
    last = [f"{graph.tops[0]}/last{i}" for i in range(states)]
    body = _lstm_step(graph, rest) if graph.layer.type == "LSTM" else _rnn_step(graph, rest)
    graph.node(
        "Scan", [*starts, inputs, flags], [*last, graph.tops[0]], body=body, num_scan_inputs=2
    )
    for state, top in zip(last, graph.tops[1:], strict=False):
        graph.node("Unsqueeze", [state, graph.sizes(0)], top)


def emit_lstm_unit(graph: OnnxGraph) -> None:
    flags = graph.node("Unsqueeze", [graph.bottoms[2], graph.sizes(2)])
    _cell(graph, graph.bottoms[0], graph.bottoms[1], flags, 2, graph.tops[0], graph.tops[1])


def _zeros(graph: OnnxGraph, inputs: str, hidden: int) -> str:
    """States of 0 for as many streams as there are."""
    streams = graph.node("Shape", [inputs], start=1, end=2)
    shape = graph.node("Concat", [streams, graph.sizes(hidden)], axis=0)
    return graph.node("Expand", [graph.constant([0], "zero"), shape])


def _cell(
    graph: OnnxGraph, cell: str, gates: str, flags: str, axis: int, new: str, hidden: str
) -> None:
    """c = f·cont·c + i·g, h = o·tanh(c), with the gates' inputs in the order i, f, o, g."""
    parts = [f"{new}/{gate}" for gate in "ifog"]
    graph.node("Split", [gates], parts, axis=axis, num_outputs=4)
    i, f, o = (graph.node("Sigmoid", [part]) for part in parts[:3])
    kept = graph.node("Mul", [graph.node("Mul", [f, flags]), cell])
    graph.node("Add", [kept, graph.node("Mul", [i, graph.node("Tanh", [parts[3]])])], new)
    graph.node("Mul", [o, graph.node("Tanh", [new])], hidden)


def _lstm_step(graph: OnnxGraph, weights: Sequence[str]) -> Any:
    step = graph.inner()
    h, c, inputs, flags = (f"{step.stem}/{name}" for name in ("h", "c", "inputs", "cont"))
    kept = step.node("Mul", [h, flags])
    gates = step.node("Add", [step.node("MatMul", [kept, weights[0]]), inputs])
    new_c, new_h = f"{step.stem}/new_c", f"{step.stem}/new_h"
    _cell(step, c, gates, flags, 1, new_c, new_h)
    out = step.node("Identity", [new_h])
    return step.body([h, c, inputs, flags], [new_h, new_c, out])


def _rnn_step(graph: OnnxGraph, weights: Sequence[str]) -> Any:
    step = graph.inner()
    h, inputs, flags = (f"{step.stem}/{name}" for name in ("h", "inputs", "cont"))
    kept = step.node("Mul", [h, flags])
    sums = step.node("Add", [step.node("MatMul", [kept, weights[0]]), inputs])
    new_h = step.node("Tanh", [sums])
    product = step.node("MatMul", [new_h, weights[1]])
    out = step.node("Tanh", [step.node("Add", [product, weights[2]])])
    return step.body([h, inputs, flags], [new_h, out])


EMITTERS = {"LSTM": emit_recurrent, "RNN": emit_recurrent, "LSTMUnit": emit_lstm_unit}
