"""Every fault of a net or a solver file, as `netspec check` reports it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

from netspec.diagnostics import WARNING, Diagnostic, NetspecError, Report, Source, note
from netspec.files.file_kind import FOREIGN_KINDS
from netspec.files.file_kind import file_kind as kind_of_file
from netspec.layers.layer_context import MISSING_DATA
from netspec.options import NetOptions
from netspec.passes.filter_state import filter_state
from netspec.passes.meant_phases import meant_phases, sources_of
from netspec.pipeline import assemble, read_net, read_text_file
from netspec.schema import caffe_pb2
from netspec.solver.solver_file import (
    check_net_paths,
    check_weight_paths,
    find_net,
    load_solver_net,
    read_solver_source,
)
from netspec.syntax.read import (
    file_kind,
    is_net_or_solver,
    may_be_net_or_solver,
    parse_source,
    without_collector,
)
from netspec.syntax.tree import Block

PHASES = ("TRAIN", "TEST")
_MAX_NOTES = 8  # of layers whose data are not there, one below the other


@dataclass(slots=True)
class Checked:
    """A file that was checked: what it is, and its faults in the order of their places."""

    path: str
    kind: str
    diagnostics: list[Diagnostic] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How files are checked.

    Args:
        net: how nets are read; its phase is not looked at.
        phases: those that come into question. Given both, a net is checked for those that its
            file means to have.
        named: the absolute paths of the files that are checked for themselves, and so not again
            with the solver that names them.
    """

    net: NetOptions = field(default_factory=lambda: NetOptions(require_shapes=False))
    phases: tuple[str, ...] = PHASES
    named: frozenset[str] = frozenset()


def check_file(path: str, options: CheckOptions | None = None) -> Checked:
    """Every fault of a file; with a solver go the nets that it names."""
    try:
        source = read_text_file(path)
    except NetspecError as error:
        return Checked(path, "not read", error.diagnostics)
    return check_source(source, options)


def check_found_file(path: str, options: CheckOptions | None = None) -> Checked | None:
    """The same of a file that nobody named; None where it is neither a net nor a solver."""
    try:
        source = read_text_file(path)
    except NetspecError as error:
        is_foreign = kind_of_file(path) in FOREIGN_KINDS
        return None if is_foreign else Checked(path, "not read", error.diagnostics)
    try:
        block = parse_source(source)
    except NetspecError as error:
        is_meant = may_be_net_or_solver(source)
        return Checked(path, "not read", error.diagnostics) if is_meant else None
    return check_source(source, options, block) if is_net_or_solver(block) else None


def check_source(
    source: Source, options: CheckOptions | None = None, block: Block | None = None
) -> Checked:
    """Every fault of a text. `block` is its tree where it is parsed already."""
    options = options or CheckOptions()
    report = Report()
    with without_collector():
        try:
            block = block or parse_source(source)
            if file_kind(block) is caffe_pb2.SolverParameter:
                kind = _check_solver(source, options, report)
            else:
                kind = _check_net(source, block, options, report)
        except NetspecError as error:
            return Checked(source.path, "not read", error.diagnostics)
    return Checked(source.path, kind, _one_for_missing_data(report.in_order()))


def _check_net(source: Source, block: Block, options: CheckOptions, report: Report) -> str:
    message, spans = read_net(source, report, block)
    if spans.value is None:  # nothing was bound
        return "not a net"
    common = list(report.diagnostics)
    states = {phase: caffe_pb2.NetState() for phase in options.phases}
    for phase, state in states.items():
        state.CopyFrom(message.state)
        state.MergeFrom(replace(options.net, phase=phase).state)
    kept = {phase: filter_state(message, spans, state, Report()) for phase, state in states.items()}
    phases, warnings = meant_phases(message, spans, kept)
    report.diagnostics += warnings
    for phase in phases:
        here = Report()
        here.diagnostics += common
        sources = sources_of(kept[phase])
        given = {name: shape for name, shape in options.net.inputs.items() if name in sources}
        assemble(message, spans, states[phase], here, replace(options.net, inputs=given))
        report.diagnostics += here.diagnostics[len(common) :]
    return " and ".join(phases) + " net"


def _check_solver(source: Source, options: CheckOptions, report: Report) -> str:
    """The faults of a solver file, of its nets, and of the paths that it names."""
    file = read_solver_source(source, report)
    check_net_paths(file, report)
    check_weight_paths(file, report)
    others: set[str] = set()
    unread: set[str] = set()
    for net in file.nets:
        found = find_net(net, file) if net.message is None else None
        is_elsewhere = net.message is None and (
            found is None or found in unread or os.path.abspath(found) in options.named
        )
        phase = caffe_pb2.Phase.Name(net.phase)
        if is_elsewhere or not net.is_state_known or phase not in options.phases:
            continue
        others.update([found] if found else [])
        inner = Report()
        # as in Caffe, the command line's level and stages are the train net's
        is_train = net.phase == caffe_pb2.TRAIN
        own = options.net if is_train else replace(options.net, level=0, stages=())
        try:
            load_solver_net(net, file, inner, own)
        except NetspecError as error:  # the net can't be parsed
            inner.diagnostics += error.diagnostics
            unread.update([found] if found else [])
        report.diagnostics += inner.diagnostics
    if not others:
        return "solver"
    return f"solver and its {'net' if len(others) == 1 else 'nets'}"


def _one_for_missing_data(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """One warning for all data that are not there.

    On a machine without them it is the same for each layer that reads some.
    """
    told: list[Diagnostic] = []
    more: list[Diagnostic] = []
    first: Diagnostic | None = None
    for each in diagnostics:
        if each.kind != MISSING_DATA or each.severity != WARNING:
            told.append(each)
        elif first is None:
            first = each
            told.append(each)
        else:
            more.append(note(each.message, each.span))
    if first is not None:
        first.notes += more[:_MAX_NOTES]
        if len(more) > _MAX_NOTES:
            first.notes.append(
                note(
                    f"the data of {len(more) - _MAX_NOTES} more layers do not exist",
                    more[_MAX_NOTES].span,
                )
            )
    return told
