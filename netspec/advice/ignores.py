"""The comments by which a file silences rules: `# netspec: ignore[NAME]`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from netspec.advice import RULES
from netspec.diagnostics import Report, Source, Span
from netspec.hint import did_you_mean
from netspec.syntax.read import YAML_SUFFIXES
from netspec.syntax.tree import Block

_MARK = "netspec:"
_LIST = "`netspec check --explain` lists the rules"
_COMMENT = re.compile(r"#\s*netspec:\s*ignore\b(?:\[([^\]\n]*)\])?")
_NAME = re.compile(r"[^\s,]+")
# what stands before a comment on its line: anything but a quote or a '#', and whole strings
_BEFORE = re.compile(r"""(?:[^"'#]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*""")


@dataclass(slots=True)
class Ignore:
    """A comment that silences rules from `start` to `end` of its file.

    `names` are those of rules, each with its place; `used` those that silenced something.
    """

    source: Source
    start: int
    end: int
    names: list[tuple[str, Span]]
    place: Span
    used: set[str] = field(default_factory=set)

    def covers(self, span: Span | None) -> bool:
        return (
            span is not None
            and span.source.path == self.source.path
            and self.start <= span.start < self.end
        )


def ignores_in(source: Source, block: Block) -> list[Ignore]:
    """The comments of a file that silence rules, in order.

    At the end of a line one is for the line and for what begins on it; on a line of its own for the
    field that comes next, such as a layer, and before the first field for the whole file.
    """
    if _MARK not in source.text:
        return []
    found: list[Ignore] = []
    nodes = sorted(_nodes(block))
    first = nodes[0][0] if nodes else len(source.text)
    for match in _COMMENT.finditer(source.text):
        line_start = source.text.rfind("\n", 0, match.start()) + 1
        line_end = source.text.find("\n", match.end())
        line_end = line_end if line_end >= 0 else len(source.text)
        before = source.text[line_start : match.start()]
        if not _begins_comment(before, source):
            continue
        if before.strip():
            start = line_start
            end = max([line_end, *(e for s, e in nodes if line_start <= s < match.start())])
        elif match.start() < first:
            start, end = 0, len(source.text) + 1
        else:
            start, end = _next_node(nodes, match.end())
        names = [
            (word[0], Span(source, match.start(1) + word.start(), match.start(1) + word.end()))
            for word in _NAME.finditer(match[1] or "")
        ]
        place = Span(source, match.start(), match.end())
        found.append(Ignore(source, start, end, names, place))
    return found


def _begins_comment(before: str, source: Source) -> bool:
    """Whether a '#' behind this part of a line begins a comment, and does not stand in a string."""
    if source.path.endswith(YAML_SUFFIXES):
        return not before or before[-1].isspace()
    matched = _BEFORE.match(before)
    return matched is not None and matched.end() == len(before)


def _nodes(block: Block) -> Iterator[tuple[int, int]]:
    """Where the fields of a tree and the items of its lists begin and end."""
    for item in block.fields:
        ends = [value.span.end for value in item.values if value.span]
        if item.name_span is not None and ends:
            yield item.name_span.start, max(ends)
        for value in item.values:
            if isinstance(value, Block):
                if value.span is not None:
                    yield value.span.start, value.span.end
                yield from _nodes(value)


def _next_node(nodes: list[tuple[int, int]], offset: int) -> tuple[int, int]:
    """The largest of the nodes that begin next; nothing where none does."""
    start = next((start for start, _ in nodes if start >= offset), None)
    if start is None:
        return offset, offset
    return start, max(end for begin, end in nodes if begin == start)


def unknown_rules(ignores: list[Ignore], report: Report) -> None:
    """Warns of names that are no rule's, and of comments without one."""
    for ignore in ignores:
        if not ignore.names:
            report.warning("'ignore' names no rule", ignore.place, f"write ignore[NAME]; {_LIST}")
        for name, span in ignore.names:
            if name not in RULES:
                report.warning(
                    f"there is no rule '{name}'", span, did_you_mean(name, RULES) or _LIST
                )
