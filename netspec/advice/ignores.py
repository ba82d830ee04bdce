"""The comments by which a file silences rules: `# netspec: ignore[NAME]`."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from netspec.advice import RULES
from netspec.diagnostics import Diagnostic, Report, Source, Span
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
            on_line = nodes[_from(nodes, line_start) : _from(nodes, match.start())]
            end = max([line_end, *(end for _, end in on_line)])
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


def _from(nodes: list[tuple[int, int]], offset: int) -> int:
    """The place of the first node that begins at an offset or behind it."""
    return bisect_left(nodes, (offset,))


def _next_node(nodes: list[tuple[int, int]], offset: int) -> tuple[int, int]:
    """The largest of the nodes that begin next; nothing where none does."""
    at = _from(nodes, offset)
    if at == len(nodes):
        return offset, offset
    start = nodes[at][0]
    return start, max(end for _, end in nodes[at : _from(nodes, start + 1)])


class Silencer:
    """Finds the comments that silence what rules found, by place."""

    def __init__(self, ignores: Iterable[Ignore]) -> None:
        # for each file and rule the comments by their beginnings, and the greatest end so far
        self._ignores: dict[tuple[str, str], list[Ignore]] = {}
        for ignore in sorted(ignores, key=lambda ignore: ignore.start):
            for name, _ in ignore.names:
                self._ignores.setdefault((ignore.source.path, name), []).append(ignore)
        self._ends = {
            key: list(accumulate((ignore.end for ignore in group), max))
            for key, group in self._ignores.items()
        }

    def silences(self, found: Diagnostic) -> bool:
        """Whether a comment silences it; the nearest that does is then one with a use."""
        if found.span is None:
            return False
        key, place = (found.span.source.path, found.rule), found.span.start
        group, ends = self._ignores.get(key, []), self._ends.get(key, [])
        at = bisect_right(group, place, key=lambda ignore: ignore.start) - 1
        while at >= 0 and ends[at] > place:
            if group[at].end > place:
                group[at].used.add(found.rule)
                return True
            at -= 1
        return False


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
