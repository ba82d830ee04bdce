"""Convolution as Conv and ConvTranspose."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.exporters.not_exported import not_exported
from netspec.exporters.onnx_graph import OnnxGraph
from netspec.layers.window import Window, window_of


def emit_convolution(graph: OnnxGraph) -> None:
    p, bottom = graph.layer.field("convolution_param"), graph.layer.bottom_blobs[0].shape or ()
    axes = len(bottom) - 2
    window = window_of(p, axes)
    if p.axis % len(bottom) != 1 or axes < 1:
        raise not_exported(
            graph.layer, "ONNX convolves from axis 2 on", "convolution_param", "axis"
        )
    if 0 in window.dilation:
        raise not_exported(
            graph.layer, "ONNX has no dilation of 0", "convolution_param", "dilation"
        )
    names = [graph.constant(value, str(i)) for i, value in enumerate(graph.params)]
    for bottom_name, top in zip(graph.bottoms, graph.tops, strict=True):
        if graph.layer.type == "Deconvolution":
            op, pads = "ConvTranspose", [*window.pad, *window.pad]
        else:
            op, pads = "Conv", _pads(window, bottom[2:])
        graph.node(
            op,
            [bottom_name, *names],
            top,
            kernel_shape=list(window.kernel),
            strides=list(window.stride),
            dilations=list(window.dilation),
            pads=pads,
            group=graph.layer.params[0].shape[0]
            if graph.layer.type == "ConvolutionDepthwise"
            else p.group,
        )


def _pads(window: Window, sizes: Sequence[int]) -> list[int]:
    """The pads before and behind each axis, with the zeros that Caffe's one place needs."""
    behind = [pad + window.overhang(sizes[i], i) for i, pad in enumerate(window.pad)]
    return [*window.pad, *behind]


EMITTERS = dict.fromkeys(
    ("Convolution", "Deconvolution", "DepthwiseConvolution", "ConvolutionDepthwise"),
    emit_convolution,
)
