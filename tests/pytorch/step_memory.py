"""The memory of a training step as torch's profiler sees it.

By itself: python -m tests.pytorch.step_memory NET BATCH SOLVER_TYPE none|auto
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.profiler import ProfilerActivity, profile

import netspec
from netspec.graph import Net
from netspec.passes.memory_cost import memory_cost
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.module import NetModule
from netspec.pytorch.optimize import lay_channels_last
from netspec.pytorch.planar_inputs import inputs_last
from netspec.pytorch.solver_nets import learnable
from netspec.pytorch.training_forward import TrainingForward
from netspec.pytorch.updates import Updater
from netspec.schema.caffe_pb2 import SolverParameter
from tests import published_nets
from tests.conftest import ROOT


def solver_of(kind: str) -> SolverParameter:
    p = SolverParameter(type=kind, base_lr=1e-4, weight_decay=1e-4)
    if kind not in ("AdaGrad", "RMSProp"):
        p.momentum = 0.9
    if kind == "Adam":
        p.momentum2, p.delta = 0.999, 1e-8
    return p


@contextmanager
def peak_of_memory() -> Iterator[list[int]]:
    """The most that tensors take at one time inside, in bytes; it is in the list afterwards."""
    found: list[int] = []
    gc.collect()  # what is freed inside must have been made there
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        yield found
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    found.append(peak)


def measured(net: Net, p: SolverParameter, checkpoint: bool = False, exact: bool = False) -> int:
    """The peak of two iterations, arranged as a run arranges its own."""
    with peak_of_memory() as found:
        module = lower(net)
        fill_params(module, net, 1)
        if not exact:
            lay_channels_last(module, "cpu")
        updater = Updater(p, *learnable(net, module))
        data = fed(module)
        forward = TrainingForward(module, exact, checkpoint)
        for step in range(2):
            updater.zero_grad()
            module.loss(forward(data)).backward()
            updater.apply(1e-4, step)
        del module, updater, data, forward
    return found[0]


def fed(module: NetModule) -> list[torch.Tensor]:
    """Inputs as a run's feed gives them."""
    last = inputs_last(module)
    return [
        torch.empty(
            module.about.input_shapes[name],
            memory_format=torch.channels_last if name in last else torch.contiguous_format,
        ).uniform_()
        for name in module.input_names
    ]


def published(name: str, batch: int) -> Net:
    if name == "alexnet":
        return netspec.load(
            ROOT / "models/bvlc_alexnet/train_val.prototxt",
            phase="TRAIN",
            inputs={"data": (batch, 3, 227, 227), "label": (batch,)},
        )
    return netspec.loads(getattr(published_nets, name)(batch, train=True), phase="TRAIN")


if __name__ == "__main__":
    name, batch, kind, checkpoint = sys.argv[1:]
    net, p, checkpoints = published(name, int(batch)), solver_of(kind), checkpoint == "auto"
    print("PEAK", memory_cost(net, 4, p, checkpoints).step, measured(net, p, checkpoints))
