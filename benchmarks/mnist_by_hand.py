"""models/mnist_alexnet and its solver as one would write them without netspec: a script.

`python -m benchmarks.mnist_by_hand ITERATIONS WORKERS TESTS` in a folder that has its data trains
it, with TESTS tests, and saves it at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.lmdb_dataset import LmdbDataset

Pair = tuple[Tensor, Tensor]


def mnist_alexnet() -> nn.Module:
    """Shapes: (N, 1, 28, 28) → (N, 10)."""

    def block(inputs: int, outputs: int, ceil: bool = False) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True),
            nn.MaxPool2d(2, 2, ceil_mode=ceil), nn.LocalResponseNorm(9, 1e-3, 0.75, 1.0),
            nn.Dropout(0.2),
        ]  # fmt: skip

    net = nn.Sequential(
        *block(1, 64), *block(64, 128), *block(128, 256, ceil=True), nn.Flatten(),
        nn.Linear(4096, 1024), nn.ReLU(inplace=True), nn.Dropout(0.2),
        nn.Linear(1024, 1024), nn.ReLU(inplace=True), nn.Dropout(0.2), nn.Linear(1024, 10),
    )  # fmt: skip
    for module in net:
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return net


def batches(path: str, batch_size: int, workers: int) -> Iterator[Pair]:
    data = LmdbDataset(path, scale=1 / 256)
    return iter(torch.utils.data.DataLoader(data, batch_size, num_workers=workers))


@torch.no_grad()
def accuracy(net: nn.Module) -> float:
    net.eval()
    feed = batches("examples/mnist/mnist_test_lmdb", 60, 0)
    right = 0
    for _ in range(6):
        images, labels = next(feed)
        right += int((net(images).argmax(1) == labels).sum())
    net.train()
    return right / 360


def main(iterations: int, workers: int, tests: int) -> None:
    net = mnist_alexnet()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    feed = batches("examples/mnist/mnist_train_lmdb", 64, workers)
    if tests:
        print(accuracy(net))
    for iteration in range(iterations):
        images, labels = next(feed)
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        if iteration % 20 == 0:
            print(iteration, loss.item(), flush=True)
    if tests > 1:
        print(accuracy(net))
        torch.save([net.state_dict(), optimizer.state_dict()], "by_hand.pt")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
