"""Where a fault is and how it is reported: Source, Span, Diagnostic, Report, NetspecError.

This is the only place that renders a message. Spans keep offsets; line and column are computed
when printed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from netspec.hint import Hint, as_hint, did_you_mean

ERROR, WARNING, NOTE = "error", "warning", "note"
ADVICE = "advice"  # valid but probably not intended: rules of netspec/advice give it
_LONGEST = 1000  # characters of a message that are shown
_MAX_HINTS = 100  # a report with more faults than this is crowded


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
        if not self.source.text:  # a file as a whole, which has no line to show
            return self.source.path
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


def whole_file(path: object) -> Span:
    """The place of what is wrong with a file as a whole: its path without a line."""
    return Span(Source(str(path), ""), 0, 0)


@dataclass(slots=True)
class Diagnostic:
    """One fault: what is wrong, where, how to fix it, and the places that have to do with it.

    `kind` is one for faults that are shown together where their messages do not show that they are
    of a kind; `before` is the place in the file that the fault is listed before, where that is not
    its span. `rule` is the name of the rule that an advice comes from.
    """

    severity: str
    message: str
    span: Span | None = None
    hint: Hint | None = None
    notes: list[Diagnostic] = field(default_factory=list)
    kind: str = ""
    before: Span | None = None
    rule: str = ""

    @property
    def text(self) -> str:
        """The message as it may go to a terminal, with the name of its rule."""
        return printable(self.message) + (f" [{self.rule}]" if self.rule else "")

    def render(self) -> str:
        """The message as a user reads it.

        It has the place, the text, the line with carets, the hint and the related places.
        """
        message = self.text
        lines = [
            f"{printable(str(self.span))}: {self.severity}: {message}"
            if self.span
            else f"{self.severity}: {message}"
        ]
        if self.span and self.severity != NOTE:
            lines += ["  " + line for line in excerpt(self.span)]
        if self.hint:
            lines.append(f"  hint: {printable(str(self.hint))}")
        lines += [note.render() for note in self.notes]
        return "\n".join(lines)


def restated(
    diagnostics: Iterable[Diagnostic], prefix: str = "", span: Span | None = None
) -> list[Diagnostic]:
    """The same faults at another place, such as those of a file at the field that names it.

    Args:
        prefix: what the messages are about there, such as "layer 'loss': ".
    """
    return [
        Diagnostic(each.severity, prefix + each.message, span, each.hint, list(each.notes))
        for each in diagnostics
    ]


def note(message: str, span: Span | None) -> Diagnostic:
    """A related place, to hang below a diagnostic."""
    return Diagnostic(NOTE, message, span)


def printable(text: str) -> str:
    """A text from a user's file as it may go to a terminal.

    Control characters become escapes, and a long text is cut.
    """
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "…"
    return (
        text
        if text.isprintable()
        else "".join(char if char.isprintable() else _escape(char) for char in text)
    )


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def _columns(text: str) -> int:
    """How many columns of a terminal a text fills: Chinese characters fill two."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


def excerpt(span: Span, width: int = 100) -> list[str]:
    """The line where a span begins and the carets below it; nothing where the line is empty."""
    number, column = span.source.position(span.start)
    line = span.source.line(number)
    length = max(1, min(span.end - span.start, len(line) - column + 1))
    indent = min(len(line) - len(line.lstrip()), column - 1)
    line, column = line[indent:], column - indent
    if column + length > width:  # a long line: keep the part around the carets
        cut = max(0, column - 1 - width // 2)
        line, column = line[cut:], column - cut
    line = "".join(
        char if char.isprintable() else " " if char == "\t" else "\ufffd" for char in line[:width]
    )
    before, marked = (
        line[: column - 1],
        line[column - 1 : column - 1 + max(1, min(length, width - column + 1))],
    )
    return [line, " " * _columns(before) + "^" * max(1, _columns(marked))] if line.strip() else []


class NetspecError(Exception):
    """What a user's file, data or run has wrong.

    `.diagnostics` holds every fault that was found.
    """

    def __init__(
        self,
        diagnostics: Iterable[Diagnostic] | Diagnostic | str,
        span: Span | None = None,
        hint: Hint | str | None = None,
    ) -> None:
        if isinstance(diagnostics, str):
            diagnostics = Diagnostic(ERROR, diagnostics, span, as_hint(hint))
        if isinstance(diagnostics, Diagnostic):
            diagnostics = [diagnostics]
        self.diagnostics: list[Diagnostic] = list(diagnostics)
        self.item: int | None = None  # which item of a batch is at fault, where one is
        self.blob: str | None = None  # the blob whose item it is, where that is known
        super().__init__("\n".join(d.render() for d in self.diagnostics))

    def restated(self, prefix: str = "", span: Span | None = None) -> NetspecError:
        """The same faults at another place: see the function `restated`."""
        return NetspecError(restated(self.diagnostics, prefix, span))


class Report:
    """Collects the faults of a pass, so that one run reports all that are independent.

    With `allow_unknown` a field, word or layer type that netspec does not know is a warning.
    """

    __slots__ = ("_unknown", "allow_unknown", "diagnostics")

    def __init__(self, allow_unknown: bool = False) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.allow_unknown = allow_unknown
        self._unknown: set[str] = set()

    def error(
        self,
        message: str,
        span: Span | None = None,
        hint: Hint | str | None = None,
        notes: Iterable[Diagnostic] = (),
        before: Span | None = None,
    ) -> None:
        fault = Diagnostic(ERROR, message, span, as_hint(hint), list(notes), before=before)
        self.diagnostics.append(fault)

    def warning(
        self,
        message: str,
        span: Span | None = None,
        hint: Hint | str | None = None,
        notes: Iterable[Diagnostic] = (),
        kind: str = "",
    ) -> None:
        fault = Diagnostic(WARNING, message, span, as_hint(hint), list(notes), kind)
        self.diagnostics.append(fault)

    def unknown(
        self,
        message: str,
        span: Span | None = None,
        hint: Hint | str | None = None,
        before: Span | None = None,
    ) -> None:
        """Reports a word that netspec does not know.

        It is an error, or where unknown words are allowed one warning for all its places.
        """
        if not self.allow_unknown:
            self.error(message, span, hint, before=before)
        elif message not in self._unknown:
            self._unknown.add(message)
            fault = Diagnostic(WARNING, message, span, as_hint(hint), before=before)
            self.diagnostics.append(fault)

    @property
    def failed(self) -> bool:
        return any(d.severity == ERROR for d in self.diagnostics)

    def in_order(self) -> list[Diagnostic]:
        """What was collected, each once, by its place in the file.

        What has no place comes first.
        """
        ordered = sorted(self.diagnostics, key=_place)
        # A YAML anchor that several layers use is bound for each of them, so that its faults
        # are reported for each.
        once = {
            (d.severity, d.message, d.span and (d.span.source.path, d.span.start)): d
            for d in reversed(ordered)
        }
        return list(reversed(once.values()))

    @property
    def is_crowded(self) -> bool:
        """Whether so much is wrong that hints, which cost time, help no more."""
        return len(self.diagnostics) >= _MAX_HINTS

    def near(self, word: str, candidates: Iterable[str]) -> Hint | None:
        """A hint that suggests the nearest of the candidates, unless the report is crowded."""
        return None if self.is_crowded else did_you_mean(word, candidates)

    def raise_errors(self, strict: bool = False) -> None:
        """Raises NetspecError with all that was collected, if any of it is an error.

        With `strict` a warning is an error.
        """
        if strict:
            self.diagnostics = as_errors(self.diagnostics)
        if self.failed:
            raise NetspecError(self.in_order())


def as_errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics with every warning and advice as an error."""
    return [replace(d, severity=ERROR) if d.severity != NOTE else d for d in diagnostics]


def as_warnings(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics with every error as a warning."""
    return [replace(d, severity=WARNING) if d.severity == ERROR else d for d in diagnostics]


def _place(diagnostic: Diagnostic) -> tuple[str, int, bool]:
    span = diagnostic.before or diagnostic.span
    return (span.source.path, span.start, diagnostic.before is None) if span else ("", -1, True)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 top, 2 tops."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def os_reason(error: Exception) -> str:
    """What an error of the system says of a file, without its number and the file's name."""
    return getattr(error, "strerror", None) or str(error)
