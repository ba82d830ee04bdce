"""Blocks of a diagram's layers as one box each."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.draw.blocks import find_blocks, is_folded
from netspec.draw.merge_phases import Diagram, Edge, Key, Node, sorted_edges
from netspec.graph import Param


@dataclass(slots=True, eq=False)
class FoldedBlock(Node):
    """Neighbouring layers as one node; `layers` holds the last one of each phase."""

    name: str = ""
    members: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)  # that leave it

    @property
    def in_place(self) -> bool:
        return False

    @property
    def is_sized(self) -> bool:
        return all(member.is_sized for member in self.members)

    @property
    def params(self) -> list[Param]:
        return [param for member in self.members for param in member.params]


def fold_blocks(diagram: Diagram) -> Diagram:
    """The diagram with each block of its layers as one node.

    Blobs that stay inside a block are left out; one that several of its layers read is one arrow.
    """
    folded = Diagram(diagram.name, diagram.phases, batches=diagram.batches)
    box_of: dict[Node, Node] = {}
    at = 0
    for block in find_blocks([node.layer.name for node in diagram.nodes]):
        members = diagram.nodes[block.start : block.end]
        last = {phase: layer for node in members for phase, layer in node.layers.items()}
        layers = {phase: last[phase] for phase in diagram.phases if phase in last}
        box = FoldedBlock(layers, name=block.name, members=members)
        folded.nodes += [*diagram.nodes[at : block.start], box]
        box_of |= dict.fromkeys(members, box)
        at = block.end
    folded.nodes += diagram.nodes[at:]
    for index, node in enumerate(folded.nodes):
        node.index = index
    folded.edges = _joined(diagram.edges, box_of, len(folded.nodes))
    for edge in folded.edges:
        if isinstance(edge.tail, FoldedBlock):
            edge.tail.edges.append(edge)
    return folded


def folded_as_asked(diagram: Diagram, fold: str) -> Diagram:
    """The diagram with its blocks folded or not. Args: fold: of FOLDS."""
    return fold_blocks(diagram) if is_folded(fold, len(diagram.nodes)) else diagram


def _joined(edges: list[Edge], box_of: dict[Node, Node], count: int) -> list[Edge]:
    """The arrows between boxes, each blob once from one box to another."""
    joined: dict[Key, Edge] = {}
    for edge in edges:
        tail = box_of.get(edge.tail, edge.tail)
        head = box_of.get(edge.head, edge.head) if edge.head else None
        if tail is head:
            continue
        is_folded = isinstance(head, FoldedBlock)
        # a layer that reads a blob twice has two arrows
        key = (tail, head, edge.blob.name, None if is_folded else edge.bottom)
        known = joined.setdefault(key, Edge(tail, head, edge.bottom, {}))
        known.bottom = min(known.bottom, edge.bottom)
        known.blobs = edge.blobs | known.blobs
    return sorted_edges(joined.values(), count)
