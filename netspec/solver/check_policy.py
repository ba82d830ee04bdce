"""The checks of a solver's learning rate: its policy and the settings of that."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics import note
from netspec.hint import did_you_mean
from netspec.solver.fork_settings import LOSS_POLICIES
from netspec.solver.learning_rate import LR_POLICIES
from netspec.solver.solver_fields import SolverFields

POLICY_SETTINGS = ("gamma", "power", "stepsize", "stepvalue")
# Without these Caffe divides by zero, or stops. Any other is 0 where it is missing: the rate then
# falls to 0, or stays as it is.
POLICY_NEEDS = {"step": ("stepsize",), "sigmoid": ("stepsize",)}
# with gamma 0
RATE_FALLS = {
    "step": "at the first step",
    "multistep": "at the first stepvalue",
    "exp": "after the first iteration",
}


def check_rate(fields: SolverFields) -> None:
    """Warns where the learning rate to begin with learns nothing."""
    if fields.p.lr_policy == "multifixed":  # whose rates stand elsewhere
        return
    if not fields.meant("base_lr"):
        hint = "the learning rate to begin with, such as base_lr: 0.01; --base-lr gives it too"
        fields.report.warning(
            "'base_lr' is not given: its default, 0, learns nothing", fields.spans.value, hint
        )
    elif fields.known("base_lr") and fields.p.base_lr <= 0:
        what = "nothing is learned" if fields.p.base_lr == 0 else "the loss would be driven up"
        fields.warn(f"'base_lr' is {fields.text('base_lr')}: {what}", "base_lr")


def check_policy(fields: SolverFields) -> None:
    """Checks the policy, the settings it needs, and those that it does not use."""
    policy = fields.p.lr_policy
    if not fields.known("lr_policy") or policy in LOSS_POLICIES:
        return
    if policy not in LR_POLICIES:
        hint = did_you_mean(policy, LR_POLICIES) or f"the policies are {', '.join(LR_POLICIES)}"
        if fields.given("lr_policy"):
            fields.error(f"there is no lr_policy '{policy}'", "lr_policy", hint)
        else:
            fields.report.error("'lr_policy' must be given", fields.spans.value, hint)
        return
    for name in POLICY_SETTINGS:
        if name in LR_POLICIES[policy] and not fields.meant(name):
            if name in POLICY_NEEDS.get(policy, ()):
                fields.error(f"lr_policy '{policy}' needs '{name}'", "lr_policy")
            elif name == "gamma" and policy in RATE_FALLS:
                # without one the rate never changes
                if policy != "multistep" or fields.meant("stepvalue"):
                    fields.warn(
                        f"lr_policy '{policy}' without 'gamma': the rate falls to 0 "
                        f"{RATE_FALLS[policy]}",
                        "lr_policy",
                        "'gamma' is 0 by default",
                    )
            else:
                fields.warn(
                    f"lr_policy '{policy}' without '{name}': the rate never changes", "lr_policy"
                )
        elif name not in LR_POLICIES[policy] and fields.given(name):
            hint = used_by([other for other, settings in LR_POLICIES.items() if name in settings])
            fields.warn(f"'{name}' has no effect with lr_policy '{policy}'", name, hint)
    _check_policy_values(fields)


def used_by(names: Sequence[str]) -> str:
    """Which types or policies use a setting, for a hint."""
    every = [f"'{name}'" for name in names]
    return " and ".join(filter(None, (", ".join(every[:-1]), every[-1]))) + (
        " use it" if every[1:] else " uses it"
    )


def _check_policy_values(fields: SolverFields) -> None:
    p, policy = fields.p, fields.p.lr_policy
    if "gamma" in LR_POLICIES[policy] and fields.given("gamma") and p.gamma < 0:
        if policy == "sigmoid":  # only so does its rate fall, and Caffe knew no check till late
            fields.warn("the newer versions of Caffe stop at a negative 'gamma'", "gamma")
        else:
            fields.error(
                f"'gamma' of lr_policy '{policy}' can't be negative, got {fields.text('gamma')}",
                "gamma",
            )
    if "stepsize" in LR_POLICIES[policy] and fields.given("stepsize") and p.stepsize < 1:
        fields.error(f"'stepsize' must be at least 1, got {p.stepsize}", "stepsize")
    if policy == "multistep":
        _check_stepvalues(fields)


def _check_stepvalues(fields: SolverFields) -> None:
    values, max_iter = fields.p.stepvalue, fields.p.max_iter
    if not fields.known("stepvalue"):
        return
    for i, value in enumerate(values):
        if i and value <= values[i - 1]:
            hint = "they are passed in the order of the file, one an iteration"
            fields.report.warning(
                f"stepvalue {value} does not come after {values[i - 1]}",
                fields.at("stepvalue", i),
                hint,
            )
        elif i == 0 and value < 1:
            fields.report.warning(
                f"stepvalue {value} changes the rate before the first iteration",
                fields.at("stepvalue"),
            )
    late = (
        [i for i, value in enumerate(values) if value > max_iter]
        if fields.given("max_iter")
        else []
    )
    if late:
        end = note("the run ends here", fields.at("max_iter"))
        fields.report.warning(
            f"stepvalue {values[late[0]]} is never reached: 'max_iter' is {max_iter}",
            fields.at("stepvalue", late[0]),
            None,
            [end],
        )
