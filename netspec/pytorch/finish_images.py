"""Mean, scale and mirror on the device: the last part of a transform_param."""

from __future__ import annotations

import torch
from torch import Tensor

from netspec.readers.byte_images import ByteImages
from netspec.readers.mean import Floats


class ImageFinisher:
    """Makes of the images of a data layer what the net reads, bit for bit as the CPU makes it.

    Between batches it keeps the layer's mean on the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._mean: tuple[Floats, Tensor] | None = None

    def __call__(self, images: ByteImages) -> Tensor:
        """Shapes: (N, C, h, w), float32."""
        x = self._there(torch.from_numpy(images.pixels)).float()
        places = torch.from_numpy(images.places)
        if images.mean is not None:
            x -= self._mean_at(images.mean, places, x)
        if images.scale != 1:
            x *= float(images.scale)
        flips = places[2].bool()
        if flips.any():
            x = torch.where(self._there(flips)[:, None, None, None], x.flip(3), x)
        return x

    def _there(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=True)

    def _mean_at(self, mean: Floats, places: Tensor, x: Tensor) -> Tensor:
        """The mean where each crop lay. Shapes: (C, 1, 1), (C, h, w) or (N, C, h, w)."""
        if self._mean is None or self._mean[0] is not mean:
            self._mean = mean, self._there(torch.from_numpy(mean))
        whole = self._mean[1]
        height, width = x.shape[2:]
        if whole.shape[1:] == (1, 1) or whole.shape[1:] == (height, width):
            return whole
        tops, lefts = places[0], places[1]
        if (tops == tops[0]).all() and (lefts == lefts[0]).all():
            return whole[:, tops[0] : tops[0] + height, lefts[0] : lefts[0] + width]
        rows = self._there(tops)[:, None] + torch.arange(height, device=self._device)
        columns = self._there(lefts)[:, None] + torch.arange(width, device=self._device)
        return whole[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1)
