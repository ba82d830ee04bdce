"""The learning rate as a pure function of the iteration.

Source: Caffe's SGDSolver::GetLearningRate.
"""

from __future__ import annotations

from math import exp, inf, nan

from netspec.schema import caffe_pb2
from netspec.schema.forks import stated

# What each policy reads beside base_lr; "poly" reads max_iter too.
LR_POLICIES: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power",),
    "sigmoid": ("gamma", "stepsize"),
    "multifixed": (),  # intel's and eric612's: stagelr till stageiter
}


def learning_rate(p: caffe_pb2.SolverParameter, iteration: int) -> float:
    """The learning rate of an iteration (from 0), before any param's lr_mult.

    Settings without sense give inf or nan. intel's warm-up comes before any policy; NVIDIA's
    min_lr is the least rate behind it.
    """
    warmup = stated(p, "warmup_iter") or 0
    if iteration < warmup:
        start = stated(p, "warmup_start_lr") or 0.0
        at = max(0, iteration)
        return (at * p.base_lr + (warmup - at) * start) / warmup
    least = stated(p, "min_lr") or 0.0
    try:
        rate = _rate(p, iteration, least)
    except (OverflowError, ZeroDivisionError):
        return inf
    if not isinstance(rate, float):
        return nan  # a power of a negative number is complex
    return least if rate < least and least else rate


def _rate(p: caffe_pb2.SolverParameter, iteration: int, least: float) -> float:
    base, gamma = p.base_lr, p.gamma
    if p.lr_policy == "exp":
        return base * gamma**iteration
    if p.lr_policy == "inv":
        return base * (1 + gamma * iteration) ** -p.power
    if p.lr_policy in ("step", "multistep"):
        return base * gamma ** current_step(p, iteration)
    if p.lr_policy == "poly":
        left = max(0.0, 1 - iteration / p.max_iter) ** p.power if p.max_iter else 1.0
        return (base - least) * left + least if least else base * left
    if p.lr_policy == "multifixed":
        ends, rates = stated(p, "stageiter") or (), stated(p, "stagelr") or ()
        stage = next((i for i, end in enumerate(ends) if iteration <= end), len(rates) - 1)
        return float(rates[stage]) if 0 <= stage < len(rates) else base
    if p.lr_policy == "sigmoid":
        exponent = -gamma * (iteration - p.stepsize)
        return base / (1 + exp(exponent)) if exponent < 700 else 0.0
    return base


def current_step(p: caffe_pb2.SolverParameter, iteration: int) -> int:
    """How often the rate has been stepped down when an iteration begins.

    It is 0 with the policies that have no steps, as in Caffe's states.
    """
    if p.lr_policy == "step":
        return max(0, iteration) // p.stepsize
    return sum(at <= iteration for at in step_iterations(p)) if p.lr_policy == "multistep" else 0


def step_iterations(p: caffe_pb2.SolverParameter) -> list[int]:
    """The iterations at which the stepvalues are passed: Caffe passes at most one an iteration."""
    iterations: list[int] = []
    for value in p.stepvalue:
        iterations.append(max(iterations[-1] + 1 if iterations else 0, value))
    return iterations
