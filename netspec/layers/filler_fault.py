"""What a filler can fill, and with which numbers.

Source: the checks of Caffe's filler.hpp and of its random numbers.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from netspec.graph import Shape, shape_text
from netspec.hint import Hint, did_you_mean

if TYPE_CHECKING:
    from netspec.schema.caffe_pb2 import FillerParameter

FILLERS = ("constant", "uniform", "gaussian", "xavier", "msra", "positive_unitball", "bilinear")
FLT_MAX = 3.4028234663852886e38


class Fault(NamedTuple):
    """What is wrong in a filler, and the field that says so."""

    message: str
    field: str
    hint: Hint | str | None = None


def filler_fault(filler: FillerParameter, shape: Shape) -> Fault | None:
    """Why a filler can't fill a shape, or None where it can."""
    kind = filler.type
    if kind not in FILLERS:
        return Fault(f"there is no filler '{kind}'", "type", did_you_mean(kind, FILLERS))
    if filler.sparse < -1:
        return Fault(f"'sparse' must be at least 0, or -1 for none, got {filler.sparse}", "sparse")
    if filler.sparse >= 0 and kind != "gaussian":
        return Fault(f"'sparse' goes with the filler 'gaussian', not with '{kind}'", "sparse")
    if kind == "uniform":
        return _uniform_fault(filler)
    if kind == "gaussian":
        return _gaussian_fault(filler, shape)
    if kind == "bilinear" and (len(shape) != 4 or shape[2] != shape[3]):
        return Fault(
            f"the filler 'bilinear' takes square kernels of 4 axes, not {shape_text(shape)}", "type"
        )
    if kind in ("xavier", "msra") and not shape:
        return Fault(f"the filler '{kind}' takes at least one axis, not a scalar", "type")
    return None


def _uniform_fault(filler: FillerParameter) -> Fault | None:
    low, high = filler.min, filler.max
    for field, value in (("min", low), ("max", high)):
        if not isfinite(value):
            return Fault(f"'{field}' must be finite, got {value:g}", field)
    if low > high:
        return Fault(
            f"'min' {low:g} is greater than 'max' {high:g}",
            "min" if filler.HasField("min") else "max",
            "without them they are 0 and 1",
        )
    if high - low > FLT_MAX:
        return Fault(
            f"the range from 'min' {low:g} to 'max' {high:g} is out of range for 32 bits", "max"
        )
    return None


def _gaussian_fault(filler: FillerParameter, shape: Shape) -> Fault | None:
    if not isfinite(filler.mean):
        return Fault(f"'mean' must be finite, got {filler.mean:g}", "mean")
    if not (filler.std > 0 and isfinite(filler.std)):
        hint = 'for one value everywhere take type: "constant"' if filler.std == 0 else None
        return Fault(f"'std' must be positive and finite, got {filler.std:g}", "std", hint)
    if filler.sparse >= 0 and not shape:
        return Fault("a sparse filler takes at least one axis", "sparse")
    if filler.sparse > 0 and shape and filler.sparse > shape[0] > 0:
        return Fault(
            f"'sparse' {filler.sparse} is more than the {shape[0]} outputs of {shape_text(shape)}",
            "sparse",
        )
    return None
