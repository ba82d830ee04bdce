"""One diagram from the nets of one file.

It shows the TRAIN net, the TEST net, or both laid over each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from netspec.graph import Blob, Layer, Net, Param, Shape

Key = tuple[object, ...]


@dataclass(slots=True, eq=False)
class Node:
    """A layer of the file, with the Layer that each phase makes of it.

    Two layers that stand in for each other, one for each phase (the usual pair of data layers), are
    one node.
    """

    layers: dict[str, Layer]
    index: int = 0

    @property
    def layer(self) -> Layer:
        return next(iter(self.layers.values()))

    @property
    def in_place(self) -> bool:
        """Whether the layer writes over what it reads."""
        layer = self.layer
        # a Concat of thousands is asked for each arrow that ends there: no list of all its bottoms
        read = [blob.name for blob in layer.bottom_blobs[: len(layer.top_blobs)]]
        return bool(layer.top_blobs) and layer.tops == read

    @property
    def is_sized(self) -> bool:
        """Whether at least one phase knows the layer's shapes."""
        return any(
            all(blob.shape is not None for blob in layer.top_blobs)
            for layer in self.layers.values()
        )

    @property
    def params(self) -> list[Param]:
        """The params, from the phase that knows them.

        Where a shape is missing, the layer has none.
        """
        return max((layer.params for layer in self.layers.values()), key=len)


@dataclass(slots=True, eq=False)
class Edge:
    """A blob on its way from the layer that writes it to one that reads it.

    `head` is None for an output of the net.
    """

    tail: Node
    head: Node | None
    bottom: int
    blobs: dict[str, Blob]

    @property
    def blob(self) -> Blob:
        return next(iter(self.blobs.values()))


@dataclass(slots=True)
class Diagram:
    """What is to be drawn, in file order."""

    name: str
    phases: tuple[str, ...]
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    batches: dict[str, int] = field(default_factory=dict)  # items in a batch, by phase

    @property
    def param_count(self) -> int | None:
        """The number of values in all params, a shared one counted once.

        It is None where shapes are missing.
        """
        if not all(node.is_sized for node in self.nodes):
            return None
        return sum(
            param.count for node in self.nodes for param in node.params if param.owner is None
        )

    def item_shapes(self, edge: Edge) -> list[Shape]:
        """The blob's shape without the batch, in each phase where it differs; none if unknown."""
        shapes: list[Shape] = []
        for phase, blob in edge.blobs.items():
            shape = blob.shape
            if shape is None:
                continue
            if shape and shape[0] == self.batches.get(phase):
                shape = shape[1:]
            if shape not in shapes:
                shapes.append(shape)
        return shapes


def merge_phases(nets: Sequence[Net]) -> Diagram:
    """Lays nets of one file, each of another phase, over each other.

    A layer is the same where its place in the file is.
    """
    diagram = Diagram(nets[0].name, tuple(net.phase for net in nets))
    node_of: dict[Layer, Node] = {}
    for net in nets:
        _add_layers(diagram, net, node_of)
        first = next(
            (net.blobs[name] for name in [*net.inputs, *net.sources] if net.blobs[name].shape), None
        )
        if first is not None and first.shape:
            diagram.batches[net.phase] = first.shape[0]
    if all(node.layer.span for node in diagram.nodes):
        diagram.nodes.sort(key=lambda node: node.layer.span.start if node.layer.span else 0)
    _join_twins(diagram, node_of)
    for index, node in enumerate(diagram.nodes):
        node.index = index
    _add_edges(diagram, nets, node_of)
    return diagram


def _add_layers(diagram: Diagram, net: Net, node_of: dict[Layer, Node]) -> None:
    """Puts each layer on the node of its key.

    A new node goes behind that of the layer before it.
    """
    nodes = diagram.nodes
    known = {_key(node.layer): node for node in nodes}
    at = 0
    for layer in net.layers:
        # taken once: layers made by hand may have no place to distinguish them
        node = known.pop(_key(layer), None)
        if node is None:
            node = Node({})
            nodes.insert(at, node)
        node.layers[net.phase] = layer
        node_of[layer] = node
        at = nodes.index(node, at) + 1


def _key(layer: Layer) -> Key:
    place = layer.span.start if layer.span else None
    return (place, layer.name, layer.type, *layer.tops)


def _join_twins(diagram: Diagram, node_of: dict[Layer, Node]) -> None:
    """Makes one node of two that differ only in that one is for TRAIN and one for TEST.

    Name, type, bottoms and tops are the same.
    """
    kept: dict[Key, Node] = {}
    nodes = []
    for node in diagram.nodes:
        layer = node.layer
        key = (layer.name, layer.type, tuple(layer.bottoms), tuple(layer.tops))
        twin = kept.get(key)
        if twin is None or twin.layers.keys() & node.layers.keys():
            kept[key] = node
            nodes.append(node)
            continue
        both = twin.layers | node.layers
        twin.layers = {phase: both[phase] for phase in diagram.phases if phase in both}
        node_of.update(dict.fromkeys(node.layers.values(), twin))
    diagram.nodes = nodes


def _add_edges(diagram: Diagram, nets: Sequence[Net], node_of: dict[Layer, Node]) -> None:
    edges: dict[Key, Edge] = {}

    def add(phase: str, blob: Blob, head: Node | None, bottom: int) -> None:
        tail = node_of[blob.producer]
        key = (tail, head, bottom, blob.name)
        edges.setdefault(key, Edge(tail, head, bottom, {})).blobs[phase] = blob

    for net in nets:
        for layer in net.layers:
            for bottom, blob in enumerate(layer.bottom_blobs):
                add(net.phase, blob, node_of[layer], bottom)
    read = {(edge.tail, edge.blob.name) for edge in edges.values()}
    for net in nets:
        for name in net.outputs:
            if (node_of[net.blob(name).producer], name) not in read:
                add(net.phase, net.blob(name), None, 0)
    diagram.edges = sorted_edges(edges.values(), len(diagram.nodes))


def sorted_edges(edges: Iterable[Edge], nodes: int) -> list[Edge]:
    """The arrows of so many nodes in the order of their ends; those that lead out come last."""
    return sorted(
        edges,
        key=lambda edge: (edge.tail.index, edge.head.index if edge.head else nodes, edge.bottom),
    )
