"""The files of a folder that may be nets or solvers, by their suffixes."""

from __future__ import annotations

import os

from netspec.read_file import unreadable

SUFFIXES = (".prototxt", ".pbtxt", ".yaml", ".yml")


def net_files(folder: str) -> list[str]:
    """The files below a folder with a suffix of nets, in order.

    Hidden folders, such as .git and .venv, are left out; links to folders are not followed.

    Raises: NetspecError where a folder can't be read.
    """
    found = []
    for here, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(here, name) for name in sorted(names) if name.endswith(SUFFIXES)]
    return found


def _refuse(error: OSError) -> None:
    raise unreadable(error.filename, error)
