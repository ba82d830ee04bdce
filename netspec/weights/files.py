"""Weight files of any kind that netspec knows; the suffix says which."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from os.path import exists
from pathlib import Path

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.hint import did_you_mean
from netspec.read_file import open_regular
from netspec.weights.caffemodel import Diffs as Diffs
from netspec.weights.caffemodel import LayerTuple as LayerTuple
from netspec.weights.caffemodel import read_caffemodel, write_caffemodel
from netspec.weights.read_bytes import wrong_kind

READABLE = (".caffemodel", ".caffemodel.h5", ".h5", ".hdf5", ".safetensors", ".npy")
WRITABLE = (".caffemodel", ".caffemodel.h5", ".h5", ".hdf5", ".safetensors")
HDF5_SUFFIXES = (".h5", ".hdf5")

Weights = dict[str, list[np.ndarray | None]]


def read_weights(
    path: str | Path,
    skip_layers: Collection[str] = (),
    flattened: Mapping[str, tuple[int, int, int]] | None = None,
    counts: Mapping[str, Sequence[int]] | None = None,
) -> Weights:
    """The arrays of every layer in a file that has any, as Caffe orders them, single precision.

    None in place of an array (only from .h5): the layer shares that one with another layer, which
    has it.

    Args: skip_layers: names to leave out. flattened: only for .npy, see
        `netspec.weights.npy.read_npy`. counts: only for .h5, see
        `netspec.weights.hdf5.read_weights_hdf5`.
    Raises: NetspecError where the file can't be read, is damaged or of no known kind, or has no
        layer of `skip_layers`.
    """
    suffix = Path(path).suffix
    if suffix == ".npy":
        from netspec.weights.npy import read_npy

        return {name: [*arrays] for name, arrays in read_npy(path, flattened, skip_layers).items()}
    weights = _read(path, suffix, counts)
    for name in skip_layers:
        if name not in weights:
            raise NetspecError(
                f"'{path}' has no layer '{name}' with weights", hint=did_you_mean(name, weights)
            )
    return {name: [*arrays] for name, arrays in weights.items() if name not in skip_layers}


def _read(
    path: str | Path, suffix: str, counts: Mapping[str, Sequence[int]] | None
) -> Mapping[str, Sequence[np.ndarray | None]]:
    # what a format needs beyond numpy is imported only where a file needs it
    if suffix in HDF5_SUFFIXES or (suffix == ".caffemodel" and _is_hdf5(path)):
        from netspec.weights.hdf5 import read_weights_hdf5

        return read_weights_hdf5(path, counts)
    if suffix == ".caffemodel":
        return read_caffemodel(path)
    if suffix == ".safetensors":
        from netspec.weights.safetensors import read_safetensors

        return read_safetensors(path)
    if ".solverstate" in Path(path).name:
        beside = str(path).replace(".solverstate", ".caffemodel")
        hint = f"the weights of that iteration are in '{beside}'; --snapshot goes on from the state"
        raise NetspecError(f"'{path}' is a solver's state, and holds no weights", hint=hint)
    what = wrong_kind(path) if exists(path) else "it does not exist"
    raise NetspecError(
        f"'{path}' is of no known kind of weight file",
        hint=f"{f'{what}; ' if what else ''}known are {', '.join(READABLE)}",
    )


def _is_hdf5(path: str | Path) -> bool:
    """Caffe looks into the file, not at its name."""
    try:
        with open_regular(path) as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except (OSError, ValueError):
        return False  # the reader tells what is wrong


def write_weights(
    path: str | Path, net_name: str, layers: Iterable[LayerTuple], diffs: Diffs | None = None
) -> None:
    """Writes (name, type, bottoms, tops, arrays) of each layer, whole or not at all.

    The suffix names the format.

    Args: diffs: for each layer, for each of its arrays, the gradient to store beside it, or None:
        what Caffe does with snapshot_diff. Readers pass over them.
    Raises: NetspecError where the suffix is not known, its format has no place for diffs, or the
        file can't be written.
    """
    suffix = Path(path).suffix
    if suffix == ".caffemodel":
        write_caffemodel(path, net_name, layers, diffs)
    elif suffix in HDF5_SUFFIXES:
        from netspec.weights.hdf5 import write_weights_hdf5

        write_weights_hdf5(path, ((name, arrays) for name, _, _, _, arrays in layers), diffs)
    elif suffix == ".safetensors":
        from netspec.weights.safetensors import write_safetensors

        if diffs is not None:
            raise NetspecError(
                f"'{path}' can't be written: safetensors files have no place for diffs",
                hint="name it .caffemodel or .h5",
            )
        write_safetensors(path, net_name, ((name, arrays) for name, _, _, _, arrays in layers))
    else:
        raise NetspecError(
            f"'{path}' is of no kind of weight file that netspec writes",
            hint=f"it writes {', '.join(WRITABLE)}",
        )
