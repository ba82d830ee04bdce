"""A tree as text in the syntax that a file's suffix names."""

from __future__ import annotations

from typing import cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from netspec.syntax import prototxt
from netspec.syntax.read import YAML_SUFFIXES
from netspec.syntax.tree import Block


def print_as(path: str, block: Block, kind: type[Message]) -> bytes:
    """What a file of that path holds: YAML by its suffix, else prototxt.

    Args: kind: what the tree is of, a net or a solver.
    """
    if path.endswith(YAML_SUFFIXES):
        from netspec.syntax.print_yaml import print_yaml

        text = print_yaml(block, cast(Descriptor, kind.DESCRIPTOR))
    else:
        text = prototxt.print_tree(block)
    return text.encode(errors="surrogateescape")
