"""Where a name that netspec does not know is known from.

The list, known_names.tsv, is read on such a fault alone.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def _known_names() -> dict[str, tuple[str, str]]:
    """The parameters and the repositories of each name."""
    text = Path(__file__).with_name("known_names.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return {name: (param, repositories) for name, param, repositories in rows}


def origin_of_type(name: str) -> str | None:
    """Which forks have a layer type, and in which field its parameters stand, or None."""
    if name not in _known_names():
        return None
    param, repositories = _known_names()[name]
    fields = f" ({' and '.join(param.split())})" if param else ""
    return f"a layer type of {_listed(repositories)}{fields}"


def origin_of_field(message: str, name: str) -> str | None:
    """Which forks have a field of one of Caffe's messages, or None."""
    found = _known_names().get(f"{message}.{name}")
    return found and f"a field of {_listed(found[1])}"


def _listed(repositories: str) -> str:
    names = repositories.split()
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
