"""Training steps of whole nets against hand-written eager nets: torch's modules and its SGD.

Each side runs in a process of its own and holds its batch already.
`python -m benchmarks.training ResNet-50` runs that row alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F

from benchmarks.apart import Step, apart
from benchmarks.net_case import ALEXNET, CAFFENET, GOOGLENET, MODELS, RESNET, NetCase, compiled
from benchmarks.side_by_side import interleaved, report
from netspec.pytorch.allocator import keep_freed_memory
from netspec.pytorch.module import NetModule
from netspec.pytorch.optimize import lay_channels_last
from netspec.pytorch.planar_inputs import inputs_last
from netspec.pytorch.precision import set_precision
from netspec.pytorch.solver_nets import learnable
from netspec.pytorch.training_forward import TrainingForward
from netspec.pytorch.updates import Updater
from netspec.solver.solver_file import load_solver

RATE = 1e-4
# net, batch, and for each precision the ratio that is asked for
ROWS: tuple[tuple[NetCase, int, dict[str, float]], ...] = (
    (ALEXNET, 64, {"fp32": 0.5, "bf16": 0.33}),
    (CAFFENET, 64, {"fp32": 0.6}),
    (GOOGLENET, 16, {"fp32": 0.6}),
    (RESNET, 8, {"fp32": 0.9}),
)


def hand_step(case: NetCase, data: torch.Tensor, label: torch.Tensor) -> Callable[[], None]:
    """A step of the net that is written by hand, with AlexNet's momentum and weight decay."""
    by_hand = case.by_hand()
    weights = [p for p in by_hand.parameters() if p.dim() > 1]
    biases = [p for p in by_hand.parameters() if p.dim() == 1]
    groups = [
        {"params": weights, "weight_decay": 5e-4},
        {"params": biases, "lr": 2 * RATE, "weight_decay": 0},
    ]
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        scores = by_hand(data)
        if isinstance(scores, tuple):  # GoogLeNet's: two auxiliary classifiers, and the last
            first, second, last = (F.cross_entropy(each, label) for each in scores)
            loss = last + 0.3 * (first + second)
        else:
            loss = F.cross_entropy(scores, label)
        loss.backward()
        optimizer.step()

    return step


def netspec_step(
    case: NetCase,
    data: torch.Tensor,
    label: torch.Tensor,
    precision: str,
    checkpoint: bool = False,
) -> Callable[[], None]:
    """A step as `netspec.Solver` makes it."""
    keep_freed_memory("cpu")
    net = case.net(len(data), "TRAIN")
    module = compiled(net)
    set_precision(module, precision, "cpu")
    lay_channels_last(module, "cpu")
    updater = Updater(load_solver(MODELS / "solver.prototxt").message, *learnable(net, module))
    forward = TrainingForward(module, checkpoint=checkpoint)
    blobs = {"data": data, "label": label.float()}

    def step() -> None:
        updater.zero_grad()
        module.loss(forward(as_fed(module, blobs))).backward()
        updater.apply(RATE, 0)

    return step


def as_fed(module: NetModule, blobs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """A batch as the feed of a run hands it over, by the training thread."""
    last = inputs_last(module)
    return [
        blobs[name].contiguous(memory_format=torch.channels_last) if name in last else blobs[name]
        for name in module.input_names
    ]


def batch_of(case: NetCase, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and labels. Shapes: (N, 3, side, side) and (N,)."""
    torch.manual_seed(1)
    return torch.randn(batch, 3, case.side, case.side), torch.randint(0, 1000, (batch,))


def make_hand_step(case: NetCase, batch: int) -> Callable[[], None]:
    """`hand_step` on a batch of its own."""
    return hand_step(case, *batch_of(case, batch))


def make_netspec_step(case: NetCase, batch: int, precision: str) -> Callable[[], None]:
    """`netspec_step` on a batch of its own."""
    return netspec_step(case, *batch_of(case, batch), precision)


def main(names: Sequence[str] = ()) -> None:
    chosen = [row for row in ROWS if not names or row[0].name in names]
    for case, batch, bounds in chosen:
        makers: dict[str, Callable[[], Step]] = {
            "hand-written": partial(make_hand_step, case, batch)
        }
        for precision in bounds:
            makers[precision] = partial(make_netspec_step, case, batch, precision)
        with apart(makers) as variants:
            seconds = interleaved(variants, rounds=7, warm_up=1)
        for precision, bound in bounds.items():
            title = f"{case.name}, training step, batch {batch}, {precision}"
            both = {name: seconds[name] for name in (precision, "hand-written")}
            report(title, both, precision, "hand-written", bound)


if __name__ == "__main__":
    main(sys.argv[1:])
