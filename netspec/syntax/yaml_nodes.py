"""The nodes of a YAML text as it was written: styles, anchors, places, and the comments between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from netspec.syntax.tree import NOT_UTF8
from netspec.syntax.yaml_text import LOADER

# up to the end of the line, for which YAML 1.1 has three characters more
_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n\x85\u2028\u2029]*", re.MULTILINE)
_STANDARD_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True)
class ScalarNode:
    """A scalar or an alias; `lines` are its text, the first one with its anchor and tag.

    The first line of a literal or folded one is its header, the comment behind that is apart.
    """

    start: int
    end: int
    lines: list[str]
    is_block: bool = False  # literal or folded
    comment: str | None = None


@dataclass(slots=True)
class SequenceNode:
    """A list. `end` is right only in flow style."""

    properties: str  # its anchor and tag
    start: int
    is_flow: bool
    end: int = 0
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class MappingNode:
    """Keys and values. `end` is right only in flow style."""

    properties: str
    start: int
    is_flow: bool
    end: int = 0
    pairs: list[tuple[ScalarNode, Node]] = field(default_factory=list)


Node = ScalarNode | SequenceNode | MappingNode


class YamlFile:
    """A text that `yaml_text.parse` takes, as nodes and comments."""

    def __init__(self, text: str) -> None:
        self.text = text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.scalars: list[tuple[int, int]] = []
        self.header_comments: list[str] = []
        self.root: Node | None = None
        # libyaml's offsets count characters, so that the one that stands in must be one
        self._events: Iterator[Any] = yaml.parse(NOT_UTF8.sub("\ufffd", text), Loader=LOADER)
        next(self._events)
        start: Any = next(self._events)
        self.head = (start.start_mark.index, start.end_mark.index)  # directives and '---'
        if isinstance(start, yaml.DocumentStartEvent):
            self.root = self._node(next(self._events))
        # the offset and text of each comment but those behind the headers of scalars
        self.comments = list(self._comments())

    def every_comment(self) -> list[str]:
        """The comments in order, behind them those of the scalars' headers."""
        return [text for _, text in self.comments] + self.header_comments

    def _node(self, event: Any) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, (yaml.AliasEvent, yaml.ScalarEvent)):
            return self._scalar(event, start, end)
        if isinstance(event, yaml.SequenceStartEvent):
            sequence = SequenceNode(_properties(event), start, bool(event.flow_style))
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                sequence.items.append(self._node(inner))
            sequence.end = _end(inner)
            return sequence
        mapping = MappingNode(_properties(event), start, event.flow_style)
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self._node(inner)
            assert isinstance(key, ScalarNode), "yaml_text.parse takes no other key"
            mapping.pairs.append((key, self._node(next(self._events))))
        mapping.end = _end(inner)
        return mapping

    def _scalar(self, event: Any, start: int, end: int) -> ScalarNode:
        text = self.text[start:end]
        self.scalars.append((start, end))
        if isinstance(event, yaml.AliasEvent) or event.style not in ("|", ">"):
            first, *more = text.split("\n")
            return ScalarNode(start, end, [first, *(line.lstrip(" \t") for line in more)])
        header, _, body = text[text.index(event.style) :].partition("\n")
        sign, _, comment = header.partition("#")
        is_raw = event.style == ">" and not any(char.isdigit() for char in sign)
        lines = [sign.strip(), *_unindented(body)] if is_raw else _literal(event.value)
        lines[0] = " ".join(filter(None, [_properties(event), lines[0]]))
        if "+" not in lines[0]:  # else the blank lines below belong to it
            end = start + len(text.rstrip())
        node = ScalarNode(start, end, lines, is_block=True)
        if comment:
            node.comment = f"#{comment}".rstrip()
            self.header_comments.append(node.comment)
        return node

    def _comments(self) -> Iterator[tuple[int, str]]:
        inside = sorted([*self.scalars, self.head])
        at = 0
        for match in _COMMENT.finditer(self.text):
            while at < len(inside) and inside[at][1] <= match.start():
                at += 1
            if at == len(inside) or match.start() < inside[at][0]:
                yield match.start(), match[0].rstrip()


def _end(event: Any) -> int:
    return int(event.end_mark.index)


def _properties(event: Any) -> str:
    tag = event.tag and event.tag.replace(_STANDARD_TAG, "!!")
    return " ".join(filter(None, [event.anchor and f"&{event.anchor}", tag]))


def _unindented(body: str) -> list[str]:
    """The lines of a folded scalar without what they are indented by."""
    lines = body.removesuffix("\n").split("\n")
    indent = next((len(line) - len(line.lstrip(" ")) for line in lines if line.strip(" ")), 0)
    return [line[indent:] for line in lines]


def _literal(value: str) -> list[str]:
    """Header and lines of the literal scalar of a value."""
    body = value.rstrip("\n")
    breaks = len(value) - len(body)
    chomping = "-" if breaks == 0 else "" if breaks == 1 and body else "+"
    # how far it is indented can't be seen from a first line that begins with spaces
    indent = "2" if body.lstrip("\n").startswith(" ") else ""
    kept = value.removesuffix("\n") if chomping == "+" else body
    return [f"|{indent}{chomping}", *(kept.split("\n") if value else [])]
