"""The params of a net whose BatchNorm, Scale and Bias layers other layers have taken in.

Worked out in double precision: y = s₂·(W·(s₁·x + t₁) + b) + t₂ for each channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from netspec.graph import Layer, Net
from netspec.passes.fold_batchnorm import Fold

Floats = NDArray[np.float64]
Affine = tuple[Floats, Floats]  # factor and shift, a value a channel or one for all
Params = Sequence[Sequence[np.ndarray]]


def folded_params(net: Net, folds: Sequence[Fold], params: Params) -> list[list[np.ndarray]]:
    """The values of each layer's params in the folded net, in single precision.

    Args:
        net: as it was before.
        params: the values of each of its layers' params.
    """
    values = dict(zip(net.layers, params, strict=True))
    gone = {layer for fold in folds for layer in fold.layers}
    by_base = {fold.base: fold for fold in folds}
    return [
        _folded(by_base[layer], values) if layer in by_base else list(values[layer])
        for layer in net.layers
        if layer not in gone
    ]


def _folded(fold: Fold, values: dict[Layer, Sequence[np.ndarray]]) -> list[np.ndarray]:
    base = fold.base
    weight, *rest = (np.asarray(value, np.float64) for value in values[base])
    outputs = (base.top_blobs[0].shape or ())[1]
    bias = rest[0].reshape(-1) if rest else np.zeros(outputs)
    # as rows: each is what makes one output, its columns are input channels × places
    rows = _rows(base, weight)
    for layer in reversed(fold.front):
        factor, shift = _affine(layer, values[layer])
        channels = (base.bottom_blobs[0].shape or ())[1]
        taken = _channels(base, rows.shape[1], channels)
        bias = bias + (rows * np.broadcast_to(shift, channels)[taken][:, :, None]).sum((1, 2))
        rows = rows * np.broadcast_to(factor, channels)[taken][:, :, None]
    for layer in fold.behind:
        factor, shift = _affine(layer, values[layer])
        bias = bias * factor + shift
        rows = rows * np.broadcast_to(factor, outputs)[:, None, None]
    with np.errstate(over="ignore"):
        made = (_weight(base, rows, weight.shape), bias.reshape(outputs))
        return [np.ascontiguousarray(value, np.float32) for value in made]


def _rows(base: Layer, weight: Floats) -> Floats:
    """Weights by output, input channel of its group, and place in the window or the plane."""
    outputs, channels = (base.top_blobs[0].shape or ())[1], (base.bottom_blobs[0].shape or ())[1]
    if base.spec_name == "InnerProduct":
        rows = weight.T if base.message.inner_product_param.transpose else weight
        return rows.reshape(outputs, channels, -1)
    if base.spec_name == "Deconvolution":  # in × out/group × kernel
        group = base.message.convolution_param.group
        places = prod(weight.shape[2:])
        split = weight.reshape(group, channels // group, outputs // group, places)
        return split.transpose(0, 2, 1, 3).reshape(outputs, channels // group, places)
    return weight.reshape(outputs, weight.shape[1], -1)


def _weight(base: Layer, rows: Floats, shape: tuple[int, ...]) -> Floats:
    """The inverse of `_rows`."""
    if base.spec_name == "InnerProduct" and base.message.inner_product_param.transpose:
        return rows.reshape(rows.shape[0], -1).T
    if base.spec_name == "Deconvolution":
        group = base.message.convolution_param.group
        outputs, inputs, places = rows.shape
        split = rows.reshape(group, outputs // group, inputs, places)
        return split.transpose(0, 2, 1, 3).reshape(shape)
    return rows.reshape(shape)


def _channels(base: Layer, per_group: int, channels: int) -> NDArray[np.int64]:
    """The input channels that each output is made of.

    Shapes: (outputs, channels of a group)
    """
    outputs = (base.top_blobs[0].shape or ())[1]
    groups = channels // per_group
    first = np.arange(outputs) // (outputs // groups) * per_group
    return first[:, None] + np.arange(per_group)


def _affine(layer: Layer, params: Sequence[np.ndarray]) -> Affine:
    values = [np.asarray(value, np.float64).reshape(-1) for value in params]
    return _AFFINE[layer.spec_name](layer, values)


def _batch_norm(layer: Layer, values: list[Floats]) -> Affine:
    mean, variance, count = values
    factor = 1 / count[0] if count[0] else 0.0  # Caffe's rule for statistics that were never kept
    scale = 1 / np.sqrt(variance * factor + layer.field("batch_norm_param").eps)
    return scale, -mean * factor * scale


def _scale(layer: Layer, values: list[Floats]) -> Affine:
    return values[0], values[1] if len(values) > 1 else np.zeros(1)


def _bias(layer: Layer, values: list[Floats]) -> Affine:
    return np.ones(1), values[0]


def _pspnet_bn(layer: Layer, values: list[Floats]) -> Affine:
    slope, bias, mean, variance = values
    scale = slope / np.sqrt(variance + layer.field("bn_param").eps)
    return scale, bias - mean * scale


_AFFINE: dict[str, Callable[[Layer, list[Floats]], Affine]] = {
    "BatchNorm": _batch_norm,
    "Scale": _scale,
    "Bias": _bias,
    "BN (segnet)": _scale,
    "BN (pspnet)": _pspnet_bn,
}
