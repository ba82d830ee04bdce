"""caffe.coord_map: how the coordinates of two tops of a NetSpec lie to one another, and Crop by it.

A map is (axis, scale, shift): along the axes from `axis` on, a place x in the one is scale · x +
shift in the other; the axis is None where any is meant. Source: python/caffe/coord_map.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.pycaffe.net_spec import Function, Top
from netspec.pycaffe.net_spec import layers as L

Map = tuple[int | None, Any, Any]
IDENTITY: Map = (None, 1, 0)
# layers that leave every value at its place
PASS_THROUGH_LAYERS = [
    *("AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Log", "LRN", "Exp"),
    *("MVN", "Power", "ReLU", "PReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold"),
]


class UndefinedMapException(Exception):
    """A layer of whose coordinates nothing is known."""


class AxisMismatchException(Exception):
    """Two maps that begin at different axes."""

    def __init__(self) -> None:
        super().__init__("the layers count their spatial axes from different ones")


def conv_params(fn: Function) -> tuple[int, Any, Any, Any]:
    """Of a layer with a kernel: the axis before the spatial ones, stride, dilated kernel, pad.

    Raises: AssertionError where the sizes are given by the axes' names.
    """
    params = fn.params.get("convolution_param", fn.params)
    named = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"} & set(params)
    if named:
        raise AssertionError(f"cropping takes kernel_size, stride and pad, not {sorted(named)}")
    kernel = np.array(params["kernel_size"], ndmin=1)
    dilation = np.array(params.get("dilation", 1), ndmin=1)
    return (
        params.get("axis", 1),
        np.array(params.get("stride", 1), ndmin=1),
        (kernel - 1) * dilation + 1,
        np.array(params.get("pad", 0), ndmin=1),
    )


def crop_params(fn: Function) -> tuple[int, Any]:
    """Of a Crop layer: its first axis, and the offsets."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> Map:
    """The map from a layer's top to its first bottom's coordinates.

    Raises: UndefinedMapException for a layer of whose coordinates nothing is known.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset
    raise UndefinedMapException(fn.type_name)


def compose(base_map: Map, next_map: Map) -> Map:
    """One map after another. Raises: AxisMismatchException."""
    axis1, scale1, shift1 = base_map
    axis2, scale2, shift2 = next_map
    if axis1 is not None and axis2 is not None and axis1 != axis2:
        raise AxisMismatchException()
    axis = axis2 if axis1 is None else axis1
    return axis, scale1 * scale2, scale1 * shift2 + shift1


def inverse(coord_map: Map) -> Map:
    """The map back."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from one top's coordinates to another's, by way of a blob that both come from.

    Raises: RuntimeError where there is none; AxisMismatchException.
    """
    from_maps = _walked_back(top_from)
    to_maps: dict[Top, Map] = {top_to: IDENTITY}
    frontier = [top_to]
    while frontier:
        top = frontier.pop()
        if top in from_maps:
            return compose(to_maps[top], inverse(from_maps[top]))
        frontier += _step_back(top, to_maps)
    raise RuntimeError("there is no map between the tops: no spatial layers connect them")


def _walked_back(top: Top) -> dict[Top, Map]:
    """The maps to a top from all that it comes from."""
    maps: dict[Top, Map] = {top: IDENTITY}
    frontier = [top]
    while frontier:
        frontier += _step_back(frontier.pop(), maps)
    return maps


def _step_back(top: Top, maps: dict[Top, Map]) -> list[Top]:
    """Adds the maps of a top's bottoms; of a Crop the second one only gives the size."""
    bottoms = list(top.fn.inputs[:1] if top.fn.type_name == "Crop" else top.fn.inputs)
    try:
        for bottom in bottoms:
            maps[bottom] = compose(maps[top], coord_map(top.fn))
    except UndefinedMapException:
        return []
    return bottoms


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop of one top to another's size, at the offset where both show the same place.

    Raises: AssertionError where they differ in scale or there is no such offset.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    if not np.all(scale == 1):
        raise AssertionError(f"scale mismatch on crop (a = {scale})")
    if not np.all(shift <= 0):
        raise AssertionError(f"cannot crop negative offset (b = {shift})")
    if not np.all(np.round(shift) == shift):
        raise AssertionError(f"cannot crop noninteger offset (b = {shift})")
    # between a blob and itself nothing gives the axis
    first = 2 if axis is None else axis + 1
    offset = [int(value) for value in np.atleast_1d(-np.round(shift))]
    cropped: Top = L.Crop(top_from, top_to, crop_param={"axis": first, "offset": offset})
    return cropped
