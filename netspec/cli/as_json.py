"""Places and diagnostics as JSON values, for the commands with `--format json`."""

from __future__ import annotations

from typing import Any

from netspec.diagnostics import Diagnostic, Span


def span_as_json(span: Span | None) -> dict[str, Any] | None:
    """Where something stands; None for no place, line and column None for a file as a whole."""
    if span is None:
        return None
    position = span.source.position(span.start) if span.source.text else (None, None)
    return {"path": span.source.path, "line": position[0], "column": position[1]}


def diagnostic_as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """A fault with its notes.

    `rule` is that of an advice, `suggestions` are the names that its hint suggests.
    """
    hint = diagnostic.hint
    return {
        "severity": diagnostic.severity,
        "rule": diagnostic.rule or None,
        "message": diagnostic.message,
        "span": span_as_json(diagnostic.span),
        "hint": str(hint) if hint else None,
        "suggestions": list(hint.names) if hint else [],
        "notes": [diagnostic_as_json(note) for note in diagnostic.notes],
    }
