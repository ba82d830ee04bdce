"""safetensors files: the tensors under the keys of the module's state_dict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.extras import missing_package
from netspec.files.file_kind import HOW_TO_COPY
from netspec.weights.read_bytes import read_bytes
from netspec.weights.state_keys import Layout, read_layout

try:
    from safetensors import SafetensorError, deserialize
    from safetensors.numpy import save
except ImportError:
    raise missing_package("safetensors", "a .safetensors file") from None

_LAYOUT = "netspec.layers"  # the name in the metadata
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "U64": "<u8",
    "I32": "<i4", "U32": "<u4", "I16": "<i2", "U16": "<u2", "I8": "<i1", "U8": "<u1",
}  # fmt: skip


def read_safetensors(path: str | Path) -> tuple[dict[str, np.ndarray], Layout]:
    """The tensors in single precision, and what netspec's own files say of the layers.

    One that torch's save_model has written once for several names comes under each of them.

    Raises: NetspecError where the file is damaged.
    """
    raw = read_bytes(path)
    try:
        entries = deserialize(raw)
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    except (SafetensorError, ValueError, TypeError) as error:
        raise NetspecError(
            f"'{path}' is not a safetensors file that can be read, or is cut short: {error}",
            hint=HOW_TO_COPY,
        ) from None
    tensors = {}
    for key, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise NetspecError(f"'{path}': the tensor '{key}' holds no numbers")
        tensors[key] = _array(entry["data"], entry["dtype"]).reshape(entry["shape"])
    metadata = header.get("__metadata__") or {}
    layout = read_layout(path, metadata[_LAYOUT]) if _LAYOUT in metadata else {}
    copies = {key: tensors[kept] for key, kept in metadata.items() if kept in tensors}
    return {**copies, **tensors}, layout


def _array(data: bytes | bytearray, kind: str) -> np.ndarray:
    values = np.frombuffer(data, _DTYPES[kind])
    if kind == "BF16":  # the upper half of a float
        return (values.astype("<u4") << 16).view("<f4")
    with np.errstate(over="ignore"):
        return np.array(values, dtype=np.float32)  # a copy: the tensor is read-only


def write_safetensors(
    path: str | Path, net_name: str, tensors: dict[str, np.ndarray], layout: str
) -> None:
    """Writes tensors; the net's name and what is to be said of the layers go to the metadata.

    Raises: NetspecError where the file can't be written.
    """
    metadata = {"net": net_name, _LAYOUT: layout}
    write_atomically(path, save(tensors, metadata=metadata))
