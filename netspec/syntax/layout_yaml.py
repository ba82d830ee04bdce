"""The one layout of a YAML net: where its lines break, how far they are indented.

Anchors, aliases, quotes, numbers and comments stay as they were written.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import inf

from netspec.syntax.layout_prototxt import WIDTH
from netspec.syntax.yaml_nodes import MappingNode, Node, ScalarNode, SequenceNode, YamlFile

_INDENT = "  "

# The blocks around a place, the nearest last: the column of each in the source, and its indent in
# the layout. Inside of brackets columns mean nothing: inf.
_Path = tuple[tuple[float, str], ...]


def layout_yaml(text: str) -> str:
    """The text in netspec's layout; it must be one that `yaml_text.parse` takes."""
    return _Printer(YamlFile(text)).file()


class _Printer:
    def __init__(self, file: YamlFile) -> None:
        self.source = file
        self.text = file.text
        self.starts = sorted(start for start, end in file.scalars if end > start)
        self.comments = file.comments
        self.comment_starts = [start for start, _ in file.comments]
        self.next_comment = 0
        self.lines: list[str] = []
        self.done = 0  # the offset up to which the source is printed
        self.is_at_start = True  # of a block or of the file: no blank line there
        self.blocks: _Path = ((0, ""),)  # around what was printed last

    def file(self) -> str:
        root, (start, end) = self.source.root, self.source.head
        path: _Path = ((0, ""),)
        if end > start:
            self._comments_before(start, path)
            self._print(self.text[start:end].split("\n"), start, end)
        if isinstance(root, MappingNode) and root.pairs:
            if root.properties:
                self._comments_before(root.start, path)
                self._print([root.properties], root.start, root.start)
            self._mapping(root, (), "")
        elif root is not None and root.end > root.start:
            lines = root.lines if isinstance(root, ScalarNode) else ["{}"]
            self._comments_before(root.start, path)
            self._print(lines, root.start, root.end)
        self._comments_before(len(self.text), path)
        return "".join(line + "\n" for line in self.lines)

    def _mapping(
        self, node: MappingNode, around: _Path, indent: str, dash: int | None = None
    ) -> None:
        """The pairs; where the mapping is a list's item, the first one behind its dash."""
        column = inf if node.is_flow else self._column(node.pairs[0][0].start)
        path = (*around, (column, indent))
        for i, (key, value) in enumerate(node.pairs):
            text = " ".join(key.lines) or '""'
            name = text + (" :" if text.startswith("*") else ":")
            if i == 0 and dash is not None:
                prefix = f"{around[-1][1]}- {name}"
                self._entry(prefix, value, dash, key.end, path, around)
            else:
                self._entry(indent + name, value, key.start, key.end, path, path)
        self._close(node, path)

    def _sequence(self, node: SequenceNode, around: _Path, indent: str) -> None:
        dashes = [item.start if node.is_flow else self._dash(item.start) for item in node.items]
        path = (*around, (inf if node.is_flow else self._column(dashes[0]), indent))
        for item, dash in zip(node.items, dashes, strict=True):
            is_below = self._beside(item, indent + "-") is None
            if is_below and isinstance(item, MappingNode) and not item.properties:
                self._mapping(item, path, indent + _INDENT, dash)
            else:
                self._entry(indent + "-", item, dash, dash + 1, path, path)
        self._close(node, path)

    def _entry(
        self, prefix: str, value: Node, start: int, head_end: int, path: _Path, around: _Path
    ) -> None:
        """A key or a dash and its value, beside it or as a block below.

        Args: start, head_end: offsets of the key or dash. path: the blocks around the value.
            around: those around the comments above.
        """
        indent = path[-1][1] + _INDENT
        beside = self._beside(value, prefix)
        self._comments_before(start, around)
        if beside is not None:
            # from between a key and its value, or an empty list's brackets
            is_empty = not isinstance(value, ScalarNode)
            limit = value.end if is_empty else value.start
            self._comments_before(limit, around, is_forced=True)
            more = [indent + line if line else "" for line in beside[1:]]
            comment = value.comment if isinstance(value, ScalarNode) else None
            self._print([f"{prefix} {beside[0]}", *more], start, value.end, comment)
            self.blocks = path
            return
        assert not isinstance(value, ScalarNode), "a scalar stands beside its key"
        self._comments_before(head_end, around, is_forced=True)
        self._print([f"{prefix} {value.properties}"], start, head_end)
        self.blocks, self.is_at_start = path, True
        if isinstance(value, MappingNode):
            self._mapping(value, path, indent)
        else:
            self._sequence(value, path, indent)

    def _beside(self, value: Node, prefix: str) -> list[str] | None:
        """The lines of a value that stands on its key's line; None for a block."""
        if isinstance(value, ScalarNode):
            return value.lines
        text = self._one_line(value)
        is_empty = value.is_flow and not _parts(value)
        fits = text is not None and len(prefix) + 1 + len(text) <= WIDTH
        return [text or ""] if fits or is_empty else None

    def _one_line(self, node: Node) -> str | None:
        """A scalar or a flow collection on one line, however long; None for what takes more."""
        if isinstance(node, ScalarNode):
            return None if node.is_block or len(node.lines) > 1 else node.lines[0]
        if not node.is_flow:
            return None
        inside = [bisect_left(self.comment_starts, at) for at in (node.start, node.end)]
        if _parts(node) and inside[0] != inside[1]:
            return None
        texts: list[str] = []
        for part in _parts(node):
            key, value = part if isinstance(part, tuple) else (None, part)
            text, name = self._one_line(value), self._one_line(key) if key is not None else ""
            if text is None or name is None:
                return None
            colon = " : " if name.startswith("*") else ": "
            texts.append(text if key is None else name + colon + text)
        start = f"{node.properties} " if node.properties else ""
        if isinstance(node, SequenceNode):
            return f"{start}[{', '.join(texts)}]"
        is_broken = bool(texts) and "\n" in self.text[node.start : node.end]
        return None if is_broken else f"{start}{{{', '.join(texts)}}}"

    def _close(self, node: MappingNode | SequenceNode, path: _Path) -> None:
        if node.is_flow:
            self._comments_before(node.end, path, is_forced=True)
            self.done = max(self.done, node.end)

    def _comments_before(self, limit: int, path: _Path, is_forced: bool = False) -> None:
        """Prints the comments up to an offset, each in the block by whose column it stands.

        In that of the path where no other block has just been left, or where `is_forced`.
        """
        column, indent = path[-1]
        while self.next_comment < len(self.comments):
            start, text = self.comments[self.next_comment]
            if start >= limit:
                break
            own = self._column(start)
            around = [block for block in (*self.blocks, path[-1]) if block[0] <= own]
            is_here = is_forced or column == inf or own <= column or not around
            self.next_comment += 1
            self._add([(indent if is_here else max(around)[1]) + text], start, start + len(text))
        if not is_forced:
            self.blocks = path

    def _print(self, lines: list[str], start: int, end: int, comment: str | None = None) -> None:
        """Prints lines, and the comment behind them: one that is given goes behind the first."""
        first, *more = lines
        lines = [first.rstrip() + (f"  {comment}" if comment else ""), *more]
        if self.next_comment < len(self.comments):
            at, text = self.comments[self.next_comment]
            following = bisect_left(self.starts, end)
            is_last = following == len(self.starts) or self.starts[following] > at
            if is_last and "\n" not in self.text[end:at]:
                self.next_comment += 1
                lines[-1] += f"  {text}"
                end = at + len(text)
        self._add(lines, start, end)

    def _add(self, lines: list[str], start: int, end: int) -> None:
        if not self.is_at_start and self.text.count("\n", self.done, max(start, self.done)) > 1:
            self.lines.append("")
        self.lines += lines
        self.done = max(self.done, end)
        self.is_at_start = False

    def _column(self, offset: int) -> int:
        return offset - (self.text.rfind("\n", 0, offset) + 1)

    def _dash(self, at: int) -> int:
        """The dash before a list's item."""
        while True:
            at = self.text.rfind("-", 0, at)
            before = bisect_right(self.comment_starts, at) - 1
            if before < 0:
                return at
            start, text = self.comments[before]
            if at >= start + len(text):
                return at


def _parts(node: MappingNode | SequenceNode) -> list:
    return node.pairs if isinstance(node, MappingNode) else node.items
