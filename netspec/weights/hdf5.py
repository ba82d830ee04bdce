"""Caffe's HDF5 files: weights at /data/<layer>/<index>, solver states at /history/<index>."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.extras import missing_package
from netspec.files.file_kind import HOW_TO_COPY
from netspec.files.hdf5_file import Hdf5File
from netspec.read_file import require_regular, unreadable
from netspec.weights.caffemodel import Diffs
from netspec.weights.read_bytes import wrong_kind

try:
    import h5py  # 0.3 s: this module is imported only for a file that needs it
except ImportError:
    raise missing_package("h5py", "an HDF5 file") from None

T = TypeVar("T")
Counts = Mapping[str, Sequence[int]]


def read_weights_hdf5(
    path: str | Path, counts: Counts | None = None
) -> dict[str, list[np.ndarray | None]]:
    """The arrays of every layer that has any.

    None stands where a layer shares the blob of another one: Caffe writes only the owner's.

    Args: counts: for each layer of a net how many values its params have. What has another number
        of them is not read: it comes in its shape, filled with zeros that take no memory.
    Raises: NetspecError where the file is no HDF5, is damaged, has no such layout, or keeps values
        in other files.
    """
    return _reading(path, lambda file: _weights(file, counts))


def _weights(file: Hdf5File, counts: Counts | None) -> dict[str, list[np.ndarray | None]]:
    data = file.find("data")
    if not isinstance(data, h5py.Group):
        hint = (
            "it is a solver state"
            if "history" in file.names
            else "Keras and others lay out .h5 differently"
        )
        raise NetspecError(
            f"'{file.path}' has no group 'data', where Caffe keeps weights", hint=hint
        )
    found: dict[str, dict[int, np.ndarray]] = {}
    # a layer's name may hold slashes, which makes groups in groups
    for name, item in file.datasets(data):
        layer, _, index = name.rpartition("/")
        if not (layer and index.isascii() and index.isdecimal() and len(index) < 4):
            raise NetspecError(f"'{file.path}': '/data/{name}' is not named <layer>/<index>")
        fits = counts is None or item.size in counts.get(layer, ())[int(index) : int(index) + 1]
        found.setdefault(layer, {})[int(index)] = (
            _array(file, item) if fits else np.broadcast_to(np.float32(0), file.shape(item))
        )
    return {
        layer: [arrays.get(i) for i in range(max(arrays) + 1)] for layer, arrays in found.items()
    }


def write_weights_hdf5(
    path: str | Path,
    layers: Iterable[tuple[str, Sequence[np.ndarray | None]]],
    diffs: Diffs | None = None,
) -> None:
    """Writes (layer, arrays) in Caffe's layout.

    None leaves an array out, as Caffe does with shared ones.

    Args: diffs: for each layer its arrays' gradients, which go to /diff/<layer>/<index>, also that
        of a shared array.
    Raises: NetspecError where the file can't be written.
    Source: Net::ToHDF5.
    """
    layers = list(layers)
    names = [name for name, _ in layers]

    def fill(file: h5py.File) -> None:
        _fill_group(file.create_group("data"), names, (arrays for _, arrays in layers))
        if diffs is not None:
            _fill_group(file.create_group("diff"), names, diffs)

    _writing(path, fill)


def _fill_group(top: h5py.Group, names: Sequence[str], arrays_of_layers: Diffs) -> None:
    for name, arrays in zip(names, arrays_of_layers, strict=True):
        group = top.require_group(name)  # Caffe makes a group for layers without blobs, too
        for i, array in enumerate(arrays):
            if array is not None:
                group.create_dataset(str(i), data=np.asarray(array, dtype=np.float32))


def read_solverstate_hdf5(path: str | Path) -> tuple[int, str, list[np.ndarray], int]:
    """iter, learned_net, history, current_step.

    Raises: NetspecError where the file is no HDF5, is damaged, or has no such layout.
    """
    return _reading(path, _solver_state)


def _solver_state(file: Hdf5File) -> tuple[int, str, list[np.ndarray], int]:
    missing = [
        key for key in ("iter", "learned_net", "current_step", "history") if file.find(key) is None
    ]
    if missing:
        raise NetspecError(
            f"'{file.path}' is not a solver state: it has no '{missing[0]}'",
            hint="it holds weights" if "data" in file.names else None,
        )
    learned_net = _scalar(file, "learned_net")
    text = (
        learned_net.decode(errors="surrogateescape")
        if isinstance(learned_net, bytes)
        else str(learned_net)
    )
    blobs = dict(file.datasets(file.find("history")))
    history = [_array(file, blobs[str(i)]) for i in range(len(blobs))]
    return int(_scalar(file, "iter")), text, history, int(_scalar(file, "current_step"))


def write_solverstate_hdf5(
    path: str | Path,
    iteration: int,
    learned_net: str,
    history: Sequence[np.ndarray],
    current_step: int,
) -> None:
    """Writes a solver state in the form of Solver::SnapshotSolverStateToHDF5.

    Raises: NetspecError where the file can't be written.
    """

    def fill(file: h5py.File) -> None:
        file["iter"] = np.array([iteration], dtype=np.int32)
        _write_text(file, "learned_net", learned_net.encode(errors="surrogateescape"))
        file["current_step"] = np.array([current_step], dtype=np.int32)
        group = file.create_group("history")
        for i, array in enumerate(history):
            group.create_dataset(str(i), data=np.asarray(array, dtype=np.float32))

    _writing(path, fill)


def _write_text(file: h5py.File, name: str, text: bytes) -> None:
    """A text with the 0 that ends it.

    Caffe reads the bytes of the type and takes what stands before the first 0. h5py writes none.
    """
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(text) + 1)
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    dataset = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(text, dtype=f"S{len(text) + 1}"), mtype=kind)


def _scalar(file: Hdf5File, name: str) -> Any:
    return np.asarray(file.read(file.find(name))).item()


def _array(file: Hdf5File, item: h5py.Dataset) -> np.ndarray:
    if item.dtype.kind not in "fiu":
        raise NetspecError(f"'{file.path}': '{item.name}' holds no numbers")
    with np.errstate(over="ignore"):
        return np.asarray(file.read(item), dtype=np.float32)


def _reading(path: str | Path, read: Callable[[Hdf5File], T]) -> T:
    try:
        require_regular(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    # h5py reports a damaged file by any of these, by where the damage is met
    try:
        with Hdf5File(path) as file:
            return read(file)
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        MemoryError,
        OverflowError,
    ) as error:
        raise _damaged(path, error) from None


def _damaged(path: str | Path, error: Exception) -> NetspecError:
    cut = re.search(r"truncated file: eof = (\d+),.* stored_eof = (\d+)", str(error))
    if cut:
        return NetspecError(
            f"'{path}' is cut short: {int(cut[1]):,} of {int(cut[2]):,} bytes", hint=HOW_TO_COPY
        )
    message = f"'{path}' is not an HDF5 file of weights, or is damaged: {_line(error)}"
    return NetspecError(message, hint=HOW_TO_COPY if h5py.is_hdf5(path) else wrong_kind(path))


def _writing(path: str | Path, fill: Callable[[h5py.File], None]) -> None:
    def write(opened: object) -> None:
        with h5py.File(opened, "w") as file:
            fill(file)

    try:
        write_atomically(path, write)
    except (RuntimeError, ValueError) as error:
        # two layers of one name, or a name that HDF5 can't hold
        raise NetspecError(f"'{path}' can't be written: {_line(error)}") from None


def _line(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0].lower() if str(error) else type(error).__name__
