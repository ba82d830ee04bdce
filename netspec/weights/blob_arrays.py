"""Blobs that another program stored: arrays by name, in a .npz or HDF5 file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.extras import missing_package
from netspec.files.file_kind import HOW_TO_COPY
from netspec.files.suffixes import ARRAY_SUFFIXES
from netspec.read_file import open_regular, require_regular, unreadable
from netspec.weights.read_bytes import wrong_kind


def read_blob_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name, in single precision; the suffix says the format.

    In HDF5 a name with slashes is a dataset in groups, as h5py writes it.

    Raises: NetspecError where the file can't be read, is damaged or holds what are no numbers.
    """
    if Path(path).suffix not in ARRAY_SUFFIXES:
        raise NetspecError(
            f"'{path}' is of no known kind of file of arrays",
            hint=f"known are {', '.join(ARRAY_SUFFIXES)}",
        )
    try:
        require_regular(path)
        arrays = _npz(path) if Path(path).suffix == ".npz" else _hdf5(path)
    except NetspecError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise unreadable(path, error) from None
    except Exception as error:  # zipfile, zlib, numpy and h5py have many kinds for damage
        reason = str(error).partition("\n")[0] or type(error).__name__
        hint = wrong_kind(path) or HOW_TO_COPY
        raise NetspecError(
            f"'{path}' is not a file of arrays, or is damaged: {reason}", hint=hint
        ) from None
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise NetspecError(f"'{path}': '{name}' is of type {array.dtype}, expected numbers")
    with np.errstate(over="ignore"):
        return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def _npz(path: str | Path) -> dict[str, np.ndarray]:
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is no zip file")
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def _hdf5(path: str | Path) -> dict[str, np.ndarray]:
    from netspec.files.hdf5_file import Hdf5File

    try:
        with Hdf5File(path) as file:
            root = file.find("")
            return {name: np.asarray(file.read(item)) for name, item in file.datasets(root)}
    except ImportError:
        raise missing_package("h5py", "an HDF5 file") from None
