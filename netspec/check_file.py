"""Every fault of a net or a solver file, as `netspec check` reports it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

from netspec.advice.advise import Advice
from netspec.advice.rule import CheckedNet, CheckedSolver, Rule
from netspec.diagnostics import WARNING, Diagnostic, NetspecError, Report, Source, note
from netspec.files.file_kind import FOREIGN_KINDS
from netspec.files.file_kind import file_kind as kind_of_file
from netspec.layers.layer_context import MISSING_DATA
from netspec.options import NetOptions
from netspec.passes.filter_state import filter_state
from netspec.passes.meant_phases import meant_phases, sources_of
from netspec.pipeline import assemble, read_net, read_text_file
from netspec.schema import caffe_pb2
from netspec.solver.solver_file import NetSource, SolverFile, read_solver_source
from netspec.solver.solver_net import (
    build_solver_net,
    check_net_paths,
    check_weight_paths,
    find_net,
    read_solver_net,
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
        phases: those to check. Given both, a net is checked for those that its
            file means to have.
        named: the absolute paths of the files that are checked for themselves, and so not again
            with the solver that names them.
        rules: those of advice; none gives none.
    """

    net: NetOptions = field(default_factory=lambda: NetOptions(require_shapes=False))
    phases: tuple[str, ...] = PHASES
    named: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()


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
    report, advice = Report(), Advice(options.rules)
    with without_collector():
        try:
            block = block or parse_source(source)
            form = file_kind(block)
            check = _check_solver if form is caffe_pb2.SolverParameter else _check_net
            kind = check(source, block, options, report, advice)
        except NetspecError as error:
            return Checked(source.path, "not read", error.diagnostics)
        if options.rules and not report.failed:
            advice.text(source, block, form)
            report.diagnostics += advice.diagnostics(source, options.phases == PHASES)
    return Checked(source.path, kind, _one_for_missing_data(report.in_order()))


def _check_net(
    source: Source, block: Block, options: CheckOptions, report: Report, advice: Advice
) -> str:
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
    nets: list[CheckedNet] = []
    for phase in phases:
        here = Report()
        here.diagnostics += common
        sources = sources_of(kept[phase])
        given = {name: shape for name, shape in options.net.inputs.items() if name in sources}
        net = assemble(message, spans, states[phase], here, replace(options.net, inputs=given))
        nets.append(CheckedNet(net, message, spans))
        report.diagnostics += here.diagnostics[len(common) :]
    if options.rules and not report.failed:
        for checked in nets:
            advice.net(checked)
    return " and ".join(phases) + " net"


def _check_solver(
    source: Source, block: Block, options: CheckOptions, report: Report, advice: Advice
) -> str:
    """The faults of a solver file, of its nets, and of the paths that it names."""
    file = read_solver_source(source, report)
    check_net_paths(file, report)
    check_weight_paths(file, report)
    checks = _SolverNets(file, options, report)
    nets = [(net, checks.check(net)) for net in file.nets]
    if options.rules and not report.failed:
        for _, (checked, is_own) in nets:
            if checked is not None and is_own:
                advice.net(checked)
        advice.solver(CheckedSolver(file, [(net, checked) for net, (checked, _) in nets]))
    if not checks.others:
        return "solver"
    return f"solver and its {'net' if len(checks.others) == 1 else 'nets'}"


class _SolverNets:
    """Checks the nets of a solver; `others` are the files that were checked with it."""

    def __init__(self, file: SolverFile, options: CheckOptions, report: Report) -> None:
        self._file, self._options, self._report = file, options, report
        self._unread: set[str] = set()
        self.others: set[str] = set()

    def check(self, net: NetSource) -> tuple[CheckedNet | None, bool]:
        """The net, None where it has errors, and whether its faults are reported here.

        Those of a file that is checked for itself are reported there; it is read for rules alone.
        """
        options = self._options
        found = find_net(net, self._file) if net.message is None else None
        is_missing = net.message is None and (found is None or found in self._unread)
        is_elsewhere = found is not None and os.path.abspath(found) in options.named
        phase = caffe_pb2.Phase.Name(net.phase)
        if is_missing or not net.is_state_known or phase not in options.phases:
            return None, False
        if is_elsewhere and not options.rules:
            return None, False
        if found and not is_elsewhere:
            self.others.add(found)
        inner = Report()
        # as in Caffe, the command line's level and stages are the train net's
        is_train = net.phase == caffe_pb2.TRAIN
        own = options.net if is_train else replace(options.net, level=0, stages=())
        checked = None
        try:
            text = read_solver_net(net, self._file, inner)
            built = build_solver_net(net, text, inner, own)
            checked = CheckedNet(built, text.message, text.spans)
        except NetspecError as error:  # the net can't be parsed
            inner.diagnostics += error.diagnostics
            self._unread.update([found] if found else [])
        if not is_elsewhere:
            self._report.diagnostics += inner.diagnostics
        return None if inner.failed else checked, not is_elsewhere


def _one_for_missing_data(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """One warning for all data that are not there.

    On a machine without them it is the same for each layer that reads some.
    """
    shown: list[Diagnostic] = []
    more: list[Diagnostic] = []
    first: Diagnostic | None = None
    for each in diagnostics:
        if each.kind != MISSING_DATA or each.severity != WARNING:
            shown.append(each)
        elif first is None:
            first = each
            shown.append(each)
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
    return shown
