"""The six update rules, each over lists of tensors. Source: Caffe's solvers/*.cpp.

A rule takes the weights, their gradients (regularised), their history and the rate (lr · lr_mult),
and changes weights and history in place. `step` counts from 0. The learning rate stands inside
SGD's history, unlike torch's. `fused_updates.py` has those that are one kernel of torch's.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor

from netspec.pytorch.fused_updates import fits, flat, fused_rule
from netspec.schema import caffe_pb2
from netspec.schema.solver_types import HISTORIES

Tensors = list[Tensor]
Rule = Callable[[Tensors, Tensors, list[Tensors], float, caffe_pb2.SolverParameter, int], None]


def _sgd(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    (h,) = history
    torch._foreach_mul_(h, p.momentum)
    torch._foreach_add_(h, grads, alpha=rate)
    torch._foreach_sub_(weights, h)


def _nesterov(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    (h,) = history
    torch._foreach_add_(weights, h, alpha=p.momentum)  # Δ = (1 + μ)·h' - μ·h, with the old h first
    torch._foreach_mul_(h, p.momentum)
    torch._foreach_add_(h, grads, alpha=rate)
    torch._foreach_sub_(weights, h, alpha=1 + p.momentum)


def _adagrad(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    (h,) = history
    torch._foreach_addcmul_(h, grads, grads)
    _subtract_ratio(weights, grads, h, rate, p.delta)


def _rmsprop(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    (h,) = history
    torch._foreach_mul_(h, p.rms_decay)
    torch._foreach_addcmul_(h, grads, grads, 1 - p.rms_decay)
    _subtract_ratio(weights, grads, h, rate, p.delta)


def _adadelta(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    h, v = history
    torch._foreach_mul_(h, p.momentum)
    torch._foreach_addcmul_(h, grads, grads, 1 - p.momentum)
    change = torch._foreach_div(torch._foreach_add(v, p.delta), torch._foreach_add(h, p.delta))
    torch._foreach_sqrt_(change)
    torch._foreach_mul_(change, grads)
    torch._foreach_mul_(v, p.momentum)
    torch._foreach_addcmul_(v, change, change, 1 - p.momentum)
    torch._foreach_sub_(weights, change, alpha=rate)


def _adam(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    m, v = history
    t = step + 1
    torch._foreach_mul_(m, p.momentum)
    torch._foreach_add_(m, grads, alpha=1 - p.momentum)
    torch._foreach_mul_(v, p.momentum2)
    torch._foreach_addcmul_(v, grads, grads, 1 - p.momentum2)
    correction = sqrt(1 - p.momentum2**t) / (1 - p.momentum**t)
    # delta stands outside the correction, unlike torch's eps
    _subtract_ratio(weights, m, v, rate * correction, p.delta)


def _subtract_ratio(
    weights: Tensors, above: Tensors, below: Tensors, rate: float, delta: float
) -> None:
    """w ← w - rate · above / (sqrt(below) + delta)."""
    root = torch._foreach_sqrt(below)
    torch._foreach_add_(root, delta)
    torch._foreach_addcdiv_(weights, above, root, -rate)


RULES: dict[str, Rule] = {
    "SGD": _sgd,
    "Nesterov": _nesterov,
    "AdaGrad": _adagrad,
    "RMSProp": _rmsprop,
    "AdaDelta": _adadelta,
    "Adam": _adam,
}


def clip_gradients(grads: Tensors, threshold: float) -> None:
    """Scales all gradients down where their common L2 norm is above the threshold."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    torch._foreach_mul_(grads, torch.where(norm > threshold, threshold / norm, 1.0))


def regularise(weights: Tensors, grads: Tensors, decay: float, kind: str) -> None:
    """Adds the decay's gradient: decay · w for L2, decay · sign(w) for L1."""
    if kind == "L1":
        torch._foreach_add_(grads, torch._foreach_sign(weights), alpha=decay)
    else:
        torch._foreach_add_(grads, weights, alpha=decay)


class Updater:
    """Applies a solver's rule to the weights it learns.

    `history` is in Caffe's order, that of the solverstate.

    Every owned blob has its place in the history, also what is frozen or kept by the layer itself.
    """

    def __init__(
        self, p: caffe_pb2.SolverParameter, blobs: Tensors, multipliers: list[tuple[float, float]]
    ) -> None:
        self.p, self.rule, self.blobs = p, RULES[p.type], blobs
        self.histories = HISTORIES[p.type]
        # with snapshot_diff: what the last update took from each blob, which is what Caffe keeps in
        # its diff
        self.changes: list[Tensor] | None = (
            [torch.zeros_like(b, requires_grad=False) for b in blobs] if p.snapshot_diff else None
        )
        # whether one kernel may do the update; what stands in a gradient after it is then undefined
        self.is_fused = not p.snapshot_diff
        self.history: list[Tensor] = [
            torch.zeros_like(b, requires_grad=False) for _ in range(self.histories) for b in blobs
        ]
        # what no loss is above has no gradient, but is learned all the same: it decays
        self.with_gradient = [
            i for i, blob in enumerate(blobs) if blob.requires_grad or multipliers[i][0] != 0
        ]
        self.groups: dict[tuple[float, float], list[int]] = {}
        for i in self.with_gradient:
            if multipliers[i][0] != 0:
                self.groups.setdefault(multipliers[i], []).append(i)

    def zero_grad(self) -> None:
        for blob in self.blobs:
            blob.grad = None

    def skip(self) -> None:
        """No update in this iteration: weights and history stay, nothing was taken from them."""
        if self.changes is not None:
            torch._foreach_zero_(self.changes)

    @torch.no_grad()
    def apply(self, rate: float, step: int) -> None:
        """One update: clip, divide by iter_size, regularise, update.

        Source: Caffe's SGDSolver::ApplyUpdate.
        """
        for i in self.with_gradient:
            if self.blobs[i].grad is None:  # a weight that the loss does not reach still decays
                self.blobs[i].grad = torch.zeros_like(self.blobs[i])
        every = [grad for i in self.with_gradient if (grad := self.blobs[i].grad) is not None]
        if not every:
            return
        if self.p.clip_gradients >= 0:
            clip_gradients(every, self.p.clip_gradients)
        if self.p.iter_size > 1:
            torch._foreach_mul_(every, 1 / self.p.iter_size)
        count = len(self.blobs)
        for (lr_mult, decay_mult), indices in self.groups.items():
            weights = [self.blobs[i] for i in indices]
            grads = [grad for weight in weights if (grad := weight.grad) is not None]
            history = [
                [self.history[part * count + i] for i in indices] for part in range(self.histories)
            ]
            decay = self.p.weight_decay * decay_mult
            fused = fused_rule(self.p, decay, weights[0].device) if self.is_fused else None
            if fused is not None and fits(weights, grads, history):
                flat_history = [flat(part) for part in history]
                fused(flat(weights), flat(grads), flat_history, rate * lr_mult, decay, self.p, step)
                continue
            if decay:
                regularise(weights, grads, decay, self.p.regularization_type)
            if self.changes is None:
                self.rule(weights, grads, history, rate * lr_mult, self.p, step)
                continue
            changes = [self.changes[i].zero_() for i in indices]
            self.rule(changes, grads, history, rate * lr_mult, self.p, step)
            torch._foreach_add_(weights, changes)
            torch._foreach_neg_(changes)
