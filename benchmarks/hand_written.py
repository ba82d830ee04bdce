"""Nets as one would write them without netspec: torch's own modules, NCHW, 32 bits."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _lrn() -> nn.Module:
    return nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def _classifier(inputs: int) -> list[nn.Module]:
    return [
        nn.Flatten(),
        nn.Linear(inputs, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4096, 1000),
    ]  # fmt: skip


def alexnet(pool_first: bool = False) -> nn.Module:
    """AlexNet; CaffeNet where pooling comes before LRN. Shapes: (N, 3, 227, 227) → (N, 1000)."""
    first, second = ([_pool(), _lrn()] if pool_first else [_lrn(), _pool()] for _ in range(2))
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(inplace=True), *first,
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True), *second,
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), _pool(),
        *_classifier(9216),
    )  # fmt: skip


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    return nn.Sequential(conv, nn.ReLU(inplace=True))


class Inception(nn.Module):
    """Four branches side by side; `sizes` as in the paper's table."""

    def __init__(self, inputs: int, sizes: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, three_reduce, three, five_reduce, five, pooled = sizes
        self.branches = nn.ModuleList(
            [
                _conv(inputs, one, 1),
                nn.Sequential(_conv(inputs, three_reduce, 1), _conv(three_reduce, three, 3)),
                nn.Sequential(_conv(inputs, five_reduce, 1), _conv(five_reduce, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), _conv(inputs, pooled, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class GoogLeNet(nn.Module):
    """GoogLeNet with its two further classifiers. Shapes: (N, 3, 224, 224) → three of (N, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(3, 64, 7, 2), _pool(), _lrn(),
            _conv(64, 64, 1), _conv(64, 192, 3), _lrn(), _pool(),
            Inception(192, (64, 96, 128, 16, 32, 32)),
            Inception(256, (128, 128, 192, 32, 96, 64)), _pool(),
            Inception(480, (192, 96, 208, 16, 48, 64)),
        )  # fmt: skip
        self.middle = nn.Sequential(
            Inception(512, (160, 112, 224, 24, 64, 64)),
            Inception(512, (128, 128, 256, 24, 64, 64)),
            Inception(512, (112, 144, 288, 32, 64, 64)),
        )
        self.last = nn.Sequential(
            Inception(528, (256, 160, 320, 32, 128, 128)), _pool(),
            Inception(832, (256, 160, 320, 32, 128, 128)),
            Inception(832, (384, 192, 384, 48, 128, 128)),
            nn.AvgPool2d(7, 1), nn.Dropout(0.4), nn.Flatten(), nn.Linear(1024, 1000),
        )  # fmt: skip
        self.first_auxiliary, self.second_auxiliary = self._auxiliary(512), self._auxiliary(528)

    @staticmethod
    def _auxiliary(inputs: int) -> nn.Sequential:
        return nn.Sequential(
            nn.AvgPool2d(5, 3), _conv(inputs, 128, 1), nn.Flatten(),
            nn.Linear(2048, 1024), nn.ReLU(inplace=True), nn.Dropout(0.7), nn.Linear(1024, 1000),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stem = self.stem(x)
        middle = self.middle(stem)
        return self.first_auxiliary(stem), self.second_auxiliary(middle), self.last(middle)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 and a shortcut, the stride in the first, as in the authors' prototxt."""

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *self._norm(inputs, inner, 1, stride), nn.ReLU(inplace=True),
            *self._norm(inner, inner, 3, 1), nn.ReLU(inplace=True),
            *self._norm(inner, 4 * inner, 1, 1),
        )  # fmt: skip
        changes = inputs != 4 * inner or stride > 1
        self.shortcut = (
            nn.Sequential(*self._norm(inputs, 4 * inner, 1, stride)) if changes else None
        )
        self.relu = nn.ReLU(inplace=True)

    @staticmethod
    def _norm(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        return conv, nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        top: Tensor = self.relu(self.branch(x) + shortcut)
        return top


def resnet50() -> nn.Module:
    """ResNet-50. Shapes: (N, 3, 224, 224) → (N, 1000)."""
    stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
    layers: list[nn.Module] = [*stem, _pool()]
    inputs = 64
    for stage, count in enumerate((3, 4, 6, 3)):
        for i in range(count):
            inner = 64 * 2**stage
            layers.append(Bottleneck(inputs, inner, 2 if stage and not i else 1))
            inputs = 4 * inner
    return nn.Sequential(*layers, nn.AvgPool2d(7, 1), nn.Flatten(), nn.Linear(2048, 1000))
