"""Update rules with weight decay as one pass over the memory, by the kernels of torch.optim.

The kernels' formulas are other ones than Caffe's; their arguments are chosen so that they agree.
`updates.py` has the rules themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor

from netspec.schema import caffe_pb2

Tensors = list[Tensor]
FusedRule = Callable[
    [Tensors, Tensors, list[Tensors], float, float, caffe_pb2.SolverParameter, int], None
]


def fused_rule(
    p: caffe_pb2.SolverParameter, decay: float, device: torch.device
) -> FusedRule | None:
    """The rule of a solver as one kernel; None where torch has none for it on the device.

    It takes the weights, their gradients, their history, the rate (lr · lr_mult), the decay, the
    solver's settings and the step, counted from 0. It may change the gradients.
    """
    if decay and p.regularization_type != "L2":
        return None
    if p.type in ("SGD", "Nesterov") and not p.momentum:  # the kernel keeps no history then
        return None
    # torch 2.7 has AdaGrad's for the CPU alone
    has_kernel = device.type == "cpu" or (device.type == "cuda" and p.type != "AdaGrad")
    return _RULES.get(p.type) if has_kernel else None


def fits(weights: Tensors, grads: Tensors, history: list[Tensors]) -> bool:
    """Whether the kernels take the tensors: they go over the memory as it lies."""
    return all(
        torch.ops.aten.is_non_overlapping_and_dense(weight)
        and all(other.dtype == weight.dtype and _layout(other) == _layout(weight) for other in own)
        for weight, *own in zip(weights, grads, *history, strict=True)
    )


def flat(tensors: Tensors) -> Tensors:
    """The memory of dense tensors as it lies; of any other order the kernels would make copies."""
    return [tensor.as_strided((tensor.numel(),), (1,)) for tensor in tensors]


def _layout(tensor: Tensor) -> list[tuple[int, int]]:
    """Where values lie; the stride of an axis of one value says nothing."""
    return [axis for axis in zip(tensor.shape, tensor.stride(), strict=True) if axis[0] != 1]


def _sgd(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    decay: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    """h ← μ·h + rate·(g + decay·w); w ← w - h: the rate is what the dampening leaves of 1."""
    torch._fused_sgd_(
        weights,
        grads,
        history[0],
        weight_decay=decay,
        momentum=p.momentum,
        lr=1.0,
        dampening=1 - rate,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )


def _nesterov(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    decay: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    """h ← μ·h + rate·(g + decay·w); w ← w - (rate·(g + decay·w) + μ·h)."""
    torch._foreach_mul_(grads, rate)
    torch._fused_sgd_(
        weights,
        grads,
        history[0],
        weight_decay=rate * decay,
        momentum=p.momentum,
        lr=1.0,
        dampening=0.0,
        nesterov=True,
        maximize=False,
        is_first_step=False,
    )


def _adagrad(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    decay: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    torch._fused_adagrad_(
        weights,
        grads,
        history[0],
        _steps(weights, step),
        lr=rate,
        lr_decay=0.0,
        weight_decay=decay,
        eps=p.delta,
        maximize=False,
    )


def _adam(
    weights: Tensors,
    grads: Tensors,
    history: list[Tensors],
    rate: float,
    decay: float,
    p: caffe_pb2.SolverParameter,
    step: int,
) -> None:
    """The kernel divides v by its correction before it adds eps, Caffe adds delta to v's root."""
    m, v = history
    torch._fused_adam_(
        weights,
        grads,
        m,
        v,
        [],
        _steps(weights, step),
        lr=rate,
        beta1=p.momentum,
        beta2=p.momentum2,
        weight_decay=decay,
        eps=p.delta / sqrt(1 - p.momentum2 ** (step + 1)),
        amsgrad=False,
        maximize=False,
    )


def _steps(weights: Tensors, step: int) -> Tensors:
    return [torch.tensor(step + 1.0, device=weight.device) for weight in weights]


_RULES: dict[str, FusedRule] = {
    "SGD": _sgd,
    "Nesterov": _nesterov,
    "AdaGrad": _adagrad,
    "Adam": _adam,
}
