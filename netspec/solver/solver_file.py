"""The solver file, read and checked, and where its nets come from.

Source: Caffe's Solver::InitTrainNet, InitTestNets; UpgradeSolverAsNeeded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from netspec.diagnostics import WARNING, Diagnostic, Report, Source, Span
from netspec.hint import nearest
from netspec.passes.upgrade import upgrade_solver
from netspec.pipeline import read_text_file
from netspec.schema import caffe_pb2
from netspec.solver.check_solver import TRAIN_NETS, check_solver
from netspec.syntax.bind import Spans, bind
from netspec.syntax.read import parse_source, require_kind, without_collector
from netspec.syntax.tree import Block, Scalar

# unknown fields that are looked at for what they may have meant, which takes time
_MAX_STRANGERS = 100


@dataclass(frozen=True, slots=True)
class NetSource:
    """Where one of the solver's nets comes from, and the state it is built for."""

    path: str | None  # None where the net stands inside the solver file
    message: caffe_pb2.NetParameter | None
    spans: Spans | None
    phase: caffe_pb2.Phase
    given: caffe_pb2.NetState  # train_state, or its test_state
    span: Span | None  # where the solver file names it
    iterations: int = 0  # test_iter
    is_state_known: bool = True  # false where `given` did not bind

    @property
    def state(self) -> caffe_pb2.NetState:
        """The state as far as the solver says it."""
        return self.state_with(caffe_pb2.NetState())

    def state_with(self, own: caffe_pb2.NetState) -> caffe_pb2.NetState:
        """The phase, then the net's own state, then what the solver gives.

        Stages add up, of the rest the later wins.
        """
        state = caffe_pb2.NetState(phase=self.phase)
        state.MergeFrom(own)
        state.MergeFrom(self.given)
        return state


@dataclass(slots=True)
class SolverFile:
    """A solver file that has been read and checked."""

    path: str
    message: caffe_pb2.SolverParameter
    spans: Spans
    warnings: list[Diagnostic] = field(default_factory=list)
    # fields whose values are not known; only a faulty file has any
    unbound: set[str] = field(default_factory=set)

    @property
    def train_net(self) -> NetSource:
        """The net to train."""
        p = self.message
        name = next(name for name in TRAIN_NETS if p.HasField(name))
        return self._source(name, None, ("train_state", None))

    @property
    def test_nets(self) -> list[NetSource]:
        """The nets to test, in Caffe's order.

        These are test_net_param, test_net, and for what is left of test_iter the common net.
        """
        p = self.message
        named: list[tuple[str, int | None]] = [
            ("test_net_param", i) for i in range(len(p.test_net_param))
        ]
        named += [("test_net", i) for i in range(len(p.test_net))]
        common = next((name for name in ("net_param", "net") if p.HasField(name)), None)
        if common is not None:
            named += [(common, None)] * max(0, len(p.test_iter) - len(named))
        iterations = [*p.test_iter, *[0] * len(named)]  # a faulty file may have too few
        return [
            self._source(name, index, ("test_state", i), iterations[i])
            for i, (name, index) in enumerate(named)
        ]

    @property
    def nets(self) -> list[NetSource]:
        """All of them, the net to train first, as far as a faulty file says."""
        has_train_net = any(self.message.HasField(name) for name in TRAIN_NETS)
        return [*([self.train_net] if has_train_net else []), *self.test_nets]

    def _source(
        self, name: str, index: int | None, state: tuple[str, int | None], iterations: int = 0
    ) -> NetSource:
        value, place = getattr(self.message, name), self.spans.find(name, index or 0)
        value = value if index is None else value[index]
        phase = caffe_pb2.TRAIN if state[0] == "train_state" else caffe_pb2.TEST
        given, is_known = self._state(*state)
        if isinstance(value, str):
            return NetSource(value, None, None, phase, given, place.value, iterations, is_known)
        return NetSource(None, value, place, phase, given, place.name, iterations, is_known)

    def _state(self, name: str, index: int | None) -> tuple[caffe_pb2.NetState, bool]:
        """A state that the file gives, empty where it gives none, and whether it bound."""
        state, places = caffe_pb2.NetState(), self.spans.fields.get(name, [])
        value = getattr(self.message, name)
        if index is None:
            state.CopyFrom(value)
        elif index < len(value):
            state.CopyFrom(value[index])
        place = places[index or 0] if (index or 0) < len(places) else None
        return state, name not in self.unbound and not (place and place.is_faulty)

    @property
    def weights(self) -> list[tuple[str, Span | None]]:
        """The weight files to begin with, in order, and where each is named.

        One text may name several.
        """
        named = [
            (names, self.spans.at("weights", i)) for i, names in enumerate(self.message.weights)
        ]
        return [
            (name.strip(), span)
            for names, span in named
            for name in names.split(",")
            if name.strip()
        ]

    @property
    def snapshot_prefix(self) -> str:
        """The file's own, or the solver file's name without its suffix."""
        return self.prefix_of(self.message.snapshot_prefix or str(Path(self.path).with_suffix("")))

    def prefix_of(self, given: str) -> str:
        """What the names of snapshots begin with; in a folder, the solver file's name is added."""
        return (
            str(Path(given) / Path(self.path).stem)
            if os.path.isdir(given) or given.endswith("/")
            else given
        )


def load_solver(path: str | Path, report: Report | None = None, strict: bool = False) -> SolverFile:
    """Reads and checks a solver file (prototxt, or YAML by its suffix).

    Args:
        report: takes the warnings, which the result has too.
        strict: warnings are errors.
    Raises: NetspecError with every fault that was found.
    """
    report = report or Report()
    file = read_solver(path, report)
    report.raise_errors(strict)
    return file


def read_solver(path: str | Path, report: Report) -> SolverFile:
    """The same, with the faults in the report: a file that has any is read as far as it goes.

    Raises: NetspecError where it can't be read at all.
    """
    return read_solver_source(read_text_file(path), report)


def read_solver_source(source: Source, report: Report) -> SolverFile:
    """The same of a text that has been read. Raises: NetspecError where it can't be parsed."""
    before = len(report.diagnostics)
    message = caffe_pb2.SolverParameter()
    with without_collector():
        block = parse_source(source)
        require_kind(block, source.path, caffe_pb2.SolverParameter)
        spans = bind(block, message, report)
    unbound = _unbound_fields(block, report.diagnostics[before:])
    if message.HasField("type") and message.HasField("solver_type"):
        unbound.add("type")  # which of them is meant is not known
    upgrade_solver(message, spans, report)
    check_solver(message, spans, report, unbound)
    return SolverFile(
        source.path,
        message,
        spans,
        [d for d in report.diagnostics[before:] if d.severity == WARNING],
        unbound,
    )


def _unbound_fields(block: Block, faults: list[Diagnostic]) -> set[str]:
    """The solver's own fields that are in the file and yet have no value, or not the one meant."""
    known = caffe_pb2.SolverParameter.DESCRIPTOR.fields_by_name
    at_fault = {(fault.span.source, fault.span.start) for fault in faults if fault.span}
    unbound: set[str] = set()
    strangers = 0
    for item in block.fields:
        if item.name not in known:
            strangers += 1
            meant = nearest(item.name, known) if strangers <= _MAX_STRANGERS else None
            unbound.update([meant] if meant else [])
        elif known[item.name].message_type is None or any(
            isinstance(value, Scalar) for value in item.values
        ):
            places = [item.name_span, *(value.span for value in item.values)]
            if any(place and (place.source, place.start) in at_fault for place in places):
                unbound.add(item.name)
    return unbound
