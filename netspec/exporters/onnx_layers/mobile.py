"""Small nets for mobile devices."""

from __future__ import annotations

from netspec.exporters.onnx_graph import OnnxGraph


def emit_shuffle_channel(graph: OnnxGraph) -> None:
    group = graph.layer.field("shuffle_channel_param").group
    bottom = graph.layer.bottom_blobs[0].shape or ()
    parts = graph.node("Reshape", [graph.bottoms[0], graph.sizes(0, group, bottom[1] // group, -1)])
    turned = graph.node("Transpose", [parts], perm=[0, 2, 1, 3])
    top = graph.layer.top_blobs[0].shape or ()
    graph.node("Reshape", [turned, graph.sizes(0, *top[1:])], graph.tops[0])


def emit_axpy(graph: OnnxGraph) -> None:
    scale, x, y = graph.bottoms
    behind = len(graph.layer.bottom_blobs[1].shape or ()) - 2
    factor = graph.node("Reshape", [scale, graph.sizes(0, 0, *[1] * behind)])
    graph.node("Add", [graph.node("Mul", [x, factor]), y], graph.tops[0])


def emit_relu6(graph: OnnxGraph) -> None:
    slope = graph.layer.field("relu6_param").negative_slope
    x = graph.bottoms[0]
    above = graph.node(
        *(("LeakyRelu", [x]) if slope else ("Relu", [x])), **({"alpha": slope} if slope else {})
    )
    graph.node("Min", [above, graph.constant(6, "six")], graph.tops[0])


def emit_hard_swish(graph: OnnxGraph) -> None:
    graph.node("HardSwish", [graph.bottoms[0]], graph.tops[0])


def emit_hard_sigmoid(graph: OnnxGraph) -> None:
    graph.node("HardSigmoid", [graph.bottoms[0]], graph.tops[0], alpha=0.2, beta=0.5)


def emit_mish(graph: OnnxGraph) -> None:
    graph.node("Mish", [graph.bottoms[0]], graph.tops[0])


EMITTERS = {
    "ShuffleChannel": emit_shuffle_channel,
    "Axpy": emit_axpy,
    "ReLU6": emit_relu6,
    "HardSwish": emit_hard_swish,
    "HardSigmoid": emit_hard_sigmoid,
    "Mish": emit_mish,
}
