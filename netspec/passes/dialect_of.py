"""The dialect that a net's file names in a comment: `# netspec: dialect ssd`."""

from __future__ import annotations

from netspec.diagnostics import NetspecError, Report, Span
from netspec.options import checked_dialect
from netspec.syntax.bind import Spans

_MARK = "netspec:"


def dialect_of(spans: Spans, report: Report) -> str:
    """The dialect, or "" where the file names none; one that does not exist goes to the report."""
    source = spans.value.source if spans.value else None
    if source is None or _MARK not in source.text:
        return ""
    import re  # only a file that says something to netspec pays for it

    found = re.search(r"^\s*#\s*netspec:\s*dialect\s+(\S+)", source.text, re.MULTILINE)
    if found is None:
        return ""
    try:
        return checked_dialect(found[1])
    except NetspecError as error:
        place = Span(source, found.start(1), found.end(1))
        report.diagnostics += error.restated(span=place).diagnostics
        return ""
