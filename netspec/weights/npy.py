"""Weights that caffe-to-tensorflow saved with NumPy, brought back to Caffe's layout.

Such as bvlc_alexnet.npy.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.graph import shape_text
from netspec.hint import did_you_mean
from netspec.weights.pickled_arrays import read_npy_object
from netspec.weights.read_bytes import read_bytes

_SHARED = 1 << 28  # bytes of arrays that layers may share
CHW = tuple[int, int, int]
_ROLES = ("weights", "biases")  # the keys of later versions, in Caffe's order


def read_npy(
    path: str | Path, flattened: Mapping[str, CHW] | None = None, skip_layers: Collection[str] = ()
) -> dict[str, list[np.ndarray]]:
    """The arrays of a file {layer: [weights, biases]}, in Caffe's order.

    The lists may also be {"weights": …, "biases": …}.

    Convolution kernels (height, width, in, out) become (out, in, height, width); dense weights (in,
    out) become (out, in). A dense layer that reads a feature map takes its inputs as H×W×C there
    and as C×H×W in Caffe: its rows change places, by the (C, H, W) of `flattened` or else by the
    rule of `flattened_maps`. No code in the file is run.

    Args: flattened: the (C, H, W) that a dense layer flattens: {"fc6": (256, 6, 6)}.
        skip_layers: layers to leave out.
    Raises: NetspecError where the file is damaged or holds anything but such a dict, where a layer
        in `flattened` or
    `skip_layers` is not in it, or where it is not plain which feature map a dense layer reads.
    Source: DataReshaper of caffe-to-tensorflow, which did the opposite.
    """
    raw = read_bytes(path)
    contents = _layers(path, read_npy_object(path, raw))
    for name in [*skip_layers, *(flattened or {})]:
        if name not in contents:
            raise NetspecError(
                f"'{path}' has no layer '{name}'",
                hint=did_you_mean(name, contents) or f"it has {', '.join(contents)}",
            )
    layers = {}
    for name, content in contents.items():
        arrays = _arrays(content)
        if arrays is not None:
            layers[name] = arrays
        elif name not in skip_layers:
            raise NetspecError(
                f"'{path}': layer '{name}' holds {_what(content)}; expected [weights, biases]"
            )
    _refuse_repeats(path, layers, len(raw))
    maps = flattened_maps(path, layers, flattened or {}, skip_layers)
    return {
        name: [_to_caffe(path, name, a, maps.get(name)) for a in arrays]
        for name, arrays in layers.items()
        if name not in skip_layers
    }


def _refuse_repeats(path: str | Path, layers: Mapping[str, list[np.ndarray]], size: int) -> None:
    """A pickle can refer to one array any number of times, at two bytes each.

    Raises: NetspecError.
    """
    claimed = sum(array.nbytes for arrays in layers.values() for array in arrays)
    if claimed > size + _SHARED:
        raise NetspecError(
            f"'{path}' claims {claimed:,} bytes of weights, but has {size:,}",
            hint="it refers to the same arrays again and again",
        )


def flattened_maps(
    path: str | Path,
    layers: Mapping[str, list[np.ndarray]],
    given: Mapping[str, CHW],
    skip_layers: Collection[str] = (),
) -> dict[str, CHW]:
    """The (C, H, W) that dense layers flatten: `given`, else by the sizes in the file.

    The rule. A dense layer with as many rows as another dense layer has outputs reads that one. Any
    other reads a feature map: C×S×S, where C is the outputs of a convolution and rows / C is a
    square. AlexNet's fc6 has 9216 rows = 256×6×6, and of its other convolutions neither 96 nor 384
    leaves a square. Where several do (VGG's 25088 is 512×7×7 and 128×14×14) and the convolutions'
    names differ only in numbers, the last of them by number is taken. The order in the file is not
    asked: Python 2 wrote dicts in any order. (rows, 1, 1) in `given` leaves the inputs in their
    order.

    Raises: NetspecError where that leaves no answer, or more than one.
    """
    outputs = {
        name: arrays[0].shape[-1]
        for name, arrays in layers.items()
        if arrays and arrays[0].ndim == 4
    }
    dense = {
        name: arrays[0].shape for name, arrays in layers.items() if arrays and arrays[0].ndim == 2
    }
    maps = dict(given)
    if not outputs or not dense:
        return maps
    after_dense = {
        name
        for name, (rows, _) in dense.items()
        if rows in [dense[other][1] for other in dense if other != name]
    }
    if len(after_dense) == len(dense) and not given:
        raise NetspecError(
            f"'{path}': it is not plain which dense layer reads the feature map: "
            f"each of {', '.join(dense)} fits behind another one",
            hint="say it by flattened, as NAME=C,H,W",
        )
    for name in dense.keys() - after_dense - given.keys() - set(skip_layers):
        maps[name] = _flattened_map(path, name, dense[name][0], outputs)
    return maps


def _flattened_map(path: str | Path, name: str, rows: int, outputs: Mapping[str, int]) -> CHW:
    sides = {c: isqrt(rows // c) for c in set(outputs.values()) if c}
    fits = {c: (c, side, side) for c, side in sides.items() if side and c * side * side == rows}
    last = _last_by_number(outputs)
    if len(fits) > 1 and last and outputs[last] in fits:
        return fits[outputs[last]]
    if len(fits) == 1:
        return next(iter(fits.values()))
    texts = " or ".join(shape_text(chw) for chw in sorted(fits.values()))
    why = f"{texts} would fit" if fits else "no convolution's outputs times a square give that"
    raise NetspecError(
        f"'{path}': it is not plain which feature map C×H×W the {rows} "
        f"inputs of '{name}' come from: {why}",
        hint=f"say it by flattened, as {name}=C,H,W",
    )


def _last_by_number(names: Iterable[str]) -> str | None:
    """conv5_3 of conv1_1, conv1_2, …; None where the names differ in more than numbers."""
    numbers = {name: [int(digits) for digits in re.findall(r"[0-9]{1,9}", name)] for name in names}
    patterns = {re.sub(r"[0-9]{1,9}", "#", name) for name in numbers}
    return max(numbers, key=numbers.__getitem__) if len(patterns) == 1 else None


def _to_caffe(path: str | Path, name: str, array: np.ndarray, chw: CHW | None) -> np.ndarray:
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    elif array.ndim == 2 and chw:
        channels, height, width = chw
        if min(chw) < 1 or channels * height * width != array.shape[0]:
            raise NetspecError(
                f"'{path}': '{name}' has {array.shape[0]} inputs, not {channels}×{height}×{width}"
            )
        array = (
            array.reshape(height, width, channels, -1)
            .transpose(3, 2, 0, 1)
            .reshape(-1, array.shape[0])
        )
    elif array.ndim == 2:
        array = array.T
    elif array.ndim > 2:
        raise NetspecError(
            f"'{path}': layer '{name}' has an array with {array.ndim} axes; expected 1, 2 or 4"
        )
    with np.errstate(over="ignore"):
        # a copy: the pickle's bytes are read-only
        return np.array(array, dtype=np.float32, order="C")


def _layers(path: str | Path, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise NetspecError(
            f"'{path}' holds {_what(content)}; expected a dict {{layer: [weights, biases]}}"
        )
    return content


def _arrays(content: Any) -> list[np.ndarray] | None:
    if isinstance(content, dict):
        if not content.keys() <= set(_ROLES):
            return None
        content = [content[role] for role in _ROLES if role in content]
    if not isinstance(content, list) or not all(
        isinstance(a, np.ndarray) and a.dtype.kind in "fiu" for a in content
    ):
        return None
    return content


def _what(content: Any) -> str:
    if isinstance(content, dict):
        return f"a dict with the keys {', '.join(map(str, list(content)[:8]))}"
    if isinstance(content, np.ndarray):
        return f"one array of the shape {content.shape}"
    return f"a {type(content).__name__}"
