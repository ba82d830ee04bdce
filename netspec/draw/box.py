"""What stands in a layer's box, as graphviz's HTML-like label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from netspec.diagnostics import counted
from netspec.draw import style
from netspec.draw.fold_blocks import FoldedBlock
from netspec.draw.merge_phases import Diagram, Node
from netspec.graph import shape_text
from netspec.syntax.scalar_value import float_text

LINE_WIDTH = 38  # characters of settings before a new line begins
TEXT_WIDTH = 60  # characters of a word before it is cut
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_TABLE = 'TABLE BORDER="0" CELLBORDER="0"'


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


def text(words: str, size: float, colour: str = style.INK, bold: bool = False) -> str:
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


def box_label(node: Node, diagram: Diagram, name: str, display_lrm: bool = False) -> str:
    """The label of a layer's box.

    It shows its name, type, params and settings, and its phase if it isn't in all of them.
    """
    if isinstance(node, FoldedBlock):
        rows = _block_rows(node, diagram, display_lrm)
    else:
        rows = (_slim_rows if is_slim(node) else _rows)(node, diagram, name, display_lrm)
    return (
        f'<{_TABLE} CELLSPACING="0" CELLPADDING="1">'
        + "".join(f"<TR>{row}</TR>" for row in rows)
        + "</TABLE>"
    )


def _rows(node: Node, diagram: Diagram, name: str, display_lrm: bool) -> list[str]:
    facts = text(" · ".join([node.layer.type, *_param_facts(node)]), 10, style.MUTED)
    tags = _tags(node, diagram)
    rows = (
        [_cell(text(name, 13, bold=True), *tags), _cell(facts)] if name else [_cell(facts, *tags)]
    )
    if display_lrm and node.params:
        rows.append(_cell(text(_lr_mults(node), 10, style.MUTED)))
    variants = {phase: style.settings(layer) for phase, layer in node.layers.items()}
    shown, *others = variants.values()
    if all(other == shown for other in others):
        return rows + [_cell(text(line, 10)) for line in _wrapped(shown)]
    pairs = ""
    for phase, words in variants.items():
        first, *rest = [text(line, 10) for line in _wrapped(words)] or [" "]
        for mark, line in ((_tag(phase), first), *((" ", line) for line in rest)):
            pairs += f'<TR><TD>{mark}</TD><TD ALIGN="LEFT">{line}</TD></TR>'
    return [*rows, f'<TD><{_TABLE} CELLPADDING="0" CELLSPACING="2">{pairs}</TABLE></TD>']


def _slim_rows(node: Node, diagram: Diagram, name: str, display_lrm: bool) -> list[str]:
    lrm = [_lr_mults(node)] if display_lrm and node.params else []
    facts = " · ".join([node.layer.type, *style.settings(node.layer), *_param_facts(node), *lrm])
    words = text(name, 10, bold=True) + "&#160; " if name else ""
    return [_cell(words + text(facts, 9.5, style.MUTED), *_tags(node, diagram))]


def _block_rows(block: FoldedBlock, diagram: Diagram, display_lrm: bool) -> list[str]:
    facts = " · ".join([counted(len(block.members), "layer"), *_param_facts(block)])
    rows = [
        _cell(text(block.name, 13, bold=True), *_tags(block, diagram)),
        _cell(text(facts, 10, style.MUTED)),
    ]
    if display_lrm and block.params:
        rows.append(_cell(text(_lr_mults(block), 10, style.MUTED)))
    shapes = (shape_text(s) for edge in block.edges for s in diagram.item_shapes(edge) if s)
    return rows + [_cell(text(line, 10)) for line in _wrapped(list(dict.fromkeys(shapes)))]


def _param_facts(node: Node) -> list[str]:
    """How many params the layer has, or whose it shares."""
    own = sum(param.count for param in node.params if param.owner is None)
    owners = dict.fromkeys(param.owner[0] for param in node.params if param.owner is not None)
    if isinstance(node, FoldedBlock):
        names = {member.layer.name for member in node.members}
        owners = {owner: None for owner in owners if owner not in names}
    facts = [f"{style.count_text(own)} param{'s' if own != 1 else ''}"] if own else []
    return [*facts, "params of " + ", ".join(owners)] if owners else facts


def _lr_mults(node: Node) -> str:
    mults = [float_text(param.lr_mult) for param in node.params]
    if isinstance(node, FoldedBlock):
        mults = list(dict.fromkeys(mults))
    return "lr mult " + ", ".join(mults)


def _tags(node: Node, diagram: Diagram) -> list[str]:
    """A tag for a layer that not every drawn phase has."""
    return [_tag(phase) for phase in node.layers] if len(node.layers) < len(diagram.phases) else []


def _tag(phase: str) -> str:
    colour = style.TAG_COLOURS.get(phase, style.MUTED)
    words = text(phase, 8, style.PAPER, bold=True)
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


def _wrapped(words: Sequence[str]) -> list[str]:
    """The settings in lines of a readable width, broken between settings only."""
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} · {word}" if lines else word
        if lines and len(longer) <= LINE_WIDTH:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
