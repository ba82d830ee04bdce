"""How the text of a Python file is laid out: lines that fit, imports in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

WIDTH = 100
_OPEN, _CLOSE = "([{", ")]}"


def signature(head: str, returned: str) -> list[str]:
    """The line of a def, or its arguments on lines of their own."""
    lines = wrapped(head, WIDTH - len(returned))
    return [*lines[:-1], lines[-1] + returned]


def wrapped(line: str, width: int = WIDTH) -> list[str]:
    """A statement in lines that fit, broken behind the commas of its last brackets."""
    if len(line) <= width:
        return [line]
    start, end = _outermost(line)
    if end - start < 2:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    inner = f"{indent}    "
    parts = list(_parts(line[start + 1 : end]))
    together = inner + ", ".join(parts)
    if len(together) <= WIDTH:
        body = [together]
    else:
        body = [each for part in parts for each in wrapped(f"{inner}{part},")]
    return [line[: start + 1], *body, f"{indent}{line[end:]}"]


def _outermost(line: str) -> tuple[int, int]:
    """Where the last pair of brackets that no other one holds begins and ends; (0, 0) for none."""
    start = end = depth = 0
    for i, char in _outside_strings(line):
        if char in _OPEN:
            if depth == 0:
                start = i
            depth += 1
        elif char in _CLOSE:
            depth -= 1
            if depth == 0:
                end = i
    return start, end


def _parts(text: str) -> Iterator[str]:
    """What commas outside of brackets separate."""
    depth = begin = 0
    for i, char in _outside_strings(text):
        depth += (char in _OPEN) - (char in _CLOSE)
        if char == "," and depth == 0:
            yield text[begin:i].strip()
            begin = i + 1
    if text[begin:].strip():
        yield text[begin:].strip()


def _outside_strings(text: str) -> Iterator[tuple[int, str]]:
    """The characters that are not within a string, or part of a comment."""
    quote, escaped = "", False
    for i, char in enumerate(text):
        if quote:
            if char == quote and not escaped:
                quote = ""
            escaped = char == "\\" and not escaped
        elif char in "'\"":
            quote = char
        elif char == "#":
            return
        else:
            yield i, char


def import_lines(statements: set[str]) -> list[str]:
    """Import statements in order, the standard library's first; one for all names of a module."""
    modules: set[str] = set()
    names: dict[str, set[str]] = defaultdict(set)
    for statement in statements:
        if statement.startswith("import "):
            modules.add(statement)
        else:
            module, _, name = statement.removeprefix("from ").partition(" import ")
            names[module].add(name)
    joined = [f"from {module} import {', '.join(sorted(found))}" for module, found in names.items()]
    lines = [*sorted(modules), *sorted(joined)]
    foreign = [line for line in lines if line.split()[1].partition(".")[0] in ("torch", "numpy")]
    return [*(line for line in lines if line not in foreign), "", *foreign]
