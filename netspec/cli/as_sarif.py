"""Checked files as SARIF 2.1.0, the format of GitHub's code scanning and of editors.

Source: the OASIS standard "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from netspec import __version__
from netspec.advice import RULES
from netspec.advice.page import rule_page
from netspec.advice.rule import Rule
from netspec.check_file import Checked
from netspec.diagnostics import ERROR, WARNING, Diagnostic, Span, printable

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {ERROR: "error", WARNING: "warning"}


def as_sarif(files: list[Checked]) -> dict[str, Any]:
    """The log of one run over all of the files."""
    found = [diagnostic for file in files for diagnostic in file.diagnostics]
    names = list(dict.fromkeys(each.rule for each in found if each.rule))
    rules = [_rule(RULES[name]) for name in names]
    driver = {"name": "netspec", "semanticVersion": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": _location(file.path)} for file in files],
        "results": [_result(diagnostic, names) for diagnostic in found],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.summary},
        "help": {"text": rule_page(rule)},
        "defaultConfiguration": {"level": "note"},
    }


def _result(diagnostic: Diagnostic, rules: list[str]) -> dict[str, Any]:
    text = printable(diagnostic.message)
    if diagnostic.hint:
        text += f"\nhint: {printable(str(diagnostic.hint))}"
    result: dict[str, Any] = {
        "level": _LEVELS.get(diagnostic.severity, "note"),
        "message": {"text": text},
    }
    if diagnostic.rule:
        result |= {"ruleId": diagnostic.rule, "ruleIndex": rules.index(diagnostic.rule)}
    if diagnostic.span:
        result["locations"] = [{"physicalLocation": _physical(diagnostic.span)}]
    related = [
        {"message": {"text": printable(note.message)}, "physicalLocation": _physical(note.span)}
        for note in diagnostic.notes
        if note.span
    ]
    if related:
        result["relatedLocations"] = related
    return result


def _physical(span: Span) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": _location(span.source.path)}
    if span.source.text:  # else a file as a whole
        (line, column), (end_line, end_column) = map(
            span.source.position, (span.start, max(span.end, span.start + 1))
        )
        place["region"] = {
            "startLine": line,
            "startColumn": column,
            "endLine": end_line,
            "endColumn": end_column,
        }
    return place


def _location(path: str) -> dict[str, str]:
    """A path as a URI: relative to the working directory, as it was given, or absolute."""
    if os.path.isabs(path):
        return {"uri": Path(path).as_uri()}
    return {"uri": quote(Path(path).as_posix().encode(errors="surrogateescape"))}
