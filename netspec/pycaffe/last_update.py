"""What a solver's last update has taken from a param, which Caffe leaves in the param's diff.

netspec's rules leave the gradient there. The update follows from it and the history, so that it is
computed only where a script looks at it. Source: ComputeUpdateValue of Caffe's solvers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from netspec.pycaffe.net import Net
from netspec.pytorch.updates import Updater
from netspec.schema.caffe_pb2 import SolverParameter

# AdaDelta's history does not hold it: its updates are kept
KEPT = ("AdaDelta",)


def last_update(
    p: SolverParameter, grad: Tensor, history: list[Tensor], rate: float, step: int
) -> Tensor:
    """The update, from the gradient that it took and the history after it."""
    h = history[0]
    if p.type == "SGD":
        return h
    if p.type == "Nesterov":  # (1 + μ)·h' - μ·h, where h' = μ·h + rate·g
        return p.momentum * h + rate * grad
    if p.type in ("AdaGrad", "RMSProp"):
        return rate * grad / (h.sqrt() + p.delta)
    correction = sqrt(1 - p.momentum2 ** (step + 1)) / (1 - p.momentum ** (step + 1))
    return rate * correction * h / (history[1].sqrt() + p.delta)


class NetUpdater(Updater):
    """Updates the params of a running net, and leaves in their diffs what Caffe does."""

    net: Net  # set when the net runs

    def __init__(self, p: SolverParameter, *blobs: Any) -> None:
        super().__init__(p, *blobs)
        if p.type in KEPT and self.changes is None:
            self.changes = [torch.zeros_like(blob, requires_grad=False) for blob in self.blobs]
        # of the other types, `last_update` reads the gradient with its decay
        self.is_fused = self.changes is None and p.type == "SGD"

    def zero_grad(self) -> None:
        self.net.clear_param_diffs()

    @torch.no_grad()
    def apply(self, rate: float, step: int) -> None:
        diffs = {id(diff.param()): diff for diff in self.net.param_diffs}
        for diff in diffs.values():
            diff.settle()
        super().apply(rate, step)
        for (lr_mult, _), indices in self.groups.items():
            for i in indices:
                diff = diffs[id(self.blobs[i])]
                diff.last_update = self._update_of(i, rate * lr_mult, step)
                if diff.is_seen:
                    diff.settle()

    def _update_of(self, i: int, rate: float, step: int) -> Callable[[], Tensor]:
        if self.changes is not None:
            return partial(torch.clone, self.changes[i])
        count, grad = len(self.blobs), self.blobs[i].grad
        assert grad is not None
        history = [self.history[part * count + i] for part in range(self.histories)]
        return partial(last_update, self.p, grad, history, rate, step)
