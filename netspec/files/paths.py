"""Where a file is that a net names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netspec.graph import Layer


def resolve_path(path: str, *named_in: str | None) -> str:
    """The path to open for a path that a net, or a list that the net names, holds.

    Caffe looks from the working directory only. Where nothing is there, the folders of the files
    that name the path are tried, the nearest first, so that a net works from any folder.

    Args:
        path: as the user wrote it.
        named_in: the paths of the files that name it (a list, then the net); None or "" are passed
            over.

    Returns:
        the first that exists, or `path` unchanged, so that a message quotes the user's own word.
    """
    if not path or os.path.exists(path):
        return path
    for file in filter(None, named_in):
        beside = os.path.join(os.path.dirname(file), path)
        if os.path.exists(beside):
            return beside
    return path


def net_path(layer: Layer) -> str:
    """The path of the file that the layer stands in, "" where it was not read from one."""
    return layer.span.source.path if layer.span else ""
