"""Weights of one net made those of another: layers taken from elsewhere, in another shape."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.graph import Layer, Net, Shape, shape_text
from netspec.hint import did_you_mean
from netspec.passes.build_graph import AUTOMATIC_TOP
from netspec.weights.file_layers import FileLayer, read_layers
from netspec.weights.files import require_layers

Layers = dict[str, FileLayer]


class Taking(NamedTuple):
    """A layer, and the weight file and the layer in it that it takes its weights from."""

    layer: str
    path: str
    other: str


def take(layers: Mapping[str, FileLayer], takings: Iterable[Taking]) -> Layers:
    """The layers with those that are taken from other files, in place of their own or after them.

    Raises: NetspecError where a file can't be read, or has no such layer.
    """
    result = dict(layers)
    files: dict[str, Layers] = {}
    for name, path, other in takings:
        if path not in files:
            files[path] = read_layers(path)
        require_layers(path, [other], files[path])
        result[name] = replace(files[path][other], name=name)
    return result


def convolve(layers: Mapping[str, FileLayer], names: Collection[str], net: Net) -> Layers:
    """The layers, of which those named are no inner products any more but the net's convolutions.

    The values stay, in the order that both have: a row of an inner product is a kernel over all of
    its input, C×H×W.

    Raises: NetspecError where a name is no layer of the file or no convolution of the net, or the
        values don't make its kernels.
    Source: Caffe's examples/net_surgery.ipynb.
    """
    result = dict(layers)
    for name in names:
        if name not in layers:
            raise NetspecError(
                f"there is no layer '{name}' with weights to make a convolution of",
                hint=did_you_mean(name, layers),
            )
        target = _convolution(net, name)
        shapes = [tuple(param.shape) for param in target.params]
        own = layers[name].arrays
        if len(own) != len(shapes):
            raise NetspecError(
                f"layer '{name}' has {len(own)} params in the file, as a convolution of "
                f"'{net.path}' {len(shapes)}"
            )
        arrays = [
            _kernels(name, array, shape, layers[name].is_transposed)
            if i == 0
            else _reshaped(name, array, shape)
            for i, (array, shape) in enumerate(zip(own, shapes, strict=True))
        ]
        result[name] = replace(layers[name], arrays=arrays, is_transposed=False)
    return result


def _convolution(net: Net, name: str) -> Layer:
    layer = next((layer for layer in net.layers if layer.name == name), None)
    if layer is None:
        hint = did_you_mean(name, [layer.name for layer in net.layers])
        raise NetspecError(f"the net '{net.path}' has no layer '{name}'", hint=hint)
    if layer.type != "Convolution":
        raise NetspecError(
            f"{layer.label} is of type {layer.type}, expected Convolution", layer.spans.at("type")
        )
    return layer


def _kernels(
    name: str, array: np.ndarray | None, shape: Shape, is_transposed: bool
) -> np.ndarray | None:
    """The matrix of an inner product as kernels of that shape."""
    if array is None or array.shape == shape:
        return array
    # the old form has four axes, 1×1×M×N
    if array.ndim != 2 and not (array.ndim == 4 and array.shape[:2] == (1, 1)):
        raise NetspecError(
            f"layer '{name}' is {shape_text(array.shape)} in the file, which is no inner product's",
            hint="expected outputs × inputs",
        )
    matrix = array.reshape(-1, array.shape[-1])
    # also where the file does not say so, and only that gives the outputs
    if is_transposed or len(matrix) != shape[0] == matrix.shape[-1]:
        matrix = matrix.T
    if len(matrix) != shape[0]:
        raise NetspecError(
            f"layer '{name}' has {len(matrix)} outputs in the file, {shape[0]} in the net"
        )
    return _reshaped(name, matrix, shape)


def _reshaped(name: str, array: np.ndarray | None, shape: Shape) -> np.ndarray | None:
    if array is None:
        return None
    if array.size != prod(shape):
        raise NetspecError(
            f"layer '{name}' is {shape_text(array.shape)} in the file, which is {array.size:,} "
            f"values; the net's {shape_text(shape)} takes {prod(shape):,}"
        )
    return np.ascontiguousarray(array).reshape(shape)


def in_net(layers: Mapping[str, FileLayer], net: Net) -> Layers:
    """The layers with the types, bottoms and tops that they have in a net."""
    known = {layer.name: layer for layer in net.layers}
    return {
        name: replace(
            layer,
            type=known[name].type,
            bottoms=known[name].bottoms,
            tops=[top for top in known[name].tops if top != AUTOMATIC_TOP],
        )
        if name in known
        else layer
        for name, layer in layers.items()
    }
