"""Net(s) → DOT text.

Pure: the same nets give the same text, and nothing of graphviz is imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from netspec.draw.box import Look, box_label, html, is_slim, quoted, text
from netspec.draw.facts import below_title, edge_words, is_result, picture_title
from netspec.draw.fold_blocks import FoldedBlock, folded_as_asked
from netspec.draw.merge_phases import Diagram, Edge, Node, merge_phases
from netspec.draw.themes import THEMES
from netspec.graph import Net

RANKDIRS = ("TB", "LR", "BT", "RL")
# its widths are known where it isn't installed, and Liberation Sans and Helvetica have the same
FONT = "Arial"
GROUP_SIZE = 4  # layers that share their names up to a '/' before a frame is drawn around them
_GAP = '<FONT POINT-SIZE="4">&#160;</FONT>'  # a line of its own, that high
READERS = 2  # arrows from a source's label blob before each reader gets a plug of that name instead


def dot_text(
    nets: Net | Sequence[Net],
    rankdir: str = "TB",
    display_lrm: bool = False,
    *,
    fold: str = "auto",
    theme: str = "light",
    has_shapes: bool = True,
) -> str:
    """The picture, in graphviz's language, of a net or of those one file makes for several phases.

    A box is a layer, an arrow a blob; in-place layers follow each other in the order in which they
    run.

    Args:
        nets: one net, or one for each phase; a layer that not all of them have gets a tag.
        rankdir: where the data flow to: TB down, LR right, BT up, RL left.
        display_lrm: whether boxes show the learning rate multipliers of their params.
        fold: whether blocks of layers are one box each: all, none, or auto, in large nets.
        theme: the colours: light, dark, or caffe, those of its draw_net.py.
        has_shapes: whether the shapes of blobs are shown.
    """
    every = [nets] if isinstance(nets, Net) else list(nets)
    diagram = folded_as_asked(merge_phases(every), fold)
    look = Look(THEMES[theme], display_lrm, has_shapes)
    return _Picture(diagram, picture_title(every), rankdir, look).text()


class _Picture:
    """Collects the statements of one diagram, each in the frame it belongs to."""

    def __init__(self, diagram: Diagram, title: str, rankdir: str, look: Look) -> None:
        self.diagram = diagram
        self.title = title
        self.rankdir = rankdir
        self.look, self.theme = look, look.theme
        self.statements: dict[str, list[str]] = {"": []}  # by frame; "" is outside of all
        self.arrows: list[str] = []
        sizes = Counter(_name_front(node) for node in diagram.nodes)
        self.frames = {front for front, size in sizes.items() if front and size >= GROUP_SIZE}
        self.plugged = _plugged(diagram)
        self.depths = _depths(diagram)
        self.plugs: dict[tuple[object, ...], str] = {}
        # of each node, the one whose top is its first bottom
        self.above: dict[Node, Node] = {}
        for edge in diagram.edges:
            if edge.head is not None and not edge.bottom:
                self.above.setdefault(edge.head, edge.tail)

    def text(self) -> str:
        for node in self.diagram.nodes:
            self.add_box(node)
        for edge in self.diagram.edges:
            self.add_arrow(edge)
        name = quoted(self.title.replace("\\", "/"))  # an ID has no escape for it
        lines = [f"digraph {name} {{", *self.header()]
        lines += [f"  {statement}" for statement in self.statements.pop("")]
        for number, (frame, statements) in enumerate(self.statements.items()):
            label = text(frame, 11, self.theme.muted, bold=True)
            lines += [
                f"  subgraph cluster_{number} {{",
                f"    graph [label=<{label}> {self.frame_look()}]",
            ]
            lines += [*(f"    {statement}" for statement in statements), "  }"]
        return "\n".join([*lines, *(f"  {arrow}" for arrow in self.arrows), "}", ""])

    def header(self) -> list[str]:
        theme = self.theme
        title = text(self.title, 20, theme.ink, bold=True)
        label = f"{title}<BR/>{_GAP}<BR/>{text(below_title(self.diagram), 11, theme.muted)}<BR/> "
        gaps = (
            "ranksep=0.15 nodesep=0.3"
            if self.rankdir in ("TB", "BT")
            else "ranksep=0.25 nodesep=0.2"
        )
        font = f'fontname="{FONT}" fontcolor="{theme.ink}"'
        # newrank: branches begin side by side, though a frame lies around them
        # tailclip, outputorder: arrows begin below their box, for graphviz would begin some beside
        # its round corner
        layout = f"rankdir={self.rankdir} {gaps} newrank=true outputorder=edgesfirst"
        return [
            f'  graph [{layout} pad=0.3 bgcolor="{theme.paper}" {font} labelloc=t label=<{label}>]',
            (
                '  node [shape=box style="filled,rounded" penwidth=1.2 '
                f"width=0 height=0 {font} fontsize=10]"
            ),
            (
                f'  edge [tailclip=false color="{theme.edge}" penwidth=1.1 arrowsize=0.6 '
                f'fontname="{FONT}" fontcolor="{theme.muted}" fontsize=9.5]'
            ),
        ]

    def frame_of(self, node: Node) -> str:
        front = _name_front(node)
        return front if front in self.frames else ""

    def add(self, frame: str, statement: str) -> None:
        self.statements.setdefault(frame, []).append(statement)

    def add_box(self, node: Node) -> None:
        frame = self.frame_of(node)
        name = (node.layer.name.removeprefix(f"{frame}/") if frame else "") or node.layer.name
        is_block, colours = isinstance(node, FoldedBlock), self.theme.colours(node)
        margin = "0.08,0.03" if is_slim(node) else "0.12,0.06"
        look = (
            f'fillcolor="{colours.fill}" color="{colours.line}" margin="{margin}" '
            f"tooltip={quoted(_tooltip(node))}{' peripheries=2' if is_block else ''}"
        )
        self.add(
            frame,
            f"n{node.index} [label=<{box_label(node, self.diagram, name, self.look)}> {look}]",
        )

    def add_arrow(self, edge: Edge) -> None:
        tail, head = f"n{edge.tail.index}", f"n{edge.head.index}" if edge.head else ""
        if is_result(edge):
            return
        words = edge_words(edge, self.diagram, self.look.has_shapes)
        attributes = [self.beside(" ".join(map(html, words)))] if words else []
        if edge.head is None:
            head = self.plug(edge, "")
        elif (edge.tail, edge.blob.name) in self.plugged and edge.bottom:
            self.add_stub(edge)
            beside = self.above.get(edge.head)
            tail, attributes = self.plug(edge, self.frame_of(edge.head), beside), []
        elif edge.head.in_place and not edge.bottom:
            attributes = ["weight=20", "arrowhead=none"]  # the same blob, only its contents change
        elif self.depths[edge.head] == self.depths[edge.tail] + 1:
            # branches begin side by side
            attributes.append(f"weight={6 if len(edge.blob.consumers) > 1 else 4}")
        if len(edge.blobs) < len(self.diagram.phases):
            attributes.append("style=dashed")
        self.arrows.append(
            f"{tail} -> {head}" + (f" [{' '.join(attributes)}]" if attributes else "")
        )

    def add_stub(self, edge: Edge) -> None:
        """Shows once that a source has a blob whose readers are too many for arrows."""
        before = len(self.plugs)
        stub = self.plug(edge, self.frame_of(edge.tail))
        if len(self.plugs) > before:
            self.arrows.append(f"n{edge.tail.index} -> {stub}")

    def plug(self, edge: Edge, frame: str, beside: Node | None = None) -> str:
        """A blob's name in an outline.

        It stands where an output leaves the net, or in place of a long arrow from a source.

        Readers that stand side by side, below the same first bottom, share one.
        """
        key = (edge.tail, edge.blob.name, frame, beside)
        if key not in self.plugs:
            self.plugs[key] = f"b{len(self.plugs)}"
            fill, line = self.theme.plug
            look = f'fillcolor="{fill}" color="{line}" margin="0.1,0.03"'
            label = text(edge.blob.name, 10, self.theme.ink)
            self.add(frame, f"{self.plugs[key]} [label=<{label}> {look}]")
        return self.plugs[key]

    def frame_look(self) -> str:
        fill, line = self.theme.frame
        return f'style="filled,rounded" fillcolor="{fill}" color="{line}" margin=10 labeljust=l'

    def beside(self, label: str) -> str:
        """A label that does not touch its arrow.

        The arrow runs on its left or, where data flow sideways, below it.
        """
        return (
            f"label=<&#160;{label}>"
            if self.rankdir in ("TB", "BT")
            else f"label=<{label}<BR/>{_GAP}>"
        )


def _name_front(node: Node) -> str:
    """The part of a name that says what the layer is part of: inception_3a of inception_3a/1x1."""
    return "" if isinstance(node, FoldedBlock) else node.layer.name.rpartition("/")[0]


def _plugged(diagram: Diagram) -> set[tuple[Node, str]]:
    """The sources' blobs whose arrows would run along the whole picture again and again.

    These are labels that many layers read.
    """
    aside = [
        edge
        for edge in diagram.edges
        if edge.head and edge.bottom and not edge.tail.layer.bottom_blobs
    ]
    readers = Counter((edge.tail, edge.blob.name) for edge in aside)
    return {key for key, count in readers.items() if count > READERS}


def _depths(diagram: Diagram) -> dict[Node, int]:
    """How many arrows lead to each box on the longest way.

    An arrow that skips some is the one to bend, not the way past it.
    """
    depths = dict.fromkeys(diagram.nodes, 0)
    for edge in diagram.edges:  # in file order, so that a tail's depth is known
        if edge.head:
            depths[edge.head] = max(depths[edge.head], depths[edge.tail] + 1)
    return depths


def _tooltip(node: Node) -> str:
    if isinstance(node, FoldedBlock):
        layers = ", ".join(member.layer.name for member in node.members)
        return f"{node.name}: {layers}"
    layer = node.layer
    place = f", line {layer.span.line}" if layer.span else ""
    return f"{layer.name} ({layer.type}){place}".strip()
