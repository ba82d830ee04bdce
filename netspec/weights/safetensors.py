"""safetensors files: the array of a layer stands under '<layer>/<index>'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.extras import missing_package
from netspec.files.file_kind import HOW_TO_COPY
from netspec.weights.read_bytes import read_bytes

try:
    from safetensors import SafetensorError
    from safetensors.numpy import load, save
except ImportError:
    raise missing_package("safetensors", "a .safetensors file") from None


def read_safetensors(path: str | Path) -> dict[str, list[np.ndarray]]:
    """The arrays of every layer, in single precision.

    Raises: NetspecError where the file is damaged or names its tensors otherwise.
    """
    raw = read_bytes(path)
    try:
        tensors = load(raw)
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        # the latter: a dtype that numpy lacks
        raise NetspecError(
            f"'{path}' is not a safetensors file that can be read, or is cut short: {error}",
            hint=HOW_TO_COPY,
        ) from None
    found: dict[str, dict[int, np.ndarray]] = {}
    for key, tensor in tensors.items():
        layer, _, index = key.rpartition("/")
        if not (layer and index.isascii() and index.isdecimal() and len(index) < 4):
            raise NetspecError(
                f"'{path}': the tensor '{key}' is not named <layer>/<index>",
                hint="weights of a net are named conv1/0, conv1/1, …",
            )
        if tensor.dtype.kind not in "fiu":
            raise NetspecError(f"'{path}': the tensor '{key}' holds no numbers")
        with np.errstate(over="ignore"):
            # a copy: the tensor is read-only
            found.setdefault(layer, {})[int(index)] = np.array(tensor, dtype=np.float32)
    for layer, arrays in found.items():
        if len(arrays) != max(arrays) + 1:
            raise NetspecError(
                f"'{path}': layer '{layer}' has no tensor "
                f"'{layer}/{min(set(range(max(arrays))) - arrays.keys())}'"
            )
    return {layer: [arrays[i] for i in range(len(arrays))] for layer, arrays in found.items()}


def write_safetensors(
    path: str | Path, net_name: str, layers: Iterable[tuple[str, Sequence[np.ndarray]]]
) -> None:
    """Writes (layer, arrays); the net's name goes to the metadata.

    Arrays of half precision stay so, all others are written in single.

    Raises: NetspecError where the file can't be written.
    """
    tensors = {
        f"{name}/{i}": np.asarray(
            array, dtype=np.float16 if array.dtype == np.float16 else np.float32, order="C"
        )
        for name, arrays in layers
        for i, array in enumerate(arrays)
    }
    write_atomically(path, save(tensors, metadata={"net": net_name}))
