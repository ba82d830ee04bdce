"""The files of a folder that may be nets or solvers, by their suffixes."""

from __future__ import annotations

import os

from netspec.diagnostics import NetspecError
from netspec.files.suffixes import FOUND_SUFFIXES
from netspec.read_file import unreadable
from netspec.syntax.read import (
    YAML_SUFFIXES,
    is_net_or_solver,
    may_be_net_or_solver,
    parse_source,
    read_source,
)


def net_files(folder: str) -> list[str]:
    """The files below a folder with a suffix of nets, in order.

    Hidden folders, such as .git and .venv, are left out; links to folders are not followed.

    Raises: NetspecError where a folder can't be read.
    """
    found = []
    for here, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            os.path.join(here, name) for name in sorted(names) if name.endswith(FOUND_SUFFIXES)
        ]
    return found


def net_texts(folder: str) -> list[str]:
    """Those of `net_files` that are meant for nets or solvers, by their content.

    Raises: NetspecError where a folder can't be read.
    """
    return [path for path in net_files(folder) if _is_meant(path)]


def _is_meant(path: str) -> bool:
    try:
        source = read_source(path)
    except NetspecError:
        return not path.endswith(YAML_SUFFIXES)  # what is wrong with it is to be reported
    try:
        return is_net_or_solver(parse_source(source))
    except NetspecError:
        return may_be_net_or_solver(source)


def _refuse(error: OSError) -> None:
    raise unreadable(error.filename, error)
