"""The solver file: its checks, the states of its nets, and the learning rate as a pure function of the iteration.

Source: Caffe's Solver, SGDSolver::GetLearningRate.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import exp, inf, nan
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.data.paths import resolve_path
from netspec.diagnostics import Report, Span, did_you_mean
from netspec.schema import caffe_pb2
from netspec.syntax.bind import Spans
from netspec.syntax.read import bind_source, read_source

if TYPE_CHECKING:
    from netspec.pytorch.train import Solver

SOLVER_TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
NET_PATH_HINT = "paths count from the working directory, then from the solver's folder"
# What each learning rate policy needs beside base_lr.
LR_POLICIES: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power", "max_iter"),
    "sigmoid": ("gamma", "stepsize"),
}


@dataclass(frozen=True, slots=True)
class NetSource:
    """Where one of the solver's nets comes from, and the state it is built for."""

    path: str | None  # None where the net stands inside the solver file
    message: caffe_pb2.NetParameter | None
    spans: Spans | None
    state: caffe_pb2.NetState  # what the solver adds to the net's own state
    span: Span | None  # where the solver file names it
    iterations: int = 0  # test_iter


@dataclass(slots=True)
class SolverFile:
    """A solver file that has been read and checked."""

    path: str
    message: caffe_pb2.SolverParameter
    spans: Spans

    @property
    def train_net(self) -> NetSource:
        """The net to train."""
        p = self.message
        state = caffe_pb2.NetState(phase=caffe_pb2.TRAIN)
        field = next(name for name in ("train_net_param", "train_net", "net_param", "net") if p.HasField(name))
        return self._source(field, None, state, p.train_state)

    @property
    def test_nets(self) -> list[NetSource]:
        """The nets to test, in Caffe's order: test_net_param, test_net, and what is left of test_iter on the common net."""
        p = self.message
        named: list[tuple[str, int | None]] = [("test_net_param", i) for i in range(len(p.test_net_param))]
        named += [("test_net", i) for i in range(len(p.test_net))]
        common = "net_param" if p.HasField("net_param") else "net"
        named += [(common, None)] * max(0, len(p.test_iter) - len(named))
        sources = []
        for i, (field, index) in enumerate(named):
            state = caffe_pb2.NetState(phase=caffe_pb2.TEST)
            given = p.test_state[i] if i < len(p.test_state) else caffe_pb2.NetState()
            sources.append(self._source(field, index, state, given, p.test_iter[i]))
        return sources

    def _source(self, field: str, index: int | None, state: caffe_pb2.NetState, given: caffe_pb2.NetState, iterations: int = 0) -> NetSource:
        value = getattr(self.message, field) if index is None else getattr(self.message, field)[index]
        place = self.spans.find(field, index or 0)
        extra = caffe_pb2.NetState()
        extra.CopyFrom(given)
        if isinstance(value, str):
            return NetSource(value, None, None, _merged(state, extra), place.value, iterations)
        return NetSource(None, value, place, _merged(state, extra), place.name, iterations)

    @property
    def snapshot_prefix(self) -> str:
        """The file's own, or the solver file's name without its suffix."""
        return self.message.snapshot_prefix or str(Path(self.path).with_suffix(""))


class Listener:
    """Who hears of a run's progress; does nothing. A subclass overrides what it wants to know."""

    def iterated(self, solver: Solver) -> None:
        """An iteration has ended."""

    def displayed(self, iteration: int, loss: float, outputs: dict[str, list[float]], rate: float) -> None:
        """An iteration's smoothed loss, the outputs of its last forward pass, and its learning rate."""

    def testing(self, index: int, batch: int, batches: int) -> None:
        """A batch of a test begins."""

    def tested(self, iteration: int, index: int, means: dict[str, list[float]]) -> None:
        """A test has ended; the mean of each output over its batches."""

    def saved(self, path: Path) -> None:
        """A snapshot has been written; the path of its state."""


def _merged(phase: caffe_pb2.NetState, given: caffe_pb2.NetState) -> caffe_pb2.NetState:
    """The phase, then the state that the solver gives; stages add up, of the rest the later wins."""
    phase.MergeFrom(given)
    return phase


def load_solver(path: str | Path, report: Report | None = None) -> SolverFile:
    """Reads and checks a solver file (prototxt, or YAML by its suffix).

    Raises: NetspecError with every fault that was found.
    """
    from netspec.passes.upgrade import upgrade_solver

    report = report or Report()
    message = caffe_pb2.SolverParameter()
    spans = bind_source(read_source(path), message, report)
    upgrade_solver(message, spans, report)
    if not report.failed:
        check_solver(message, spans, report)
    report.raise_errors()
    return SolverFile(str(path), message, spans)


def check_solver(p: caffe_pb2.SolverParameter, spans: Spans, report: Report) -> None:
    """Reports what is wrong in a solver file, each fault at its field."""
    _check_nets(p, spans, report)
    if p.type not in SOLVER_TYPES:
        report.error(f"there is no solver type '{p.type}'", spans.at("type"), did_you_mean(p.type, SOLVER_TYPES))
    if p.momentum and p.type in ("AdaGrad", "RMSProp"):
        report.error(f"{p.type} has no momentum; leave it out", spans.at("momentum"))
    if p.regularization_type not in ("L1", "L2"):
        report.error(f"'regularization_type' is L1 or L2, got '{p.regularization_type}'", spans.at("regularization_type"))
    _check_rate(p, spans, report)
    for name in ("iter_size", "average_loss"):
        if getattr(p, name) < 1:
            report.error(f"'{name}' must be at least 1, got {getattr(p, name)}", spans.at(name))
    for name in ("max_iter", "display", "snapshot", "test_interval"):
        if getattr(p, name) < 0:
            report.error(f"'{name}' can't be negative, got {getattr(p, name)}", spans.at(name))
    if not p.HasField("max_iter"):
        report.error("'max_iter' must be given", spans.value, "the number of iterations to train")
    if not 0 <= p.rms_decay < 1:
        report.error(f"'rms_decay' must be at least 0 and below 1, got {p.rms_decay:g}", spans.at("rms_decay"))


def find_net(source: NetSource, file: SolverFile) -> str | None:
    """The path of a net that the solver file names, or None where there is no such file."""
    path = resolve_path(source.path or "", file.path)
    return path if os.path.isfile(path) else None


def check_net_paths(file: SolverFile, report: Report) -> None:
    """Reports the nets that are not where the solver file says."""
    told = set()
    for source in [file.train_net, *file.test_nets]:
        if source.path is not None and source.path not in told and find_net(source, file) is None:
            told.add(source.path)
            report.error(f"the net '{source.path}' is not there", source.span, NET_PATH_HINT)


def _check_rate(p: caffe_pb2.SolverParameter, spans: Spans, report: Report) -> None:
    if not p.HasField("base_lr"):
        report.error("'base_lr' must be given", spans.value, "the learning rate to begin with, such as base_lr: 0.01")
    if p.lr_policy not in LR_POLICIES:
        span = spans.at("lr_policy")
        hint = did_you_mean(p.lr_policy, LR_POLICIES) or f"the policies are {', '.join(LR_POLICIES)}"
        report.error(f"there is no lr_policy '{p.lr_policy}'" if p.lr_policy else "'lr_policy' must be given", span, hint)
        return
    for name in LR_POLICIES[p.lr_policy]:
        value = getattr(p, name)
        is_given = bool(len(value)) if name == "stepvalue" else p.HasField(name)
        if not is_given:
            report.error(f"lr_policy '{p.lr_policy}' needs '{name}'", spans.at("lr_policy"))
        elif name == "stepsize" and p.lr_policy == "step" and value < 1:
            report.error(f"'stepsize' must be at least 1, got {value}", spans.at("stepsize"))
    for i in range(1, len(p.stepvalue)):
        if p.stepvalue[i] <= p.stepvalue[i - 1]:
            report.warning(f"stepvalue {p.stepvalue[i]} does not come after {p.stepvalue[i - 1]}", spans.at("stepvalue", i))


def _check_nets(p: caffe_pb2.SolverParameter, spans: Spans, report: Report) -> None:
    sources = [name for name in ("net", "net_param", "train_net", "train_net_param") if p.HasField(name)]
    if len(sources) > 1:
        report.error(f"the net to train is given twice, by '{sources[0]}' and '{sources[1]}'", spans.at(sources[1]))
    elif not sources:
        report.error("the net to train must be given", spans.value, 'name it by net: "train_val.prototxt"')
    named = len(p.test_net) + len(p.test_net_param)
    common = p.HasField("net") or p.HasField("net_param")
    if len(p.test_iter) < named or (len(p.test_iter) > named and not common):
        span = spans.at("test_iter") if p.test_iter else spans.at("test_net" if p.test_net else "test_net_param")
        report.error(f"each of the {named} test nets takes one 'test_iter', got {len(p.test_iter)}", span)
    if p.test_state and len(p.test_state) != len(p.test_iter):
        report.error(f"each of the {len(p.test_iter)} test nets takes one 'test_state', got {len(p.test_state)}", spans.at("test_state"))
    if p.test_iter and not p.test_interval > 0:
        place = "test_interval" if p.test_interval else "test_iter"
        report.error("'test_interval' must be given where there is a 'test_iter'", spans.at(place))
    for i, iterations in enumerate(p.test_iter):
        if iterations < 1:
            report.error(f"'test_iter' must be at least 1, got {iterations}", spans.at("test_iter", i))


def learning_rate(p: caffe_pb2.SolverParameter, iteration: int) -> float:
    """The learning rate of an iteration (from 0), before any param's lr_mult; settings without sense give inf or nan."""
    try:
        rate = _rate(p, iteration)
    except (OverflowError, ZeroDivisionError):
        return inf
    return rate if isinstance(rate, float) else nan  # a power of a negative number is complex


def _rate(p: caffe_pb2.SolverParameter, iteration: int) -> float:
    base, gamma = p.base_lr, p.gamma
    if p.lr_policy == "step":
        return base * gamma ** (iteration // p.stepsize)
    if p.lr_policy == "exp":
        return base * gamma**iteration
    if p.lr_policy == "inv":
        return base * (1 + gamma * iteration) ** -p.power
    if p.lr_policy == "multistep":
        return base * gamma ** current_step(p, iteration)
    if p.lr_policy == "poly":
        return base * max(0.0, 1 - iteration / p.max_iter) ** p.power if p.max_iter else base
    if p.lr_policy == "sigmoid":
        exponent = -gamma * (iteration - p.stepsize)
        return base / (1 + exp(exponent)) if exponent < 700 else 0.0
    return base


def current_step(p: caffe_pb2.SolverParameter, iteration: int) -> int:
    """How many of the stepvalues an iteration has passed; Caffe passes at most one an iteration."""
    passed, at = 0, -1
    for value in p.stepvalue:
        at = max(at + 1, value)
        passed += at <= iteration
    return passed
