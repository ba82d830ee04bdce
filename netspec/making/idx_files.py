"""The IDX files of MNIST and its family, read and brought into LMDBs.

The family has Fashion-MNIST, Kuzushiji-MNIST and others.

Source: the file format section of http://yann.lecun.com/exdb/mnist, and Caffe's convert_mnist_data.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.graph import shape_text
from netspec.making.encode_datum import raw_datum
from netspec.read_file import open_regular, read_file
from netspec.stores.lmdb_writer import HOW_TO_REPLACE, LmdbWriter

# the files' own word: the LMDB that Caffe's nets name
SPLITS = {"train": "mnist_train_lmdb", "t10k": "mnist_test_lmdb"}
_UNSIGNED_BYTE = 0x08
_MAX_BYTES = 1 << 31  # far above any of the family; a damaged size must not ask for more


def import_idx(
    folder: str | Path,
    out: str | Path,
    replace: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, int]:
    """Imports MNIST's four files into OUT/mnist_train_lmdb and OUT/mnist_test_lmdb.

    Returns the records of each.

    The files are train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k ones, plain or
    .gz; the paths are those that mnist_alexnet and Caffe's LeNet name. Both sets are read and
    checked before the first is written.

    Raises: NetspecError where a file is missing, damaged or does not fit the other ones, or an LMDB
        already exists.
    """
    splits = {Path(out) / name: _read_split(Path(folder), word) for word, name in SPLITS.items()}
    taken = [path for path in splits if os.path.lexists(path)]
    if taken and not replace:
        raise NetspecError(f"'{taken[0]}' already exists", hint=HOW_TO_REPLACE)
    writers = [LmdbWriter(path, replace) for path in splits]  # each looks whether its place is free
    for writer, (images, labels) in zip(writers, splits.values(), strict=True):
        with writer:
            for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                writer.put(f"{i:08d}".encode(), raw_datum(image[None], int(label)))
                if progress:
                    progress(i + 1, len(images))
    return {str(writer.path): writer.count for writer in writers}


def _read_split(folder: Path, word: str) -> tuple[np.ndarray, np.ndarray]:
    images_path, labels_path = (
        _find(folder, f"{word}-images", 3),
        _find(folder, f"{word}-labels", 1),
    )
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise NetspecError(
            f"'{images_path}' has {len(images):,} images, "
            f"but '{labels_path}' has {len(labels):,} labels"
        )
    if not images.size:
        raise NetspecError(f"'{images_path}' holds no images: its sizes are {images.shape}")
    return images, labels


def _find(folder: Path, stem: str, axes: int) -> Path:
    # some unpackers make the dash a dot
    names = [f"{stem}{joint}idx{axes}-ubyte{end}" for joint in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    if not folder.is_dir():
        raise NetspecError(f"folder '{folder}' does not exist")
    raise NetspecError(f"'{folder}' has no file '{names[0]}' or '{names[1]}'")


def read_idx(path: str | Path, axes: int) -> np.ndarray:
    """The array of unsigned bytes in an IDX file, plain or gzipped.

    Args: axes: how many it must have.
    Raises: NetspecError where the file can't be read, is no such IDX file, or is longer or shorter
        than its header says.
    """
    raw = _content(Path(path))
    # big endian: two zero bytes, the type, the number of axes, then the size of each axis
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise NetspecError(
            f"'{path}' is not an IDX file: it begins with {raw[:4].hex(' ') or 'nothing'}, "
            f"expected 00 00 08 {axes:02x}"
        )
    if raw[2] != _UNSIGNED_BYTE or raw[3] != axes:
        raise NetspecError(
            f"'{path}' holds type {raw[2]:#04x} with {raw[3]} axes; expected type 0x08 (unsigned "
            f"bytes) with {axes}"
        )
    start = 4 + 4 * axes
    shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes))
    expected = int(np.prod(shape, dtype=object))
    if len(raw) < start or len(raw) - start != expected:
        raise NetspecError(
            f"'{path}' says that it holds {shape_text(shape)} = {expected:,} bytes, "
            f"but {max(len(raw) - start, 0):,} follow its header"
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            # by the content, not the name: browsers unpack without renaming
            is_packed = file.read(2) == b"\x1f\x8b"
        if not is_packed:
            return read_file(path, _MAX_BYTES, "an IDX file")
        with gzip.open(path) as packed:
            raw = packed.read(_MAX_BYTES)
    except EOFError:
        raise NetspecError(f"'{path}' is cut short") from None
    except zlib.error:
        raise NetspecError(f"'{path}' is damaged: it can't be unpacked") from None
    except OSError as error:  # gzip's own error for a wrong checksum is one of these
        raise NetspecError(
            f"'{path}' can't be read: {error.strerror or str(error).lower()}"
        ) from None
    return raw
