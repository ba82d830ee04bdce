"""A module that takes pictures as they are decoded, and prepares them itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from netspec.exporters.image_input import ImageInput
from netspec.pytorch.module import NetModule


class ImageModule(nn.Module):
    """A net behind channel order, centre crop, mean and scale.

    Shapes: RGB (N, 3, H, W) or gray (N, 1, H, W), 0 to 255 → the net's outputs
    """

    mean: Tensor | None

    def __init__(self, net: NetModule, image: ImageInput) -> None:
        super().__init__()
        self.net = net
        plan = image.plan
        self.turns = plan.channels == 3 and not plan.is_rgb
        (self.top, self.left), (self.height, self.width) = image.corner, plan.crop
        self.raw_scale, self.scale = plan.raw_scale / 255, plan.scale
        mean = image.mean()
        values = None if mean is None else torch.from_numpy(mean.copy())
        self.register_buffer("mean", values, persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = image.float()
        if self.turns:
            x = x.flip(1)
        x = x[:, :, self.top : self.top + self.height, self.left : self.left + self.width]
        if self.raw_scale != 1:
            x = x * self.raw_scale
        if self.mean is not None:
            x = x - self.mean
        if self.scale != 1:
            x = x * self.scale
        outputs: dict[str, Tensor] = self.net(x.contiguous())
        return outputs
