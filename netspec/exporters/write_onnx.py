"""A net and its weights as an ONNX model, made from the IR: a node a layer where ONNX has one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from netspec.exporters.image_input import ImageInput, emit_image, image_type
from netspec.exporters.not_exported import not_exported
from netspec.exporters.onnx_graph import FLOAT, OnnxGraph
from netspec.exporters.onnx_layers import emitters
from netspec.graph import Blob, Layer, Net, Shape
from netspec.layers import find_spec

_NO_VALUE = ("Silence",)  # types that make nothing


def onnx_model(
    net: Net,
    params: Sequence[Sequence[np.ndarray]],
    outputs: Sequence[str] | None = None,
    halves: Collection[Layer] = (),
    image: ImageInput | None = None,
) -> Any:
    """The model of a net.

    Args:
        net: with every shape known. The first axis of its inputs is dynamic where all have the
            same.
        params: the values of each layer's params, in the net's order.
        outputs: the blobs that the model gives; None is the net's own.
        halves: the layers that compute in half precision. Inputs and outputs are in single.
        image: the pictures that take the place of the net's one input.

    Raises: NetspecError for a layer that ONNX has no way to compute.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = OnnxGraph(net)
    names = list(net.outputs if outputs is None else outputs)
    layers = _leading_to(net, names)
    kept, given = frozenset(layers), frozenset(names)
    if image is not None:
        emit_image(graph, image)
    for layer, values in zip(net.layers, params, strict=True):
        if layer in kept:
            graph.is_half = layer in halves
            _emit(graph, layer, values, given)
    batch = _batch_size(net, layers)
    inputs = [blob for layer in layers if _is_source(layer) for blob in layer.top_blobs]
    ends = {
        name: helper.make_tensor_value_info(
            name, TensorProto.FLOAT, graph.dims.get(name) or _dims(blob.shape or (), batch)
        )
        for name, blob in [(b.name, b) for b in inputs] + [(n, net.blob(n)) for n in names]
    }
    starts = [ends[blob.name] for blob in inputs]
    if image is not None:
        kind, sizes = image_type(image)
        starts = [helper.make_tensor_value_info(image.name, kind, ["N", *sizes])]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            net.name or "net",
            starts,
            [ends[name] for name in names],
            [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", graph.opset)],
        producer_name="netspec",
    )
    model.ir_version = 10
    return model


def _emit(
    graph: OnnxGraph, layer: Layer, params: Sequence[np.ndarray], outputs: Collection[str]
) -> None:
    if _is_source(layer) or layer.type in _NO_VALUE:
        return
    if layer.not_computed:
        raise not_exported(layer, layer.not_computed[0].message)
    emit = emitters().get(layer.spec_name)
    if emit is None:
        raise not_exported(layer, "ONNX has no operator for it", hint=_hint(layer))
    graph.layer, graph.params = layer, params
    graph.bottoms = [
        _read(graph, blob, writes)
        for blob, writes in zip(layer.bottom_blobs, layer.bottom_writes, strict=True)
    ]
    tops = [graph.net.value_name(blob) for blob in layer.top_blobs]
    graph.tops = graph.write(tops, outputs)
    if any(name in graph.dims for name in graph.bottoms):
        for name, blob in zip(tops, layer.top_blobs, strict=True):
            graph.dims[name] = ["rows", *(blob.shape or ())[1:]]
    emit(graph)
    for top, made in zip(tops, graph.tops, strict=True):
        if top != made:
            graph.node("Cast", [made], top, to=FLOAT)


def _hint(layer: Layer) -> str | None:
    spec = find_spec(layer.spec_name)
    if spec is not None and (spec.is_loss or spec.is_metric):
        return "export a deploy net, or --outputs with a blob before it"
    return "--outputs with a blob before it leaves it out"


def _read(graph: OnnxGraph, blob: Blob, writes: int) -> str:
    """The value that a layer reads as a bottom: what was last written to the blob's memory."""
    other = blob.overwritten_by(writes)
    name = graph.read(graph.net.value_name(other or blob))
    if other is None:
        return name
    if other.shape == blob.shape or not blob.shape:
        return name
    return graph.node("Reshape", [name, graph.sizes(-1, *blob.shape[1:])])


def _leading_to(net: Net, outputs: Sequence[str]) -> list[Layer]:
    needed = {net.blob(name) for name in outputs}
    kept = []
    for layer in reversed(net.layers):
        if any(blob in needed for blob in layer.top_blobs):
            kept.append(layer)
            for blob, writes in zip(layer.bottom_blobs, layer.bottom_writes, strict=True):
                needed.add(blob.overwritten_by(writes) or blob)
    return kept[::-1]


def _is_source(layer: Layer) -> bool:
    spec = find_spec(layer.spec_name)
    return spec is not None and spec.is_source


def _batch_size(net: Net, layers: Sequence[Layer]) -> int | None:
    """The size of the first axis that the inputs share; None where they do not."""
    firsts = {
        (b.shape or (0,))[0] for layer in layers if _is_source(layer) for b in layer.top_blobs
    }
    return firsts.pop() if len(firsts) == 1 else None


def _dims(shape: Shape, batch: int | None) -> list[int | str]:
    return ["N" if i == 0 and dim == batch else dim for i, dim in enumerate(shape)]
