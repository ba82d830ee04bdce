"""The nets and solvers in a folder."""

from __future__ import annotations

import os
import re

from netspec.diagnostics import NetspecError, unreadable
from netspec.syntax.read import YAML_SUFFIXES, is_net_or_solver, parse_source, read_source

_PROTOTXT_SUFFIXES = (".prototxt", ".pbtxt")
# a line of YAML that cannot be parsed, by which it is a net or a solver all the same
_OWN_LINE = re.compile(r"^(layers?|base_lr|lr_policy|train_net|net):", re.MULTILINE)


def find_texts(folder: str) -> list[str]:
    """The paths of every prototxt in a folder and below, and of the YAML files that are nets.

    Hidden folders, and those that links lead to, are passed over.

    Raises: NetspecError where a folder can't be read.
    """
    found: list[str] = []
    for here, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(here, name)
            if name.endswith(_PROTOTXT_SUFFIXES) or (
                name.endswith(YAML_SUFFIXES) and _is_net(path)
            ):
                found.append(path)
    return found


def _refuse(error: OSError) -> None:
    raise unreadable(error.filename, error)


def _is_net(path: str) -> bool:
    """Whether a YAML file, of which there are many kinds, is a net or a solver."""
    try:
        source = read_source(path)
    except NetspecError:
        return False
    try:
        return is_net_or_solver(parse_source(source))
    except NetspecError:
        return _OWN_LINE.search(source.text) is not None
