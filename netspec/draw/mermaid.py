"""Net(s) → Mermaid's text of a flowchart, which GitHub and GitLab draw in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from netspec.draw import style
from netspec.draw.facts import (
    below_title,
    block_shapes,
    box_facts,
    edge_words,
    is_result,
    lr_mults,
    picture_title,
    wrapped,
)
from netspec.draw.fold_blocks import FoldedBlock, folded_as_asked
from netspec.draw.merge_phases import Diagram, Edge, Node, merge_phases
from netspec.draw.style import Colours
from netspec.draw.themes import THEMES, Theme
from netspec.graph import Net

TEXT_WIDTH = 60  # characters of a word before it is cut
# what stands as it is: no markup, no Markdown and no word of Mermaid's can be made of these
_PLAIN = re.compile(r"[^\W_]|[ ·×…]|(?<=[^\W_])[_.,/-](?=[^\W_])")

# what begins a formula or an icon (fa:fa-car) though it is coded: a space of no width ends it
_NO_CODE_HELPS = re.compile(r"\$(?=\$)|:(?=fa-)")


def mermaid_text(
    nets: Net | Sequence[Net],
    rankdir: str = "TB",
    display_lrm: bool = False,
    *,
    fold: str = "auto",
    theme: str = "light",
    has_shapes: bool = True,
) -> str:
    """The flowchart of a net or of those one file makes for several phases.

    Args: as those of dot_text.
    """
    every = [nets] if isinstance(nets, Net) else list(nets)
    diagram = folded_as_asked(merge_phases(every), fold)
    # a title knows no entity codes
    name = _printable(picture_title(every)).replace("<", "‹").replace(">", "›")
    title = f"{name} · {below_title(diagram)}"
    head = f"title: {json.dumps(title, ensure_ascii=False)}"  # of YAML
    lines = ["---", head, "---", f"flowchart {rankdir}"]
    colours: dict[Colours, list[str]] = {}
    for node in diagram.nodes:
        label = _label(_box_lines(node, diagram, display_lrm, has_shapes))
        lines.append(f"  n{node.index}[{label}]")
        colours.setdefault(THEMES[theme].colours(node), []).append(f"n{node.index}")
    for number, edge in enumerate(diagram.edges):
        if is_result(edge):
            continue
        head = f"n{edge.head.index}" if edge.head else f"b{number}"
        if edge.head is None:
            lines.append(f"  {head}([{_label([edge.blob.name])}])")
            colours.setdefault(THEMES[theme].plug, []).append(head)
        lines.append(f"  n{edge.tail.index} {_arrow(edge, diagram, has_shapes)} {head}")
    return "\n".join([*lines, *_classes(colours, THEMES[theme]), ""])


def escaped(words: str) -> str:
    """Text in which every character that may mean something is Mermaid's entity code for it.

    >>> escaped('conv1_1 "a" <b>')
    'conv1_1 #34;a#34; #60;b#62;'
    """
    words = _NO_CODE_HELPS.sub("\\g<0>\u200b", _printable(words))
    plain = {found.start() for found in _PLAIN.finditer(words)}
    return "".join(char if at in plain else f"#{ord(char)};" for at, char in enumerate(words))


def _printable(words: str) -> str:
    if len(words) > TEXT_WIDTH:
        words = words[: TEXT_WIDTH - 1] + "…"
    return "".join(char if char.isprintable() else "\ufffd" for char in words)


def _label(lines: Sequence[str]) -> str:
    return f'"{"<br>".join(map(escaped, lines))}"'


def _box_lines(node: Node, diagram: Diagram, display_lrm: bool, has_shapes: bool) -> list[str]:
    """The name, the type and what a reader wants to know of the layer or block."""
    tags = list(node.layers) if len(node.layers) < len(diagram.phases) else []
    lines = [" · ".join([*box_facts(node), *tags])]
    lines += [lr_mults(node)] if display_lrm and node.params else []
    if isinstance(node, FoldedBlock):
        return [node.name, *lines, *(wrapped(block_shapes(node, diagram)) if has_shapes else [])]
    variants = {phase: style.settings(layer) for phase, layer in node.layers.items()}
    shown, *others = variants.values()
    if all(other == shown for other in others):
        lines += wrapped(shown)
    else:
        for phase, words in variants.items():
            lines += wrapped([f"{phase} {words[0]}", *words[1:]] if words else [phase])
    return [node.layer.name, *lines] if node.layer.name else lines


def _arrow(edge: Edge, diagram: Diagram, has_shapes: bool) -> str:
    is_partial = len(edge.blobs) < len(diagram.phases)
    if edge.head is not None and edge.head.in_place and not edge.bottom:
        return "-.-" if is_partial else "---"  # the same blob, only its contents change
    words = edge_words(edge, diagram, has_shapes)
    return ("-.->" if is_partial else "-->") + (f"|{_label([' '.join(words)])}|" if words else "")


def _classes(colours: dict[Colours, list[str]], theme: Theme) -> list[str]:
    lines = []
    for number, (pair, names) in enumerate(colours.items()):
        lines.append(f"  classDef c{number} fill:{pair.fill},stroke:{pair.line},color:{theme.ink}")
        lines.append(f"  class {','.join(names)} c{number}")
    return lines
