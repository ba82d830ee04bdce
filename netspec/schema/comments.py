"""What caffe.proto says of each of its messages, fields and values.

Its comments, which protobuf's descriptors lack.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_OPENING = re.compile(r"(?:message|enum)\s+(\w+)\s*\{")
_ENTRY = re.compile(r"(?:(?:optional|required|repeated)\s+[\w.]+\s+)?(\w+)\s*=\s*-?\d+")


@cache
def schema_comments() -> dict[str, str]:
    """The comment above each entry, by its full name without the package.

    >>> schema_comments()["LRNParameter.local_size"]
    'The number of channels, or the edge of the square. Must be odd. Default 5.'
    """
    comments: dict[str, str] = {}
    path: list[str] = []
    above: list[str] = []
    for line in Path(__file__).with_name("caffe.proto").read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line.startswith("//"):
            above.append(line[2:].strip())
            continue
        opening, entry = _OPENING.match(line), _ENTRY.match(line)
        if opening:
            path.append(opening[1])
            comments[".".join(path)] = " ".join(above)
        elif entry:
            comments[".".join([*path, entry[1]])] = " ".join(above)
        elif line.startswith("}"):
            path.pop()
        above = []
    return comments
