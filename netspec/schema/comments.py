"""What the .proto files say of their messages, fields and values: their comments.

Protobuf's descriptors lack them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_OPENING = re.compile(r"(?:message|enum|extend)\s+([\w.]+)\s*\{")
# each with its package below caffe
_FILES = {"caffe.proto": "", "forks.proto": "forks.", "netspec.proto": "netspec."}
_ENTRY = re.compile(r"(?:(?:optional|required|repeated)\s+[\w.]+\s+)?(\w+)\s*=\s*-?\d+")


@cache
def schema_comments() -> dict[str, str]:
    """The comment above each entry, by its full name without the package caffe.

    >>> schema_comments()["LRNParameter.local_size"]
    'The number of channels, or the edge of the square. Must be odd. Default 5.'
    >>> schema_comments()["forks.PermuteParameter"]
    'The order of the axes for a Permute layer.'
    """
    comments: dict[str, str] = {}
    for name, package in _FILES.items():
        text = Path(__file__).with_name(name).read_text(encoding="utf-8")
        for entry, comment in _comments_of(text).items():
            comments[package + entry] = comment
    return comments


def _comments_of(text: str) -> dict[str, str]:
    comments: dict[str, str] = {}
    path: list[str] = []
    above: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("//"):
            above.append(line[2:].strip())
            continue
        opening, entry = _OPENING.match(line), _ENTRY.match(line)
        if opening:
            # an extension's full name does not have what it extends
            is_extension = line.startswith("extend")
            path.append("" if is_extension else opening[1])
            if not is_extension:
                comments[".".join(filter(None, path))] = " ".join(above)
        elif entry:
            comments[".".join(filter(None, [*path, entry[1]]))] = " ".join(above)
        elif line.startswith("}"):
            path.pop()
        above = []
    return comments
