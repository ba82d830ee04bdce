"""The images of a database or of a list, one after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from netspec.files.file_kind import file_kind
from netspec.files.paths import resolve_path
from netspec.readers.image_list import read_list, split_line
from netspec.readers.images import datum_pixels, read_image
from netspec.stores.records import open_records

Progressing = Callable[[int, int], object]


def stored_images(
    path: str | Path, root: str = "", progress: Progressing | None = None
) -> Iterator[tuple[NDArray[Any], str]]:
    """Each image, compressed ones decoded, and what a message calls it.

    Args:
        path: a database, or a list with `path label` a line, whose images are read in colour.
        root: before each path of a list.
    Shapes: (C, H, W).
    Raises: NetspecError where what is read is missing, damaged or empty, or a record is no image.
    """
    kind = file_kind(path)
    is_list = os.path.isfile(path) and kind is not None and kind.startswith(("text", "a prototxt"))
    return (_listed if is_list else _recorded)(str(path), root, progress)


def _recorded(
    path: str, _: str, progress: Progressing | None
) -> Iterator[tuple[NDArray[Any], str]]:
    records = open_records(path)
    try:
        for i in range(records.count):
            key, datum = records.read(i)
            where = records.describe(i, key)
            yield datum_pixels(datum, None, where), where
            if progress:
                progress(i + 1, records.count)
    finally:
        records.close()


def _listed(
    path: str, root: str, progress: Progressing | None
) -> Iterator[tuple[NDArray[Any], str]]:
    lines = read_list(path)
    for i, line in enumerate(lines):
        name, _ = split_line(line, i, path)
        where = f"line {i + 1} of '{path}': "
        image = resolve_path(os.path.join(root, name), path)
        yield read_image(image, where=where), f"{where}'{image}'"
        if progress:
            progress(i + 1, len(lines))
