"""What stands in a layer's box, as graphviz's HTML-like label."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from netspec.draw import style
from netspec.draw.facts import block_shapes, box_facts, lr_mults, wrapped
from netspec.draw.fold_blocks import FoldedBlock
from netspec.draw.merge_phases import Diagram, Node
from netspec.draw.themes import LIGHT, Theme

TEXT_WIDTH = 60  # characters of a word before it is cut
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_TABLE = 'TABLE BORDER="0" CELLBORDER="0"'


@dataclass(frozen=True, slots=True)
class Look:
    """What boxes and arrows show beside the net, and in which colours."""

    theme: Theme = LIGHT
    display_lrm: bool = False
    has_shapes: bool = True


def html(text: str) -> str:
    r"""Text for an HTML-like label: no markup, no control characters, nothing endless.

    Graphviz reads its own escapes, such as \N, in such a label too, but not across an element's
    end.

    >>> html('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    if len(text) > TEXT_WIDTH:
        text = text[: TEXT_WIDTH - 1] + "…"
    return escape(_UNPRINTABLE.sub("\ufffd", text)).replace("\\", "<FONT>\\</FONT>")


def quoted(text: str) -> str:
    r"""A DOT string of an attribute, in which graphviz's own escapes, such as \N, stand as text.

    >>> print(quoted('a "b" \\N'))
    "a \"b\" \\N"
    """
    return (
        '"' + _UNPRINTABLE.sub("\ufffd", text[:200]).replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


def text(words: str, size: float, colour: str, bold: bool = False) -> str:
    """Words in a size and a colour."""
    inner = html(words).strip() or "&#160;"  # graphviz takes no empty element
    return (
        f'<FONT POINT-SIZE="{size}" COLOR="{colour}">{f"<B>{inner}</B>" if bold else inner}</FONT>'
    )


def is_slim(node: Node) -> bool:
    """Whether a layer gets one line only: neurons, and what else changes a blob in place."""
    if isinstance(node, FoldedBlock):
        return False
    return node.in_place or style.family(node.layer.type) == "neuron"


def box_label(node: Node, diagram: Diagram, name: str, look: Look) -> str:
    """The label of a layer's box.

    It shows its name, type, params and settings, and its phase if it isn't in all of them.
    """
    if isinstance(node, FoldedBlock):
        rows = _block_rows(node, diagram, look)
    else:
        rows = (_slim_rows if is_slim(node) else _rows)(node, diagram, name, look)
    return (
        f'<{_TABLE} CELLSPACING="0" CELLPADDING="1">'
        + "".join(f"<TR>{row}</TR>" for row in rows)
        + "</TABLE>"
    )


def _rows(node: Node, diagram: Diagram, name: str, look: Look) -> list[str]:
    rows = _head(node, diagram, name, look)
    ink = look.theme.ink
    variants = {phase: style.settings(layer) for phase, layer in node.layers.items()}
    shown, *others = variants.values()
    if all(other == shown for other in others):
        return rows + [_cell(text(line, 10, ink)) for line in wrapped(shown)]
    pairs = ""
    for phase, words in variants.items():
        first, *rest = [text(line, 10, ink) for line in wrapped(words)] or [" "]
        for mark, line in ((_tag(phase, look), first), *((" ", line) for line in rest)):
            pairs += f'<TR><TD>{mark}</TD><TD ALIGN="LEFT">{line}</TD></TR>'
    return [*rows, f'<TD><{_TABLE} CELLPADDING="0" CELLSPACING="2">{pairs}</TABLE></TD>']


def _slim_rows(node: Node, diagram: Diagram, name: str, look: Look) -> list[str]:
    lrm = [lr_mults(node)] if look.display_lrm and node.params else []
    kind, *params = box_facts(node)
    facts = " · ".join([kind, *style.settings(node.layer), *params, *lrm])
    words = text(name, 10, look.theme.ink, bold=True) + "&#160; " if name else ""
    return [_cell(words + text(facts, 9.5, look.theme.muted), *_tags(node, diagram, look))]


def _block_rows(block: FoldedBlock, diagram: Diagram, look: Look) -> list[str]:
    shapes = block_shapes(block, diagram) if look.has_shapes else []
    lines = [_cell(text(line, 10, look.theme.ink)) for line in wrapped(shapes)]
    return _head(block, diagram, block.name, look) + lines


def _head(node: Node, diagram: Diagram, name: str, look: Look) -> list[str]:
    """Name, type and params, and on request their learning rates."""
    facts, tags = (
        text(" · ".join(box_facts(node)), 10, look.theme.muted),
        _tags(node, diagram, look),
    )
    title = text(name, 13, look.theme.ink, bold=True)
    rows = [_cell(title, *tags), _cell(facts)] if name else [_cell(facts, *tags)]
    if look.display_lrm and node.params:
        rows.append(_cell(text(lr_mults(node), 10, look.theme.muted)))
    return rows


def _tags(node: Node, diagram: Diagram, look: Look) -> list[str]:
    """A tag for a layer that not every drawn phase has."""
    is_partial = len(node.layers) < len(diagram.phases)
    return [_tag(phase, look) for phase in node.layers] if is_partial else []


def _tag(phase: str, look: Look) -> str:
    colour = look.theme.tags.get(phase, look.theme.muted)
    words = text(phase, 8, look.theme.tag_ink, bold=True)
    return (
        f'<{_TABLE} CELLPADDING="1" CELLSPACING="1" BGCOLOR="{colour}" '
        f'STYLE="rounded"><TR><TD>{words}</TD></TR></TABLE>'
    )


def _cell(*parts: str) -> str:
    """A cell.

    Several parts stand side by side in a table of their own, so that the rows stay centred.
    """
    if len(parts) == 1:
        return f"<TD>{parts[0]}</TD>"
    inner = "".join(f"<TD>{part}</TD>" for part in parts)
    return f'<TD><{_TABLE} CELLPADDING="1" CELLSPACING="2"><TR>{inner}</TR></TABLE></TD>'
