"""YAML with the schema's field names, into the same tree as prototxt.

Nothing is ever constructed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import yaml

from netspec.diagnostics import ERROR, Diagnostic, NetspecError, Source, Span, note
from netspec.hint import Hint
from netspec.syntax.tree import (
    MAX_DEPTH,
    MAX_PARTS,
    NOT_UTF8,
    NULLS,
    PLAIN,
    STRING,
    Block,
    Field,
    Scalar,
)

MAX_COPIES = 100_000  # values that aliases stand for: a file that unfolds to more is an attack
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAGS = {
    None,
    "!",
    *(
        f"tag:yaml.org,2002:{name}"
        for name in ("str", "int", "float", "bool", "null", "map", "seq")
    ),
}
_COMMENT = re.compile(r"(?:^|(?<=\s))#([^\n]*)", re.MULTILINE)

Node = Scalar | Block | list[Any]


def parse(source: Source) -> Block:
    """Parses a YAML net or solver into its tree.

    Top-level keys that begin with `x-` only hold anchors.

    Raises: NetspecError at the first place that is not YAML, or not of the form of a net.
    """
    return _Parser(source).file()


class _Parser:
    """Builds the tree from libyaml's events: its own composer has no bound on depth and crashes."""

    def __init__(self, source: Source) -> None:
        self.source = source
        # libyaml refuses bytes that are no UTF-8 even in comments; in texts they are refused below
        self.events = self._bounded(yaml.parse(NOT_UTF8.sub("\ufffd", source.text), Loader=LOADER))
        self.anchors: dict[str, Node] = {}
        self.copies = 0
        self.scalars: list[Span] = []
        # for the comments: where each field or list item begins, its depth
        self.starts: list[tuple[int, int, Field]] = []

    def file(self) -> Block:
        try:
            next(self.events)
            event = next(self.events)
            if not isinstance(event, yaml.DocumentStartEvent):
                return Block([], Span(self.source, 0, 0))
            first = next(self.events)
            node = self._node(first, 0)
            next(self.events)
            after = next(self.events)
        except yaml.YAMLError as error:
            raise self._translate(error) from None
        if not isinstance(after, yaml.StreamEndEvent):
            raise NetspecError(
                "a second document begins here; a file holds one net", self._span(after)
            )
        if isinstance(node, Scalar) and node.kind == PLAIN and node.text in NULLS:
            node = Block([], node.span)
        if not isinstance(node, Block):
            got = "a list" if isinstance(node, list) else "a single value"
            raise NetspecError(
                f"expected fields such as 'name: AlexNet', got {got}", self._span(first)
            )
        node.fields = [field for field in node.fields if not field.name.startswith("x-")]
        self._place_comments(node)
        return node

    def _bounded(self, events: Iterator[Any]) -> Iterator[Any]:
        for number, event in enumerate(events):
            if number >= MAX_PARTS:
                raise NetspecError(
                    f"the text has more than {MAX_PARTS:,} values, the most that is read",
                    self._span(event),
                )
            yield event

    def _translate(self, error: yaml.YAMLError) -> NetspecError:
        text = self.source.text
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if mark:
            offset = min(mark.index, len(text))
        else:  # a character that YAML does not allow; its position counts bytes
            offset = len(
                NOT_UTF8.sub("\ufffd", text)
                .encode()[: getattr(error, "position", 0)]
                .decode(errors="ignore")
            )
        problem = (
            getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be read"
        )
        hint = (
            Hint("YAML indents with spaces, not with tabs")
            if text[offset : offset + 1] == "\t"
            else None
        )
        context, context_mark = (
            getattr(error, "context", None),
            getattr(error, "context_mark", None),
        )
        notes = []
        if context and context_mark and context_mark.index != offset:
            notes.append(
                note(
                    f"{context}, which begins here",
                    Span(self.source, context_mark.index, context_mark.index + 1),
                )
            )
        return NetspecError(
            Diagnostic(
                ERROR,
                f"this is not valid YAML: {problem}",
                Span(self.source, offset, offset + 1),
                hint,
                notes,
            )
        )

    def _span(self, event: Any, least: int = 1) -> Span:
        return Span(
            self.source,
            event.start_mark.index,
            max(event.end_mark.index, event.start_mark.index + least),
        )

    def _node(self, event: Any, depth: int) -> Node:
        if depth > 2 * MAX_DEPTH:
            raise NetspecError(f"blocks are nested deeper than {MAX_DEPTH}", self._span(event))
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise NetspecError(
                    f"no finished anchor '&{event.anchor}' stands above", self._span(event)
                )
            return self._copy(self.anchors[event.anchor], event)
        if event.tag not in _PLAIN_TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise NetspecError(f"the tag '{tag}' has no meaning in a net", self._span(event))
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            span = self._span(event, 0)
            self.scalars.append(span)
            if "\ufffd" in event.value and NOT_UTF8.search(span.text):
                raise NetspecError("this text is not UTF-8", span)
            node = Scalar(
                STRING if event.style in ("'", '"', "|", ">") else PLAIN, event.value, span
            )
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _copy(self, node: Node, event: Any) -> Any:
        """An aliased node again; it keeps the place of its anchor."""
        self.copies += 1
        if self.copies > MAX_COPIES:
            raise NetspecError(
                f"the aliases unfold to more than {MAX_COPIES} values", self._span(event)
            )
        if isinstance(node, list):
            return [self._copy(item, event) for item in node]
        if isinstance(node, Scalar):
            return Scalar(node.kind, node.text, node.span)
        fields = [
            Field(f.name, f.name_span, [self._copy(v, event) for v in f.values], f.is_list)
            for f in node.fields
        ]
        return Block(fields, node.span)

    def _sequence(self, depth: int) -> list:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            item = self._node(event, depth + 1)
            if isinstance(item, list):
                raise NetspecError(
                    "a list within a list has no meaning in a net", self._span(event)
                )
            items.append(item)
        return items

    def _mapping(self, start: Any, depth: int) -> Block:
        fields: list[Field] = []
        merged: list[Block] = []
        keys: dict[str, Span | None] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise NetspecError("a key must be a field's name", self._span(event))
            if key.text in keys and key.text != "<<":
                first = note("the first one is here", keys[key.text])
                raise NetspecError(
                    Diagnostic(ERROR, f"the key '{key.text}' stands twice", key.span, notes=[first])
                )
            keys[key.text] = key.span
            value = self._node(next(self.events), depth + 1)
            if key.text == "<<" and key.kind == PLAIN:
                merged += self._merge_sources(key, value)
            else:
                new = _fields(key, value)
                self.starts += [
                    (_place(f.values[0] if len(new) > 1 else key).start, depth, f) for f in new
                ]
                fields += new
        own = {field.name for field in fields}
        # what stands here wins over what is merged, an earlier merge over a later one
        for block in merged:
            fields += [field for field in block.fields if field.name not in own]
            own.update(field.name for field in block.fields)
        end = max(
            (_place(f.values[-1]).end for f in fields if f.values), default=start.end_mark.index
        )
        return Block(
            fields, Span(self.source, start.start_mark.index, max(end, start.start_mark.index + 1))
        )

    def _merge_sources(self, key: Scalar, value: Node) -> list[Block]:
        items = value if isinstance(value, list) else [value]
        blocks = [item for item in items if isinstance(item, Block)]
        if len(blocks) < len(items):
            raise NetspecError("'<<' merges mappings, got another value", key.span)
        return blocks

    def _place_comments(self, file: Block) -> None:
        """Hangs each comment on the field below it, or on the field of its own line."""
        self.scalars.sort(key=lambda span: span.start)
        scalar_starts = [span.start for span in self.scalars]
        self.starts.sort(key=lambda entry: entry[:2])
        positions = [start[0] for start in self.starts]
        for match in _COMMENT.finditer(self.source.text):
            at = bisect_right(scalar_starts, match.start()) - 1
            if at >= 0 and self.scalars[at].end > match.start():
                continue  # the sign stands inside a text
            below = bisect_right(positions, match.start())
            line_start = self.source.text.rfind("\n", 0, match.start()) + 1
            if (
                self.source.text[line_start : match.start()].strip()
                and below
                and positions[below - 1] >= line_start
            ):
                self.starts[below - 1][2].trailing = match[1].strip()
            elif below < len(self.starts):
                self.starts[below][2].comments.append(match[1].strip())
            else:
                file.dangling.append(match[1].strip())


def _place(node: Scalar | Block) -> Span:
    assert node.span is not None, "every node of a file has its place"
    return node.span


def _fields(key: Scalar, value: Node) -> list[Field]:
    """A key and its value as fields.

    A list of blocks becomes a field each, as prototxt writes it.
    """
    if isinstance(value, list) and value and all(isinstance(item, Block) for item in value):
        return [Field(key.text, key.span, [item], is_list=True) for item in value]
    if isinstance(value, list):
        return [Field(key.text, key.span, value, is_list=True)]
    return [Field(key.text, key.span, [value])]
