"""From a net's file to what its page shows: the net, or the faults that keep it from being one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netspec.diagnostics import ERROR, Diagnostic, NetspecError, Report, Source
from netspec.draw.load_phases import load_phases
from netspec.graph import Net
from netspec.options import NetOptions
from netspec.page.describe import describe, faults
from netspec.pipeline import read_text_file


@dataclass(slots=True)
class Page:
    """What a page shows of a file as it stands: `data` is None where no net can be drawn."""

    data: dict[str, Any] | None
    faults: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""


def load_page(
    path: str | Path | Source,
    phase: str = "ALL",
    options: NetOptions | None = None,
    report: Report | None = None,
    draws_faulty: bool = True,
) -> Page:
    """A net's page. Raises: NetspecError where the file does not make a net.

    Args: draws_faulty: a net with faults is drawn as far as it goes, if unknown words are allowed.
    """
    report = report or Report()
    nets = load_phases(path, phase, options, report, draws_faulty)
    source = _source(nets, path)
    data = describe(nets, source)
    found = faults(report.in_order(), source)
    data["faults"] = found
    return Page(data, found, source.text)


def page_or_faults(path: str | Path, load: Callable[[], Page], takes_faulty: bool = False) -> Page:
    """A net's page, or its faults and its text where it does not make a net.

    Args: takes_faulty: one that is drawn with its errors is a page too.
    """
    try:
        page = load()
        if not takes_faulty and any(fault["severity"] == ERROR for fault in page.faults):
            page.data = None  # drawn as far as it goes, but no net
        return page
    except NetspecError as error:
        return Page(None, *_faulty(error.diagnostics, path))


def _faulty(found: list[Diagnostic], path: str | Path) -> tuple[list[dict[str, Any]], str]:
    try:
        source = read_text_file(path)
    except NetspecError:
        source = Source(str(path), "")
    sources = (each.span.source for each in found if each.span)
    own = next((each for each in sources if each.text == source.text), source)
    return faults(found, own), source.text


def _source(nets: list[Net], path: str | Path | Source) -> Source:
    if isinstance(path, Source):
        return path
    spans = (layer.span for net in nets for layer in net.layers)
    return next((span.source for span in spans if span is not None), None) or read_text_file(path)
