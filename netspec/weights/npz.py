"""NumPy's .npz: the arrays under the keys of the module's state_dict; no code in it is run."""

from __future__ import annotations

import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.files.file_kind import HOW_TO_COPY
from netspec.read_file import open_regular, require_size, unreadable
from netspec.weights.read_bytes import LARGEST, wrong_kind
from netspec.weights.state_keys import Layout, read_layout

_LONGEST_COMMENT = 65535  # bytes
_MAGIC = b"netspec\0"  # what the archive's comment begins with, if it is netspec's


def read_npz(path: str | Path) -> tuple[dict[str, np.ndarray], Layout]:
    """The arrays in single precision, and what netspec's own files say of the layers.

    Raises: NetspecError where the file is damaged, or an array holds anything but numbers.
    """
    try:
        with open_regular(path) as opened, zipfile.ZipFile(opened) as file:
            members = [info for info in file.infolist() if info.filename.endswith(".npy")]
            require_size(sum(info.file_size for info in members), LARGEST, "a weight file")
            arrays = {
                info.filename.removesuffix(".npy"): _read(path, file, info) for info in members
            }
            comment = file.comment
    # what zipfile and zlib raise where an archive is damaged, or encrypted
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, MemoryError) as error:
        raise _damaged(path, error) from None
    except (OSError, ValueError) as error:
        if not isinstance(error, OSError):
            raise _damaged(path, error) from None
        raise unreadable(path, error) from None
    if not comment.startswith(_MAGIC):
        return arrays, {}
    try:
        return arrays, read_layout(path, zlib.decompress(comment.removeprefix(_MAGIC)))
    except zlib.error as error:
        raise _damaged(path, error) from None


def _read(path: str | Path, file: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """An array of the archive, which holds as many bytes as its header says before any is asked."""
    with file.open(info) as member:
        version = npy.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of NumPy's format")
        read_header = npy.read_array_header_1_0 if version[0] == 1 else npy.read_array_header_2_0
        shape, is_fortran, dtype = read_header(member)
        key = info.filename.removesuffix(".npy")
        if dtype.kind not in "fiu":
            raise NetspecError(f"'{path}': the array '{key}' holds no numbers")
        size = prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size != info.file_size - member.tell():
            raise ValueError(f"'{key}' does not have its shape")
        values = np.frombuffer(member.read(), dtype)
    with np.errstate(over="ignore"):
        single = np.array(values, dtype=np.float32)
    return single.reshape(shape, order="F" if is_fortran else "C")


def _damaged(path: str | Path, error: Exception) -> NetspecError:
    kind = wrong_kind(path)
    is_zip = kind is None or "zip" in kind
    return NetspecError(
        f"'{path}' is not a NumPy archive (.npz) that can be read: {error}",
        hint=HOW_TO_COPY if is_zip else kind,
    )


def write_npz(path: str | Path, tensors: dict[str, np.ndarray], layout: str) -> None:
    """Writes arrays as numpy.savez does; what is to be said of the layers is the zip's comment.

    Raises: NetspecError where the file can't be written.
    """
    comment = _MAGIC + zlib.compress(layout.encode(), 9)
    if len(comment) > _LONGEST_COMMENT:
        raise NetspecError(
            f"'{path}' can't be written: the layers' names are too long for an .npz",
            hint="name it .safetensors",
        )

    def write(opened: BinaryIO) -> None:
        with zipfile.ZipFile(opened, "w") as file:
            file.comment = comment
            for key, array in tensors.items():
                with file.open(f"{key}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, array, allow_pickle=False)

    write_atomically(path, write)
