"""Openpose: the maps of body parts enlarged, and the peaks in them."""

from __future__ import annotations

import torch
from torch import Tensor

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.layers.openpose import CROP_HINT, crop_fault, crop_of, enlarged
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import wide

NEAR = 3  # pixels around a peak that its place is the mean of


def cubic_weights(size: int, target: int, pad: int, like: Tensor) -> Tensor:
    """What each pixel of a cropped side has in each of the target's. Shapes: → (target, size).

    Catmull-Rom's cubic. A quirk of the fork: the first pixel of four is never below 0, so that
    the first half pixel of the target extrapolates.
    """
    inner = size - 2 * pad
    ratio = torch.tensor(float(inner)) / target
    offset = torch.tensor(float(target)) / inner / 2 - 0.5
    source = (torch.arange(target, dtype=torch.float32) - offset) * ratio
    first = (source.double() + 1e-5).int().clamp(min=0)
    d = source - first
    second = (first + 1).clamp(max=inner - 1)
    places = ((first - 1).clamp(min=0), first, second, (second + 1).clamp(max=inner - 1))
    weights = (
        -0.5 * d**3 + d**2 - 0.5 * d,
        1.5 * d**3 - 2.5 * d**2 + 1,
        -1.5 * d**3 + 2 * d**2 + 0.5 * d,
        0.5 * d**3 - 0.5 * d**2,
    )
    found = torch.zeros(target, size)
    for place, weight in zip(places, weights, strict=True):
        found.scatter_add_(1, (place + pad).long().unsqueeze(1), weight.unsqueeze(1))
    return found.to(like)


class ImResize(LayerModule):
    """Enlarges the scales of an image and takes their mean.

    Shapes: (N, C, H, W) → (1, C, factor·H, factor·W), or the target sizes.
    """

    def __init__(
        self,
        target: tuple[int, int],
        factor: float,
        start_scale: float,
        scale_gap: float,
        label: str = "",
    ) -> None:
        super().__init__()
        self.target, self.factor, self.label = target, factor, label
        self.start_scale, self.scale_gap = start_scale, scale_gap

    def extra_repr(self) -> str:
        size = f"factor={self.factor}" if self.factor else f"target={self.target}"
        return f"{size}, start_scale={self.start_scale}, scale_gap={self.scale_gap}"

    def weights(self, side: int, target: int, images: int, like: Tensor) -> Tensor:
        """For each image of the batch how it is enlarged along a side.

        Raises: NetspecError where the crop of an image leaves nothing.
        """
        for i in range(images):
            fault = crop_fault(side, i, self.start_scale, self.scale_gap)
            if fault:
                raise NetspecError(f"{self.label}: {fault}", hint=CROP_HINT)
        pads = [crop_of(side, i, self.start_scale, self.scale_gap) for i in range(images)]
        found = {pad: cubic_weights(side, target, pad, like) for pad in set(pads)}
        return torch.stack([found[pad] for pad in pads])

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        height, width = self.target
        if self.factor:
            height, width = enlarged(h, self.factor), enlarged(w, self.factor)
        values = wide(x)
        rows = self.weights(h, height, n, values).unsqueeze(1)
        columns = self.weights(w, width, n, values).unsqueeze(1)
        return (rows @ values @ columns.mT).mean(0, keepdim=True).to(x.dtype)


class Nms(LayerModule):
    """The peaks of maps. Shapes: (N, C, H, W) → (N, num_parts, max_peaks + 1, 3)."""

    def __init__(self, threshold: float, max_peaks: int, num_parts: int) -> None:
        super().__init__()
        self.threshold, self.max_peaks, self.num_parts = threshold, max_peaks, num_parts

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, max_peaks={self.max_peaks}, num_parts={self.num_parts}"

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        # a quirk of the fork: the maps of an image begin where those of the one before it end
        maps = wide(x).reshape(n * c, h, w)[: n * self.num_parts]
        is_peak = self.peaks(maps).flatten(1)
        # the place of each map's k-th peak: where as many were counted; behind the last pixel none
        most = min(self.max_peaks, h * w)
        counts = is_peak.cumsum(1, dtype=torch.int32)
        wanted = torch.arange(1, most + 1, dtype=torch.int32, device=x.device)
        places = torch.searchsorted(counts, wanted.expand(len(counts), -1).contiguous())
        rows = x.new_zeros(n * self.num_parts, self.max_peaks + 1, 3, dtype=maps.dtype)
        rows[:, 0, 0] = is_peak.sum(1).to(maps.dtype)
        found = self.rows_of(maps, places.clamp(max=h * w - 1))
        rows[:, 1 : most + 1] = torch.where((places < h * w).unsqueeze(2), found, 0.0)
        return rows.view(n, self.num_parts, self.max_peaks + 1, 3).to(x.dtype)

    def peaks(self, maps: Tensor) -> Tensor:
        """Where a value is above the threshold and its eight neighbours, none at the border."""
        h, w = maps.shape[1:]
        found = torch.zeros_like(maps, dtype=torch.bool)
        if h < 3 or w < 3:
            return found
        inner = maps[:, 1:-1, 1:-1]
        is_peak = inner > self.threshold
        for y in range(3):
            for x in range(3):
                if (y, x) != (1, 1):
                    is_peak &= inner > maps[:, y : y + h - 2, x : x + w - 2]
        found[:, 1:-1, 1:-1] = is_peak
        return found

    def rows_of(self, maps: Tensor, places: Tensor) -> Tensor:
        """x, y and value of the peaks. Shapes: maps (M, H, W), places (M, K) → (M, K, 3)."""
        h, w = maps.shape[1:]
        shift = torch.arange(-NEAR, NEAR + 1, device=maps.device)
        columns = (places % w).unsqueeze(2) + shift.repeat(len(shift))
        lines = (places // w).unsqueeze(2) + shift.repeat_interleave(len(shift))
        # the first column and row have no part; a quirk of the fork: nor what is below the width
        inside = (columns > 0) & (columns < w) & (lines > 0) & (lines < min(w, h))
        near = (lines.clamp(0, h - 1) * w + columns.clamp(0, w - 1)).flatten(1)
        values = maps.flatten(1)
        weights = values.gather(1, near).view(columns.shape)
        weights = torch.where(inside & (weights > 0), weights, 0.0)
        sums = [(part * weights).sum(2) for part in (columns, lines)]
        total = weights.sum(2)
        return torch.stack((sums[0] / total, sums[1] / total, values.gather(1, places)), 2)


def build_im_resize(layer: Layer) -> ImResize:
    p = layer.field("imresize_param")
    target = (p.target_spatial_height, p.target_spatial_width)
    return ImResize(target, p.factor, p.start_scale, p.scale_gap, layer.label)


def build_nms(layer: Layer) -> Nms:
    p = layer.field("nms_param")
    return Nms(p.threshold, p.max_peaks, p.num_parts)


BUILDERS = {"ImResize": Builder(build_im_resize), "Nms": Builder(build_nms)}
