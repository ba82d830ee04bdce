"""A training step of the compiled bvlc_alexnet against a hand-written eager AlexNet.

The batch is 64 images, in 32 bits, trained by SGD.
"""

from __future__ import annotations

import gc
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netspec
from benchmarks.side_by_side import interleaved, report
from netspec.pytorch.solver_nets import learnable
from netspec.pytorch.updates import Updater
from netspec.solver.solver_file import load_solver

MODELS = Path(__file__).parent.parent / "models/bvlc_alexnet"
BATCH = 64


class HandWritten(nn.Module):
    """What one would write without netspec: the same layers, with torch's own modules."""

    def __init__(self) -> None:
        super().__init__()
        lrn = lambda: nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)  # noqa: E731
        pool = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)  # noqa: E731
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, 4), nn.ReLU(inplace=True), lrn(), pool(),
            nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True), lrn(), pool(),
            nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), pool(),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4096, 1000),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def main(device: str = "cpu") -> None:
    data = torch.randn(BATCH, 3, 227, 227, device=device)
    label = torch.randint(0, 1000, (BATCH,), device=device)
    wait = torch.cuda.synchronize if device != "cpu" else (lambda: None)

    by_hand = HandWritten().to(device)
    weights = [p for name, p in by_hand.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in by_hand.named_parameters() if name.endswith("bias")]
    groups = [
        {"params": weights, "weight_decay": 5e-4},
        {"params": biases, "lr": 0.002, "weight_decay": 0},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.001, momentum=0.9)

    def hand_step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(by_hand(data), label).backward()
        optimizer.step()
        wait()

    net = netspec.load(
        MODELS / "train_val.prototxt", "TRAIN", inputs={"data": (BATCH, 3, 227, 227)}
    )
    module = netspec.compile(net).to(device)
    updater = Updater(load_solver(MODELS / "solver.prototxt").message, *learnable(net, module))
    floats = label.float()

    def netspec_step() -> None:
        updater.zero_grad()
        module.loss(module(data, floats)).backward()
        updater.apply(0.001, 0)
        wait()

    gc.collect()
    seconds = interleaved(
        {"netspec": netspec_step, "hand-written": hand_step},
        rounds=9 if device == "cpu" else 50,
        warm_up=2,
    )
    report(
        f"training step of bvlc_alexnet, batch {BATCH}, fp32, {device}",
        seconds,
        "netspec",
        "hand-written",
        bound=1.02,
    )
