"""The values of a net's blobs, record by record: .npz, HDF5, or LMDBs as Caffe makes them.

Source: caffe/tools/extract_features.cpp.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError, counted
from netspec.extras import missing_package
from netspec.files.suffixes import ARRAY_SUFFIXES
from netspec.graph import shape_text
from netspec.schema.caffe_pb2 import Datum

NAMES = "images"  # the array of the pictures' paths, and the file beside an LMDB's records
_LMDB = ("", ".lmdb")


class Chunk(NamedTuple):
    """Some records: of each blob its values, and the paths of pictures, none of a data layer's.

    Shapes: (n, …) each; n may differ from blob to blob.
    """

    values: dict[str, NDArray[np.float32]]
    names: list[str]


def feature_paths(out: str, blobs: list[str], overwrite: bool) -> list[str]:
    """The files or folders to write.

    Of LMDBs one a blob, with commas between them.

    Raises: NetspecError where they can't be written, before anything is computed.
    """
    suffix = Path(out).suffix.lower()
    paths = [out] if suffix in ARRAY_SUFFIXES else [path.strip() for path in out.split(",")]
    if len(paths) > 1 or suffix in _LMDB:
        for path in paths:
            _require_lmdb_name(path)
        if len(paths) != len(blobs):
            message = f"{counted(len(blobs), 'blob')} for {counted(len(paths), 'LMDB')}"
            raise NetspecError(message, None, "name one for each, with commas between them")
        if len(set(map(os.path.realpath, paths))) != len(paths):
            raise NetspecError(f"'{out}' names one LMDB twice")
        return paths
    if suffix not in ARRAY_SUFFIXES:
        _require_lmdb_name(out)
    if NAMES in blobs:
        raise NetspecError(
            f"'{NAMES}' is the array of the pictures' paths, and a blob's name", None
        )
    if os.path.exists(out) and not overwrite:
        raise NetspecError(f"'{out}' already exists", None, "--overwrite writes over it")
    return paths


def _require_lmdb_name(path: str) -> None:
    if Path(path).suffix.lower() not in _LMDB or not path:
        hint = ".npz, .h5 or .hdf5, or the folder of an LMDB: no suffix, or .lmdb"
        raise NetspecError(f"the suffix of '{path}' says no format", None, hint)


def write_features(paths: list[str], chunks: Iterable[Chunk], overwrite: bool = False) -> int:
    """Writes the records to what `feature_paths` gave; nothing is written where it fails.

    Returns: how many records the first blob has.
    Raises: NetspecError.
    """
    suffix = Path(paths[0]).suffix.lower()
    chunks = iter(chunks)
    first = next(chunks, None)
    if first is None:
        raise NetspecError("there is no record to write")
    chunks = chain([first], chunks)
    if suffix not in ARRAY_SUFFIXES:
        return _write_lmdbs(paths, chunks, overwrite)
    counts: list[int] = []
    write = _write_npz if suffix == ".npz" else _write_hdf5

    def content(file: BinaryIO) -> None:
        counts.append(write(file, chunks))

    write_atomically(paths[0], content)
    return counts[0]


def _write_npz(file: BinaryIO, chunks: Iterator[Chunk]) -> int:
    """Collects all records in memory: the format wants their number first."""
    found = list(chunks)
    arrays: dict[str, Any] = {
        name: np.concatenate([chunk.values[name] for chunk in found]) for name in found[0].values
    }
    count = len(next(iter(arrays.values())))
    names = [name for chunk in found for name in chunk.names]
    if names:
        arrays[NAMES] = np.array([_utf8(name) for name in names])
    # np.savez would take a blob's name for its own argument 'file'
    import zipfile

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
    return count


def _write_hdf5(file: BinaryIO, chunks: Iterator[Chunk]) -> int:
    try:
        import h5py
    except ImportError:
        raise missing_package("h5py", "an HDF5 file") from None

    count = 0
    with h5py.File(file, "w") as opened:
        for chunk in chunks:
            for i, (name, values) in enumerate(chunk.values.items()):
                _append(opened, name, values, np.float32)
                count += 0 if i else len(values)
            if chunk.names:
                names = np.array([_utf8(name) for name in chunk.names], object)
                _append(opened, NAMES, names, h5py.string_dtype())
    return count


def _append(opened: Any, name: str, values: NDArray[Any], kind: Any) -> None:
    if name not in opened:
        opened.create_dataset(
            name, (0, *values.shape[1:]), kind, maxshape=(None, *values.shape[1:]), chunks=True
        )
    rows = opened[name]
    before = len(rows)
    rows.resize(before + len(values), axis=0)
    rows[before:] = values


def _write_lmdbs(paths: list[str], chunks: Iterator[Chunk], overwrite: bool) -> int:
    from netspec.stores.lmdb_writer import LmdbWriter

    names: list[str] = []
    with ExitStack() as stack:
        writers = [stack.enter_context(LmdbWriter(path, overwrite)) for path in paths]
        for chunk in chunks:
            for writer, (name, values) in zip(writers, chunk.values.items(), strict=True):
                for value in values:
                    writer.put(f"{writer.count:010d}".encode(), _datum(name, value))
            names += chunk.names
        for writer in writers if names else ():
            lines = "".join(f"{name}\n" for name in names)
            writer.put_file(f"{NAMES}.txt", lines.encode(errors="surrogateescape"))
    return writers[0].count


def _datum(name: str, value: NDArray[np.float32]) -> bytes:
    """A record as Caffe writes it: float_data, and the size of one item."""
    if value.ndim > 3:
        message = f"blob '{name}': a Datum holds C×H×W, not an item of {shape_text(value.shape)}"
        raise NetspecError(message, None, "an .npz or .h5 holds it")
    channels, height, width = (*value.shape, 1, 1, 1)[:3]
    datum = Datum(channels=channels, height=height, width=width)
    datum.float_data.extend(value.ravel().tolist())
    return datum.SerializeToString()


def _utf8(name: str) -> str:
    """A path as text; bytes that are no UTF-8 are escaped."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
