"""Object detection: SSD's boxes, and what holds them against the ground truth."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from netspec.graph import Layer
from netspec.layers.detection import axes_in_order
from netspec.pytorch.layers.builder import Builder, always


class Permute(nn.Module):
    """Puts the axes in another order."""

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def extra_repr(self) -> str:
        return f"axes={self.axes}"

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.axes).contiguous()


def build_permute(layer: Layer) -> Permute:
    order = layer.field("permute_param").order
    return Permute(axes_in_order(order, len(layer.bottom_blobs[0].shape or ())))


BUILDERS = {"Permute": Builder(build_permute, leaves_top=always)}
