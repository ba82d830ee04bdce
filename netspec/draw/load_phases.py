"""The nets that one file makes, as many as a drawing lays over each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from netspec.diagnostics import NOTE, Diagnostic, NetspecError, Report, Source, whole_file
from netspec.graph import Net
from netspec.options import NetOptions
from netspec.pipeline import load_source, load_with_faults, read_text_file

PHASES = ("TRAIN", "TEST", "ALL")


def load_phases(
    path: str | Path | Source,
    phase: str = "ALL",
    options: NetOptions | None = None,
    report: Report | None = None,
    draws_faulty: bool = True,
) -> list[Net]:
    """The net of a phase, or for ALL those of both.

    A picture needs no shapes, so data need not be there.

    A file that makes no net for one of the phases (no layers, or faults in them) is drawn for the
    other; the report says so. One with faults for every phase is drawn with them where unknown
    words are allowed, unless `draws_faulty` is false.

    Raises: NetspecError where nothing is left to draw.
    """
    report = report or Report()
    nets: list[Net] = []
    faults: list[Diagnostic] = []
    source = path if isinstance(path, Source) else read_text_file(path)
    path = source.path
    options = replace(options or NetOptions(), require_shapes=False)
    for one in PHASES[:2] if phase == "ALL" else (phase,):
        warnings = Report()
        try:
            net = load_source(source, replace(options, phase=one), warnings)
        except NetspecError as error:
            _add_new(faults, error.diagnostics)
            continue
        _add_new(report.diagnostics, warnings.diagnostics)
        if net.layers:
            nets.append(net)
    if faults and not nets and options.allow_unknown and draws_faulty:
        nets, faults = _with_faults(source, phase, options, report), []
    if not nets:
        raise NetspecError(
            faults
            or f"'{path}' has no layers for {'any phase' if phase == 'ALL' else f'phase {phase}'}",
            whole_file(path),
        )
    if faults:
        drawn = nets[0].phase
        report.diagnostics += [
            *faults,
            Diagnostic(
                NOTE,
                f"only the {drawn} net is drawn, for the other phase's has errors",
                whole_file(path),
            ),
        ]
    return nets


def _with_faults(source: Source, phase: str, options: NetOptions, report: Report) -> list[Net]:
    """The nets as far as they go. Raises: NetspecError where the text can't be parsed."""
    nets = []
    for one in PHASES[:2] if phase == "ALL" else (phase,):
        found = Report()
        net = load_with_faults(source, replace(options, phase=one), found)
        _add_new(report.diagnostics, found.diagnostics)
        nets += [net] if net.layers else []
    return nets


def _add_new(known: list[Diagnostic], found: Iterable[Diagnostic]) -> None:
    """Adds what isn't reported yet: the phases share most layers, and so their faults."""
    reported = {(d.message, d.span.start if d.span else None) for d in known}
    known += [d for d in found if (d.message, d.span.start if d.span else None) not in reported]
