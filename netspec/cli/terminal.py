"""Diagnostics on the terminal.

Each kind once with its count and lines, in colours and with line numbers where it has them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import TextIO

from netspec.diagnostics import (
    ADVICE,
    ERROR,
    NOTE,
    WARNING,
    Diagnostic,
    counted,
    excerpt,
    printable,
)
from netspec.schema import caffe_pb2

COLOR_CHOICES = ("auto", "always", "never")
MAX_KINDS = 20  # of a file that are shown
_MAX_LINES = 8  # of a kind that are named
_HOW_TO_SEE_ALL = "netspec check --all shows them"
RED, GREEN, YELLOW, CYAN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
_RESET, _BOLD, _GUTTER, _HINT = "\x1b[0m", "\x1b[1m", "\x1b[1;34m", "\x1b[36m"
_COLORS = {
    ERROR: "\x1b[1;31m",
    WARNING: "\x1b[1;33m",
    NOTE: "\x1b[1;34m",
    ADVICE: "\x1b[1;35m",
}
_RANKS = (ERROR, WARNING, ADVICE, NOTE)  # what is left out last, first
_QUOTED = re.compile(r"(\w+ )?'([^']*)'")
_GOT = re.compile(r"\bgot .*")
_NUMBERS = re.compile(r"(?<!\w)-?[0-9][0-9.]*(?:e[+-]?[0-9]+)?(?:×[0-9]+)*")

_color = "auto"  # what --color says


def set_color(choice: str) -> None:
    """Takes the value of --color, for the whole of the process."""
    global _color
    _color = choice


def has_colors(stream: TextIO | None = None) -> bool:
    """Whether a stream is written in colours: stderr, on which diagnostics are, or another one.

    --color decides, else NO_COLOR, FORCE_COLOR, and whether the stream is a terminal.
    """
    if _color != "auto":
        return _color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return (stream or sys.stderr).isatty() and os.environ.get("TERM") != "dumb"


def painter(stream: TextIO) -> Callable[[str, str], str]:
    """What gives a text one of the colours above, on a stream that is written in colours."""
    if not has_colors(stream):
        return lambda text, color: text
    return lambda text, color: f"{color}{text}{_RESET}"


def show(
    diagnostics: Iterable[Diagnostic], every: bool = False, how_to_see_all: str = _HOW_TO_SEE_ALL
) -> None:
    """Prints diagnostics to stderr: the first of each kind, at most MAX_KINDS of a file.

    `every` shows them all.
    """
    found = list(diagnostics)
    lines = _in_full(found) if every else _by_kind(found, how_to_see_all)
    if lines:
        print("\n".join(lines), file=sys.stderr)


def _in_full(diagnostics: list[Diagnostic]) -> list[str]:
    render = _colored if has_colors() else Diagnostic.render
    return [render(diagnostic) for diagnostic in diagnostics]


def _by_kind(diagnostics: list[Diagnostic], how_to_see_all: str) -> list[str]:
    files: dict[str, dict[tuple[str, str], list[Diagnostic]]] = {}
    for each in diagnostics:
        kinds = files.setdefault(each.span.source.path if each.span else "", {})
        kinds.setdefault((each.severity, each.kind or kind_of(each.message)), []).append(each)
    lines: list[str] = []
    for path, kinds in files.items():
        groups = list(kinds.values())
        ranked = sorted(range(len(groups)), key=lambda i: _RANKS.index(groups[i][0].severity))
        shown = sorted(ranked[:MAX_KINDS])
        for i in shown:
            lines += _in_full(groups[i][:1]) + _more(groups[i])
        hidden = [each for i in ranked[MAX_KINDS:] for each in groups[i]]
        if hidden:
            lines.append(
                f"{printable(path)}: {counts(hidden, 'more ')} not shown; {how_to_see_all}"
            )
    return lines


def _more(group: list[Diagnostic]) -> list[str]:
    """How many more of a kind there are, and on which lines."""
    if len(group) == 1:
        return []
    numbers = list(
        dict.fromkeys(
            str(each.span.line) for each in group[1:] if each.span and each.span.source.text
        )
    )
    shown = ", ".join(numbers[:_MAX_LINES]) + (", …" if len(numbers) > _MAX_LINES else "")
    where = f", at {'line' if len(numbers) == 1 else 'lines'} {shown}" if numbers else ""
    return [f"  … and {len(group) - 1} more like this{where}"]


def counts(diagnostics: list[Diagnostic], more: str = "") -> str:
    """How many there are: 2 errors, 1 warning, 1 piece of advice; nothing where there is none."""
    found = [
        (sum(each.severity == severity for each in diagnostics), severity) for severity in _RANKS
    ]
    return ", ".join(_counted(number, severity, more) for number, severity in found if number)


def _counted(number: int, severity: str, more: str) -> str:
    if severity == ADVICE:
        return f"{counted(number, more + 'piece')} of advice"
    return counted(number, more + severity)


def kind_of(message: str) -> str:
    """What messages of one kind share.

    It leaves out the names that the user gave, numbers, and values that were got.
    """
    return _NUMBERS.sub("0", _GOT.sub("got", _QUOTED.sub(_same, message)))


def _same(match: re.Match[str]) -> str:
    before, word = match[1] or "", match[2]
    keeps = before in ("field ", "type ", "filler ", "module ") or (
        before not in ("layer ", "blob ") and word in _schema_words()
    )
    return match[0] if keeps else before + "''"


@cache
def _schema_words() -> frozenset[str]:
    return frozenset(
        field.name
        for message in caffe_pb2.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
    )


def _colored(diagnostic: Diagnostic) -> str:
    """The message in colours, its line with a number in front, as compilers show them."""
    color = _COLORS[diagnostic.severity]
    lines = [f"{color}{diagnostic.severity}{_RESET}{_BOLD}: {diagnostic.text}{_RESET}"]
    span = diagnostic.span
    number = str(span.line) if span and span.source.text else ""
    margin = " " * len(number)
    if span:
        lines.append(f"{margin}{_GUTTER}-->{_RESET} {printable(str(span))}")
    shown = excerpt(span) if span else []
    if shown:
        line, carets = shown
        bar = f"{_GUTTER}|{_RESET}"
        lines += [
            f"{margin} {bar}",
            f"{_GUTTER}{number} |{_RESET} {line}",
            f"{margin} {bar} {color}{carets}{_RESET}",
        ]
    if diagnostic.hint:
        lines.append(
            f"{margin} {_GUTTER}={_RESET} {_HINT}hint{_RESET}: {printable(str(diagnostic.hint))}"
        )
    return "\n".join([*lines, *map(_colored, diagnostic.notes)])
