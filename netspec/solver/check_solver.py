"""What is wrong or without sense in a solver file, each fault at its field.

An error where Caffe stops or where the run could mean nothing; a warning where Caffe passes over it
in silence.
Source: the checks of Caffe's Solver::Init, InitTrainNet, InitTestNets, of GetLearningRate and of
    the solvers' constructors.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf, isfinite

from netspec.diagnostics import Report, counted, note
from netspec.hint import did_you_mean
from netspec.schema import caffe_pb2
from netspec.schema.solver_types import SOLVER_TYPES
from netspec.solver.check_policy import check_policy, check_rate, used_by
from netspec.solver.evaluation import check_evaluation
from netspec.solver.fork_settings import check_fork_settings
from netspec.solver.solver_fields import SolverFields
from netspec.syntax.bind import Spans

TRAIN_NETS = ("net", "net_param", "train_net", "train_net_param")
# Who reads a setting that others pass over.
TYPE_SETTINGS = {
    "momentum": ("SGD", "Nesterov", "AdaDelta", "Adam"),
    "momentum2": ("Adam",),
    "rms_decay": ("RMSProp",),
    "delta": ("AdaGrad", "RMSProp", "AdaDelta", "Adam"),
}
# The shares of old values that a type keeps; outside 0 ≤ share < 1 its sums grow without bound, or
# it divides by zero.
DECAY_RATES = {
    "RMSProp": ("rms_decay",),
    "AdaDelta": ("momentum",),
    "Adam": ("momentum", "momentum2"),
}
FLOATS = (
    "base_lr",
    "gamma",
    "power",
    "momentum",
    "weight_decay",
    "clip_gradients",
    "delta",
    "momentum2",
    "rms_decay",
)


def check_solver(
    p: caffe_pb2.SolverParameter, spans: Spans, report: Report, unbound: Collection[str] = ()
) -> None:
    """Reports what is wrong in a solver file, each fault at its field.

    Args:
        unbound: the fields whose values are not known, for they did not bind; checks of them are
            left out.
    """
    fields = SolverFields(p, spans, report, unbound)
    _check_numbers(fields)
    _check_train_net(fields)
    _check_test_nets(fields)
    _check_tests(fields)
    check_evaluation(fields)
    _check_type(fields)
    check_rate(fields)
    check_policy(fields)
    _check_update(fields)
    _check_output(fields)
    _check_weights(fields)
    check_fork_settings(p, spans, report)


def _check_numbers(fields: SolverFields) -> None:
    p = fields.p
    for name in FLOATS:
        value = getattr(p, name)
        if (
            fields.given(name)
            and not isfinite(value)
            and not (name == "clip_gradients" and value == inf)
        ):
            place = fields.at(name)
            fields.error(
                f"'{name}' must be a finite number of 32 bits, got "
                f"{place.text if place else value}",
                name,
            )
            fields.unbound.add(name)
    for name in ("iter_size", "average_loss"):
        if fields.known(name) and getattr(p, name) < 1:
            fields.error(f"'{name}' must be at least 1, got {getattr(p, name)}", name)
    for name in ("max_iter", "display", "snapshot", "test_interval", "device_id"):
        if fields.known(name) and getattr(p, name) < 0:
            fields.error(f"'{name}' can't be negative, got {getattr(p, name)}", name)
            fields.unbound.add(name)
    if not fields.meant("max_iter") and p.lr_policy == "poly":
        fields.report.error(
            "lr_policy 'poly' needs 'max_iter'", fields.at("lr_policy"), "its rate reaches 0 there"
        )
    elif not fields.meant("max_iter"):
        hint = (
            "the number of iterations to train; --max-iter gives it too, and a script that calls "
            "step(n) needs none"
        )
        fields.report.warning(
            "'max_iter' is not given: the run trains nothing by itself", fields.spans.value, hint
        )
    elif fields.known("max_iter") and p.max_iter == 0:
        fields.warn("with 'max_iter' 0 nothing is trained", "max_iter")


def _check_train_net(fields: SolverFields) -> None:
    sources = [name for name in TRAIN_NETS if fields.meant(name)]
    if not sources:
        fields.report.error(
            "the net to train must be given",
            fields.spans.value,
            'name it by net: "train_val.prototxt"',
        )
    for other in sources[1:]:
        first = note(f"'{sources[0]}' is given here", fields.at(sources[0]))
        hint = (
            "a net of its own for testing is named by test_net"
            if other in ("train_net", "train_net_param")
            else None
        )
        fields.report.error(
            f"the net to train is given twice, by '{sources[0]}' and '{other}'",
            fields.at(other),
            hint,
            [first],
        )


def _check_test_nets(fields: SolverFields) -> None:
    """Checks how many nets are tested.

    Each test_net_param and test_net is one; what is left of test_iter is of the common net.
    """
    p = fields.p
    if not fields.known("test_iter", "test_net", "test_net_param") or not any(
        fields.meant(name) for name in TRAIN_NETS
    ):
        return
    named, tests = len(p.test_net_param) + len(p.test_net), len(p.test_iter)
    has_common = fields.meant("net") or fields.meant("net_param")
    if tests < named or (tests > named and not has_common):
        if not named:
            hint = (
                "name the net to test by test_net, or one for both phases "
                "by net in place of train_net"
            )
            fields.error(
                "'test_iter' has no net to test: 'train_net' is for training only",
                "test_iter",
                hint,
            )
        else:
            place = (
                fields.at("test_iter", named)
                if tests > named
                else fields.at("test_net" if p.test_net else "test_net_param")
            )
            hint = (
                "they are taken in this order: test_net_param, test_net; a net for both phases "
                "takes what is left"
            )
            fields.report.error(
                f"{counted(named, 'test net')} and {tests} 'test_iter': each test net takes one",
                place,
                hint,
            )
        return
    states = len(p.test_state)
    if states and fields.known("test_state") and states != tests:
        place = fields.at("test_state", min(states, tests) if states > tests else 0)
        hint = "give one for each test_iter, in the same order, or none"
        fields.report.error(
            f"{counted(tests, 'test')} and {states} 'test_state': each test takes one", place, hint
        )


def _check_tests(fields: SolverFields) -> None:
    p = fields.p
    if not fields.known("test_iter"):
        return
    for i, iterations in enumerate(p.test_iter):
        if iterations < 0:
            fields.report.error(
                f"'test_iter' can't be negative, got {iterations}", fields.at("test_iter", i)
            )
        elif iterations == 0:
            fields.report.warning(
                "'test_iter' is 0: this test runs no batch", fields.at("test_iter", i)
            )
    if not fields.known("test_interval"):
        return
    if p.test_iter and p.test_interval == 0:
        place = "test_interval" if fields.given("test_interval") else "test_iter"
        fields.error(
            "'test_interval' must be given where there is a 'test_iter'",
            place,
            "the number of iterations from one test to the next",
        )
    elif (
        p.test_interval
        and not p.test_iter
        and not p.test_net
        and not p.test_net_param
        and fields.known("test_net", "test_net_param")
    ):
        fields.warn(
            "nothing is tested: 'test_interval' stands here without a 'test_iter'", "test_interval"
        )
    elif (
        p.test_iter
        and p.test_interval > p.max_iter > 0
        and not p.test_initialization
        and fields.known("max_iter", "test_initialization")
    ):
        message = (
            f"no test is ever run: the first would be at iteration {p.test_interval}, "
            f"the run ends at {p.max_iter}"
        )
        fields.warn(message, "test_interval")


def _check_type(fields: SolverFields) -> None:
    p = fields.p
    if not fields.known("type", "solver_type"):
        return
    if p.type not in SOLVER_TYPES:
        hint = did_you_mean(p.type, SOLVER_TYPES) or f"the types are {', '.join(SOLVER_TYPES)}"
        fields.error(f"there is no solver type '{p.type}'", "type", hint)
        return
    for name, types in TYPE_SETTINGS.items():
        if not fields.given(name) or p.type in types:
            continue
        if name != "momentum":
            fields.warn(f"'{name}' has no effect with type '{p.type}'", name, used_by(types))
        elif p.momentum:  # 0 is what Caffe demands
            fields.error(f"{p.type} has no momentum; leave it out", name)
    for name in DECAY_RATES.get(p.type, ()):
        if fields.given(name) and not 0 <= getattr(p, name) < 1:
            fields.error(
                f"'{name}' of {p.type} must be at least 0 and below 1, got {fields.text(name)}",
                name,
            )
    if p.type in ("SGD", "Nesterov") and fields.given("momentum") and not 0 <= p.momentum < 1:
        what = (
            "the last steps would never fade"
            if p.momentum >= 1
            else "each step would turn back the last"
        )
        fields.warn(
            f"'momentum' is {fields.text('momentum')}: {what}",
            "momentum",
            "it is at least 0 and below 1",
        )
    if fields.given("delta") and p.delta <= 0 and p.type in TYPE_SETTINGS["delta"]:
        fields.warn(
            f"'delta' is {fields.text('delta')}: where a gradient is 0, {p.type} "
            "may divide by zero",
            "delta",
            "its default is 1e-8",
        )


def _check_update(fields: SolverFields) -> None:
    p = fields.p
    if fields.given("clip_gradients") and p.clip_gradients == 0:
        fields.warn(
            "'clip_gradients' 0 scales every gradient to 0",
            "clip_gradients",
            "-1, the default, clips nothing",
        )
    if fields.given("weight_decay") and p.weight_decay < 0:
        fields.warn(
            f"'weight_decay' is {fields.text('weight_decay')}: the weights would grow instead",
            "weight_decay",
        )
    if fields.known("regularization_type") and p.regularization_type not in ("L1", "L2"):
        # Caffe reads it only where there is something to decay
        tell = fields.error if p.weight_decay or not fields.known("weight_decay") else fields.warn
        tell(
            f"'regularization_type' is L1 or L2, got '{p.regularization_type}'",
            "regularization_type",
        )


def _check_output(fields: SolverFields) -> None:
    """Snapshots and what is logged."""
    p = fields.p
    if not p.snapshot_after_train and fields.known("snapshot", "max_iter", "snapshot_after_train"):
        if p.snapshot == 0:
            fields.warn(
                "no snapshot is ever written",
                "snapshot_after_train",
                "give 'snapshot', the number of iterations from one to the next",
            )
        elif p.snapshot > p.max_iter > 0:
            message = (
                f"no snapshot is ever written: the first would be at iteration {p.snapshot}, "
                f"the run ends at {p.max_iter}"
            )
            fields.warn(message, "snapshot")
    if (
        fields.given("debug_info")
        and p.debug_info
        and not p.display
        and not p.test_iter
        and fields.known("display", "test_iter")
    ):
        fields.warn(
            "'debug_info' has no effect without 'display'",
            "debug_info",
            "the train net's values are logged in displayed iterations only",
        )


def _check_weights(fields: SolverFields) -> None:
    for i, names in enumerate(fields.p.weights):
        if not all(name.strip() for name in names.split(",")):
            what = "names no file" if not names.strip() else "has a comma with no file beside it"
            fields.report.error(f"'weights' {what}", fields.at("weights", i))
