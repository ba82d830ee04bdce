"""The nets of the speed goals, each beside its hand-written counterpart."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

import netspec
from benchmarks import hand_written
from netspec.graph import Net
from netspec.pytorch.module import NetModule
from tests import published_nets

MODELS = Path(__file__).parent.parent / "models/bvlc_alexnet"


class NetCase(NamedTuple):
    """A net by its name, its image's side, and how both sides of it are made.

    `text` is None for bvlc_alexnet, which is a file.
    """

    name: str
    side: int
    text: Callable[..., str] | None
    by_hand: Callable[[], nn.Module]

    def net(self, batch: int, phase: str) -> Net:
        """The net for a phase."""
        if self.text is None:
            name = "train_val" if phase == "TRAIN" else "deploy"
            shape = (batch, 3, self.side, self.side)
            return netspec.load(MODELS / f"{name}.prototxt", phase, inputs={"data": shape})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.prototxt"
            path.write_text(self.text(batch, train=phase == "TRAIN"))
            return netspec.load(path, phase)


ALEXNET = NetCase("bvlc_alexnet", 227, None, hand_written.alexnet)
CAFFENET = NetCase(
    "CaffeNet", 227, published_nets.caffenet, partial(hand_written.alexnet, pool_first=True)
)
GOOGLENET = NetCase("GoogLeNet", 224, published_nets.googlenet, hand_written.GoogLeNet)
RESNET = NetCase("ResNet-50", 224, published_nets.resnet50, hand_written.resnet50)


def compiled(net: Net) -> NetModule:
    """The module with weights that let no blob vanish, and BatchNorm's statistics those of 1."""
    module = netspec.compile(net, seed=1)
    with torch.no_grad():
        for param in module.parameters():
            if param.dim() > 1:
                param.normal_(std=(2 / param[0].numel()) ** 0.5)
        for buffer in module.buffers():
            buffer.fill_(1)
    return module
