"""Updates by torch.optim's kernels are those of Caffe's rules, one step after the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from netspec.pytorch.fused_updates import fits, fused_rule
from netspec.pytorch.updates import Updater
from netspec.schema.caffe_pb2 import SolverParameter

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SETTINGS: dict[str, dict[str, float]] = {
    "SGD": {"momentum": 0.9},
    "Nesterov": {"momentum": 0.9},
    "AdaGrad": {},
    "Adam": {"momentum": 0.9, "momentum2": 0.99},
}


def solver(kind: str, **settings: Any) -> SolverParameter:
    return SolverParameter(type=kind, **{**SETTINGS.get(kind, {}), **settings})


def learned(p: SolverParameter, is_fused: bool) -> list[torch.Tensor]:
    """Weights and history after updates with gradients that lie as the weights do, and do not."""
    draw = torch.Generator().manual_seed(1)
    shapes = ((4, 3, 3, 3), (5,), (6, 2), (0,))
    weights = [torch.randn(shape, generator=draw) for shape in shapes]
    weights[0] = weights[0].contiguous(memory_format=torch.channels_last)
    weights[2] = weights[2].t()
    for weight in weights:
        weight.requires_grad_()
    updater = Updater(p, weights, [(1, 1), (2, 0), (1, 1), (1, 1)])
    updater.is_fused = updater.is_fused and is_fused
    for step in (0, 1, 2, 20_000):
        updater.zero_grad()
        for weight in weights[: 3 if step else 4]:
            weight.grad = torch.empty_like(weight).copy_(torch.randn(weight.shape, generator=draw))
        if step == 1:
            assert weights[0].grad is not None
            weights[0].grad = weights[0].grad.contiguous()
        updater.apply(0.02, step)
    return [*weights, *updater.history]


@pytest.mark.parametrize("more", [{}, {"weight_decay": 0.1}, {"iter_size": 2}], ids=str)
@pytest.mark.parametrize("kind", SETTINGS)
def test_they_are_the_rules(kind: str, more: dict[str, Any]) -> None:
    p = solver(kind, **more)
    assert fused_rule(p, p.weight_decay, CPU) is not None
    for own, wanted in zip(learned(p, True), learned(p, False), strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("p", "decay", "device"),
    [
        (solver("SGD", momentum=0), 0.1, CPU),
        (solver("SGD", regularization_type="L1"), 0.1, CPU),
        (solver("RMSProp"), 0, CPU),
        (solver("AdaDelta"), 0, CPU),
        (solver("AdaGrad"), 0, GPU),  # which torch 2.7 lacks
        (solver("SGD"), 0, torch.device("meta")),
    ],
)
def test_where_torch_has_no_kernel(p: SolverParameter, decay: float, device: torch.device) -> None:
    assert fused_rule(p, decay, device) is None


def test_on_a_gpu() -> None:
    assert all(fused_rule(solver(kind), 0.1, GPU) for kind in ("SGD", "Nesterov", "Adam"))


@pytest.mark.parametrize("grad", [torch.ones(2, 3).t(), torch.ones(3, 2).double()])
def test_what_the_kernels_do_not_take(grad: torch.Tensor) -> None:
    weight = torch.ones(3, 2)
    assert fits([weight], [torch.ones(3, 2)], [[torch.ones(3, 2)]])
    assert not fits([weight], [grad], [[torch.ones(3, 2)]])
