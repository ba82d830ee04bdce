"""The solver settings that Caffe's forks add: which are carried out, which change nothing.

Any other would give other weights than the fork's: it is warned of, and a run refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netspec.diagnostics import ERROR, Diagnostic, NetspecError, Report
from netspec.schema import caffe_pb2
from netspec.schema.forks import is_fork_field, stated
from netspec.syntax.bind import Spans

# the learning rate's, carried out in learning_rate.py
_CARRIED_OUT = frozenset({"min_lr", "stageiter", "stagelr", "warmup_iter", "warmup_start_lr"})
# what a test of detections reports, not what is trained
_OF_TESTS = frozenset({"ap_version", "eval_type", "show_per_class_result"})
# engines, types in memory, what is logged or written
_NO_EFFECT = frozenset(
    {
        "accuracy_average_window", "enable_clip_gradient_status", "engine",
        "output_average_results", "richness", "snapshot_include_state",
        "snapshot_include_weights", "solver_data_type", "store_blobs_in_old_format",
        "test_and_snapshot_last_epochs", "test_offset",
    }
)  # fmt: skip
# settings that only count with another one, which is reported instead
_GOES_WITH = {
    "larc_eta": "larc",
    "larc_policy": "larc",
    "larc_turbo": "larc",
    "local_gw_ratio": "local_lr_auto",
    "max_momentum": "momentum_policy",
    "max_weight_decay": "weight_decay_policy",
    "momentum_power": "momentum_policy",
    "rampup_lr": "rampup_interval",
    "weight_decay_power": "weight_decay_policy",
}
_NO_EFFECT_KIND = "a fork's setting without effect"
# the policies of forks whose rate follows the loss
LOSS_POLICIES = ("plateau",)


def check_fork_settings(p: caffe_pb2.SolverParameter, spans: Spans, report: Report) -> None:
    """Warns of the forks' settings that are not carried out; names once those without effect."""
    unused = [field.name for field, _ in _stated(p) if field.name in _NO_EFFECT]
    if unused:
        names = ", ".join(f"'{name}'" for name in sorted(unused))
        message = f"{names}: a fork's settings without effect in netspec"
        report.warning(message, spans.at(unused[0]), kind=_NO_EFFECT_KIND)
    for fault in _refused(p, spans):
        report.warning(f"{fault.message}, and 'train' refuses it", fault.span)
    if p.lr_policy == "multifixed":
        _check_stages(p, spans, report)


def require_carried_out(p: caffe_pb2.SolverParameter, spans: Spans) -> None:
    """Raises NetspecError where a setting of a fork would give other weights."""
    faults = list(_refused(p, spans))
    if faults:
        raise NetspecError(faults)


def _stated(p: caffe_pb2.SolverParameter) -> Iterator[tuple[Any, Any]]:
    return ((field, value) for field, value in p.ListFields() if is_fork_field(field))


def _refused(p: caffe_pb2.SolverParameter, spans: Spans) -> Iterator[Diagnostic]:
    if p.lr_policy in LOSS_POLICIES:
        message = f"lr_policy '{p.lr_policy}' follows the loss, which netspec does not carry out"
        yield Diagnostic(ERROR, message, spans.at("lr_policy"))
    for field, value in _stated(p):
        is_harmless = (
            field.name in _CARRIED_OUT | _OF_TESTS | _NO_EFFECT or field.name in _GOES_WITH
        )
        if is_harmless or (not field.is_repeated and value == field.default_value):
            continue
        if field.name == "plateau_winsize" and p.lr_policy in LOSS_POLICIES:
            continue
        message = f"'{field.name}' is a fork's setting that netspec does not carry out"
        yield Diagnostic(ERROR, message, spans.at(field.name))


def _check_stages(p: caffe_pb2.SolverParameter, spans: Spans, report: Report) -> None:
    """As many rates as iterations at which they end. Source: intel's and eric612's solver."""
    rates, ends = stated(p, "stagelr") or (), stated(p, "stageiter") or ()
    if not rates or len(rates) != len(ends):
        message = (
            "lr_policy 'multifixed' takes as many 'stagelr' as 'stageiter', at least one, "
            f"got {len(rates)} and {len(ends)}"
        )
        report.error(message, spans.at("stagelr" if rates else "lr_policy"))
