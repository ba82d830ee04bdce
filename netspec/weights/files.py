"""Weight files of any kind that netspec knows; the suffix says which."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib import import_module
from os.path import exists
from pathlib import Path

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.files.suffixes import (
    HDF5_SUFFIXES,
    KEYED_SUFFIXES,
    READABLE_WEIGHTS,
    WRITABLE_WEIGHTS,
)
from netspec.hint import did_you_mean
from netspec.read_file import open_regular
from netspec.weights.caffemodel import Diffs as Diffs
from netspec.weights.caffemodel import LayerTuple as LayerTuple
from netspec.weights.caffemodel import read_caffemodel, write_caffemodel
from netspec.weights.read_bytes import wrong_kind
from netspec.weights.state_keys import Keys, Layout, TensorNames, keyed, layers_of
from netspec.weights.state_keys import Weights as Weights

# the only one to need torch, which is imported only where a file needs it
_TORCH_READER = ("netspec.pytorch.torch_file", "read_torch_file")


def read_weights(
    path: str | Path,
    skip_layers: Collection[str] = (),
    flattened: Mapping[str, tuple[int, int, int]] | None = None,
    counts: Mapping[str, Sequence[int]] | None = None,
    names: TensorNames | None = None,
) -> Weights:
    """The arrays of every layer in a file that has any, as Caffe orders them, single precision.

    None in place of an array (only from .h5): the layer shares that one with another layer, which
    has it.

    Args: skip_layers: names to leave out. flattened: only for .npy, see
        `netspec.weights.npy.read_npy`. counts: only for .h5, see
        `netspec.weights.hdf5.read_weights_hdf5`. names: only for files with a state_dict's keys,
        what these mean.
    Raises: NetspecError where the file can't be read, is damaged or of no known kind, or has no
        layer of `skip_layers`.
    """
    suffix = Path(path).suffix
    if suffix == ".npy":
        from netspec.weights.npy import read_npy

        return {name: [*arrays] for name, arrays in read_npy(path, flattened, skip_layers).items()}
    if names is not None and names.theirs and suffix not in KEYED_SUFFIXES:
        raise NetspecError(
            f"'{path}' has layers, not tensors with names of their own",
            hint=f"--map goes with {', '.join(KEYED_SUFFIXES)}; --rename OLD=NEW renames a layer",
        )
    weights = _read(path, suffix, counts, names)
    require_layers(path, skip_layers, weights)
    return {name: [*arrays] for name, arrays in weights.items() if name not in skip_layers}


def require_layers(path: object, names: Iterable[str], layers: Iterable[str]) -> None:
    """Raises NetspecError where a name is none of a file's layers, with the nearest that is."""
    known = list(layers)
    for name in names:
        if name not in known:
            raise NetspecError(
                f"'{path}' has no layer '{name}' with weights", hint=did_you_mean(name, known)
            )


def _read(
    path: str | Path,
    suffix: str,
    counts: Mapping[str, Sequence[int]] | None,
    names: TensorNames | None,
) -> Mapping[str, Sequence[np.ndarray | None]]:
    # what a format needs beyond numpy is imported only where a file needs it
    if suffix in HDF5_SUFFIXES or (suffix == ".caffemodel" and not is_caffemodel(path)):
        from netspec.weights.hdf5 import read_weights_hdf5

        return read_weights_hdf5(path, counts)
    if suffix == ".caffemodel":
        return read_caffemodel(path)
    if suffix in KEYED_SUFFIXES:
        return layers_of(path, *_keyed_reader(suffix)(path), names)
    if ".solverstate" in Path(path).name:
        beside = str(path).replace(".solverstate", ".caffemodel")
        hint = f"the weights of that iteration are in '{beside}'; --snapshot goes on from the state"
        raise NetspecError(f"'{path}' is a solver's state, and holds no weights", hint=hint)
    what = wrong_kind(path) if exists(path) else "it does not exist"
    raise NetspecError(
        f"'{path}' is of no known kind of weight file",
        hint=f"{f'{what}; ' if what else ''}known are {', '.join(READABLE_WEIGHTS)}",
    )


def _keyed_reader(suffix: str) -> Callable[[str | Path], tuple[dict[str, np.ndarray], Layout]]:
    if suffix == ".safetensors":
        from netspec.weights.safetensors import read_safetensors

        return read_safetensors
    if suffix == ".npz":
        from netspec.weights.npz import read_npz

        return read_npz
    module, function = _TORCH_READER
    read_torch_file = getattr(import_module(module), function)
    return lambda path: (read_torch_file(path), {})


def is_caffemodel(path: str | Path) -> bool:
    """Whether a file is in Caffe's binary form, by its suffix and its first bytes."""
    return Path(path).suffix == ".caffemodel" and not _is_hdf5(path)


def _is_hdf5(path: str | Path) -> bool:
    """Caffe looks into the file, not at its name."""
    try:
        with open_regular(path) as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except (OSError, ValueError):
        return False  # the reader reports what is wrong


def write_weights(
    path: str | Path,
    net_name: str,
    layers: Iterable[LayerTuple],
    diffs: Diffs | None = None,
    keys: Sequence[Keys] | None = None,
) -> None:
    """Writes (name, type, bottoms, tops, arrays) of each layer, whole or not at all.

    The suffix names the format.

    Args: keys: for each layer the keys of its arrays in the module's state_dict, None for one that
        is not in it; without them those of the layer's type. diffs: for each layer, for each of its
        arrays, the gradient to store beside it, or None:
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
    elif suffix in (".safetensors", ".npz"):
        if diffs is not None:
            raise NetspecError(
                f"'{path}' can't be written: {suffix[1:]} files have no place for diffs",
                hint="name it .caffemodel or .h5",
            )
        tensors, layout = keyed(layers, keys)
        if suffix == ".npz":
            from netspec.weights.npz import write_npz

            write_npz(path, tensors, layout)
        else:
            from netspec.weights.safetensors import write_safetensors

            write_safetensors(path, net_name, tensors, layout)
    else:
        raise NetspecError(
            f"'{path}' has no suffix of a weight file that netspec writes",
            hint=f"it writes {', '.join(WRITABLE_WEIGHTS)}",
        )
