"""What a picture says of its boxes and arrows, as plain text: the same in every format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from netspec.diagnostics import counted
from netspec.draw import style
from netspec.draw.fold_blocks import FoldedBlock
from netspec.draw.merge_phases import Diagram, Edge, Node
from netspec.graph import Net, shape_text
from netspec.layers import find_spec
from netspec.syntax.scalar_value import float_text

LINE_WIDTH = 38  # characters of settings before a new line begins


def picture_title(nets: Sequence[Net]) -> str:
    """The name of the nets of a file, or the file's."""
    return nets[0].name or PurePath(nets[0].path).stem or "net"


def below_title(diagram: Diagram) -> str:
    """The phases, and the params where their shapes are known."""
    count = diagram.param_count
    known = [] if count is None else [f"{count:,} parameter{'s' if count != 1 else ''}"]
    return " · ".join([" and ".join(diagram.phases), *known])


def box_facts(node: Node) -> list[str]:
    """The type of a layer or the number of those in a block, and the params."""
    if isinstance(node, FoldedBlock):
        return [counted(len(node.members), "layer"), *_param_facts(node)]
    return [node.layer.type, *_param_facts(node)]


def block_shapes(block: FoldedBlock, diagram: Diagram) -> list[str]:
    """The shapes of what leaves a block, each once."""
    shapes = (shape_text(s) for edge in block.edges for s in diagram.item_shapes(edge) if s)
    return list(dict.fromkeys(shapes))


def lr_mults(node: Node) -> str:
    """The learning rate multipliers of the params; of a block each value once."""
    mults = [float_text(param.lr_mult) for param in node.params]
    if isinstance(node, FoldedBlock):
        mults = list(dict.fromkeys(mults))
    return "lr mult " + ", ".join(mults)


def edge_words(edge: Edge, diagram: Diagram, has_shapes: bool = True) -> list[str]:
    """The blob's shape for one item, after its name where the layer is called otherwise.

    An output of the net has its name at the arrow's end.
    """
    shapes = " or ".join(shape_text(shape) for shape in diagram.item_shapes(edge) if shape)
    shown = [shapes] if has_shapes and shapes else []
    if edge.head is None:
        return shown
    words = [edge.blob.name, *shown] if _is_named(edge) else shown
    if all(len(edge.blobs) < len(end.layers) for end in (edge.tail, edge.head)):
        words.append(f"in {next(iter(edge.blobs))} only")
    return words


def is_result(edge: Edge) -> bool:
    """Whether an output of the net is a loss or a metric: one number, and its box says which."""
    spec = find_spec(edge.blob.producer.spec_name)
    return edge.head is None and spec is not None and (spec.is_loss or spec.is_metric)


def wrapped(words: Sequence[str]) -> list[str]:
    """The settings in lines of a readable width, broken between settings only."""
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} · {word}" if lines else word
        if lines and len(longer) <= LINE_WIDTH:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _param_facts(node: Node) -> list[str]:
    """How many params the layer has, or whose it shares."""
    own = sum(param.count for param in node.params if param.owner is None)
    owners = dict.fromkeys(param.owner[0] for param in node.params if param.owner is not None)
    if isinstance(node, FoldedBlock):
        names = {member.layer.name for member in node.members}
        owners = {owner: None for owner in owners if owner not in names}
    facts = [f"{style.count_text(own)} param{'s' if own != 1 else ''}"] if own else []
    return [*facts, "params of " + ", ".join(owners)] if owners else facts


def _is_named(edge: Edge) -> bool:
    """Whether an arrow says which blob it is: where the box that it leaves does not."""
    if isinstance(edge.tail, FoldedBlock):
        return len({each.blob.name for each in edge.tail.edges}) > 1
    return not edge.tail.in_place and edge.blob.name != edge.tail.layer.name
