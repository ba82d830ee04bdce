"""Where a fault is and how it is told: Source, Span, Diagnostic, Report, NetspecError.

The only place that renders a message. Spans keep offsets; line and column are computed when printed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

ERROR, WARNING, NOTE = "error", "warning", "note"


class Source:
    """A text with its name: what spans point into."""

    __slots__ = ("_line_starts", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self._line_starts: list[int] | None = None

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        if self._line_starts is None:
            starts = [0]
            find = self.text.find
            at = find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = find("\n", at + 1)
            self._line_starts = starts
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line (from 1), without its end."""
        self.position(0)
        assert self._line_starts is not None
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")


class Span:
    """A stretch of a source: offsets start (inclusive) and end (exclusive)."""

    __slots__ = ("end", "source", "start")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.path}:{line}:{column}"

    def __repr__(self) -> str:
        return f"Span({self}..{self.end})"

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]


@dataclass(slots=True)
class Diagnostic:
    """One fault: what is wrong, where, how to mend it, and the places that have to do with it."""

    severity: str
    message: str
    span: Span | None = None
    hint: str | None = None
    notes: list[Diagnostic] = field(default_factory=list)

    def render(self) -> str:
        """The message as a user reads it: place, text, the line with carets, hint, related places."""
        lines = [f"{self.span}: {self.severity}: {self.message}" if self.span else f"{self.severity}: {self.message}"]
        if self.span and self.severity != NOTE:
            lines += _excerpt(self.span)
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        lines += [note.render() for note in self.notes]
        return "\n".join(lines)


def note(message: str, span: Span | None) -> Diagnostic:
    """A related place, to hang below a diagnostic."""
    return Diagnostic(NOTE, message, span)


def _excerpt(span: Span, width: int = 100) -> list[str]:
    number, column = span.source.position(span.start)
    line = span.source.line(number)
    length = max(1, min(span.end - span.start, len(line) - column + 1))
    indent = min(len(line) - len(line.lstrip()), column - 1)
    line, column = line[indent:], column - indent
    if column + length > width:  # a long line: keep the part around the carets
        cut = max(0, column - 1 - width // 2)
        line, column = line[cut:], column - cut
    line = line[:width].replace("\t", " ")
    length = max(1, min(length, width - column + 1))
    return ["  " + line, "  " + " " * (column - 1) + "^" * length] if line.strip() else []


class NetspecError(Exception):
    """What a user's file, data or run has wrong. `.diagnostics` holds every fault that was found."""

    def __init__(self, diagnostics: Iterable[Diagnostic] | Diagnostic | str, span: Span | None = None, hint: str | None = None) -> None:
        if isinstance(diagnostics, str):
            diagnostics = Diagnostic(ERROR, diagnostics, span, hint)
        if isinstance(diagnostics, Diagnostic):
            diagnostics = [diagnostics]
        self.diagnostics: list[Diagnostic] = list(diagnostics)
        super().__init__("\n".join(d.render() for d in self.diagnostics))


class Report:
    """Collects the faults of a pass, so that one run tells all that are independent."""

    __slots__ = ("diagnostics",)

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def error(self, message: str, span: Span | None = None, hint: str | None = None, notes: Iterable[Diagnostic] = ()) -> None:
        self.diagnostics.append(Diagnostic(ERROR, message, span, hint, list(notes)))

    def warning(self, message: str, span: Span | None = None, hint: str | None = None, notes: Iterable[Diagnostic] = ()) -> None:
        self.diagnostics.append(Diagnostic(WARNING, message, span, hint, list(notes)))

    @property
    def failed(self) -> bool:
        return any(d.severity == ERROR for d in self.diagnostics)

    def in_order(self) -> list[Diagnostic]:
        """What was collected, by its place in the file; what has no place comes first."""
        return sorted(self.diagnostics, key=lambda d: (d.span.source.path, d.span.start) if d.span else ("", -1))

    def raise_errors(self) -> None:
        """Raises NetspecError with all that was collected, if any of it is an error."""
        if self.failed:
            raise NetspecError(self.in_order())


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """A hint that names the nearest of the candidates, or None where none is near."""
    from difflib import get_close_matches  # only a net with a fault pays for it

    names = list(candidates)
    folded = {name.lower(): name for name in names}
    if word.lower() in folded:
        return f"did you mean '{folded[word.lower()]}'?"
    near = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f"did you mean '{folded[near[0]]}'?" if near else None
