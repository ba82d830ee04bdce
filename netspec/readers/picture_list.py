"""The pictures that a command is given: files, folders, lists."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from netspec.diagnostics import NetspecError, os_reason
from netspec.files.paths import resolve_path
from netspec.readers.image_list import read_list

LIST_SUFFIXES = (".txt", ".lst", ".list")
# of the formats that are read
PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".tif", ".tiff", ".webp", ".jp2"),
)
_LABEL = re.compile(r"\s+-?[0-9]+\s*$")


def picture_paths(words: Iterable[str], suffixes: Iterable[str] = ()) -> Iterator[str]:
    """The paths of pictures.

    A folder's are those with a picture's suffix, also in the folders below, in the order of their
    names. A list (.txt, .lst, .list) has one a line, a label behind it is passed over; a path is
    looked up from the working directory, then from the list's folder. Any other word is a picture.

    Args: suffixes: of a folder's pictures, where not those of all formats that are read.
    Raises: NetspecError where a folder has none, or a list can't be read.
    """
    wanted = tuple(suffix.lower() for suffix in suffixes) or PICTURE_SUFFIXES
    for word in words:
        if os.path.isdir(word):
            yield from _of_folder(word, wanted)
        elif word.lower().endswith(LIST_SUFFIXES):
            yield from _of_list(word)
        else:
            yield word


def _of_folder(folder: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    def refused(error: OSError) -> None:
        raise NetspecError(f"the folder '{error.filename}' can't be read: {os_reason(error)}")

    found = False
    for path, folders, files in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(files):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                found = True
                yield os.path.join(path, name)
    if not found:
        raise NetspecError(
            f"the folder '{folder}' has no pictures", None, f"their suffixes: {' '.join(suffixes)}"
        )


def _of_list(path: str) -> Iterator[str]:
    for line in read_list(path):
        written = line.strip()
        if not written:
            continue
        found = resolve_path(written, path)
        if os.path.exists(found):
            yield found
        else:
            yield resolve_path(_LABEL.sub("", written), path)
