"""Diagnostics as GitHub's workflow commands, which annotate the lines of a pull request.

Source: GitHub's "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from netspec.diagnostics import ERROR, WARNING, Diagnostic, printable

_COMMANDS = {ERROR: "error", WARNING: "warning"}


def as_workflow_command(diagnostic: Diagnostic) -> str:
    """One line: `::error file=net.prototxt,line=3,col=5,…::message`."""
    properties: dict[str, object] = {}
    span = diagnostic.span
    if span:
        properties["file"] = span.source.path
    if span and span.source.text:
        line, column = span.source.position(span.start)
        end_line, end_column = span.source.position(max(span.end, span.start + 1))
        properties |= {"line": line, "endLine": end_line, "col": column, "endColumn": end_column}
        if end_line != line:  # columns count only within a line
            del properties["endColumn"]
    if diagnostic.rule:
        properties["title"] = diagnostic.rule
    message = [printable(diagnostic.message)]
    if diagnostic.hint:
        message.append(f"hint: {printable(str(diagnostic.hint))}")
    message += [f"{note.span}: {printable(note.message)}" for note in diagnostic.notes]
    command = _COMMANDS.get(diagnostic.severity, "notice")
    stated = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    head = f"{command} {stated}" if stated else command
    return f"::{head}::" + _data("\n".join(message))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: object) -> str:
    return _data(str(value)).replace(":", "%3A").replace(",", "%2C")
