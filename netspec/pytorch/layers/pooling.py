"""Pooling: torch's own modules where they agree with Caffe, and a general one where Caffe's sizes differ."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.layers.window import Window, pooled_size, window_of
from netspec.schema.caffe_pb2 import PoolingParameter

FLT_MAX = torch.finfo(torch.float32).max


class MaxPooling(nn.Module):
    """MAX where a window may start beyond the input (it holds nothing and gives -FLT_MAX) or torch refuses the pad.

    With `mask` it also gives the place of each maximum in the plane, as floats; -1 where there is none.
    """

    def __init__(self, window: Window, sizes: tuple[int, int], out: tuple[int, int], mask: bool) -> None:
        super().__init__()
        self.window, self.sizes, self.mask = window, sizes, mask
        self.margins = _margins(window, sizes, out)

    def extra_repr(self) -> str:
        return f"kernel={self.window.kernel}, stride={self.window.stride}, pad={self.window.pad}, mask={self.mask}"

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        padded = F.pad(x, self.margins, value=-FLT_MAX) if any(self.margins) else x
        if not self.mask:
            return F.max_pool2d(padded, self.window.kernel, self.window.stride)
        y, index = F.max_pool2d(padded, self.window.kernel, self.window.stride, return_indices=True)
        left, _, top, _ = self.margins
        row = index // padded.shape[3] - top
        column = index % padded.shape[3] - left
        inside = (row >= 0) & (row < self.sizes[0]) & (column >= 0) & (column < self.sizes[1])
        place = torch.where(inside, row * self.sizes[1] + column, torch.full_like(row, -1))
        return y, place.to(x.dtype)


class AveragePooling(nn.Module):
    """AVE by Caffe's divisor, which counts the pad but nothing beyond it; an empty window is 0/0."""

    divisor: Tensor

    def __init__(self, window: Window, sizes: tuple[int, int], out: tuple[int, int]) -> None:
        super().__init__()
        self.window = window
        self.margins = _margins(window, sizes, out)
        counts = []
        for i in range(2):
            starts = torch.arange(out[i]) * window.stride[i] - window.pad[i]
            counts.append((starts + window.kernel[i]).clamp(max=sizes[i] + window.pad[i]) - starts)
        self.register_buffer("divisor", torch.outer(*counts).to(torch.get_default_dtype()), persistent=False)

    def extra_repr(self) -> str:
        return f"kernel={self.window.kernel}, stride={self.window.stride}, pad={self.window.pad}"

    def forward(self, x: Tensor) -> Tensor:
        total = F.avg_pool2d(F.pad(x, self.margins), self.window.kernel, self.window.stride, divisor_override=1)
        return total / self.divisor.to(x.dtype)


def _margins(window: Window, sizes: tuple[int, int], out: tuple[int, int]) -> tuple[int, int, int, int]:
    """What to pad (left, right, top, bottom) so that every window of the output lies inside."""
    after = [max(0, (out[i] - 1) * window.stride[i] + window.kernel[i] - sizes[i] - window.pad[i]) for i in range(2)]
    return window.pad[1], after[1], window.pad[0], after[0]


def _torch_agrees(window: Window, sizes: tuple[int, int], out: tuple[int, int], round_up: bool) -> bool:
    """Whether torch's rule gives Caffe's output: it always drops a window that starts beyond input and pad."""
    for i in range(2):
        if window.pad[i] * 2 > window.kernel[i]:  # torch refuses such a pad
            return False
        spare = sizes[i] + 2 * window.pad[i] - window.kernel[i]
        size = (-(-spare // window.stride[i]) if round_up else spare // window.stride[i]) + 1
        if round_up and (size - 1) * window.stride[i] >= sizes[i] + window.pad[i]:
            size -= 1
        if size != out[i]:
            return False
    return True


def build_pooling(layer: Layer) -> nn.Module:
    p = layer.message.pooling_param
    shape = layer.bottom_blobs[0].shape or ()
    sizes = (shape[2], shape[3])
    window = window_of(p, 2, sizes if p.global_pooling else None)
    round_up = p.round_mode == PoolingParameter.CEIL
    out = (pooled_size(sizes[0], window, 0, round_up), pooled_size(sizes[1], window, 1, round_up))
    agrees = _torch_agrees(window, sizes, out, round_up)
    if p.pool == PoolingParameter.MAX:
        mask = len(layer.top_blobs) > 1
        if agrees and not mask:
            return nn.MaxPool2d(window.kernel, window.stride, window.pad, ceil_mode=round_up)
        return MaxPooling(window, sizes, out, mask)
    if p.pool == PoolingParameter.AVE:
        if agrees:
            return nn.AvgPool2d(window.kernel, window.stride, window.pad, ceil_mode=round_up, count_include_pad=True)
        return AveragePooling(window, sizes, out)
    raise NetspecError(f"{layer.label}: STOCHASTIC pooling is not compiled yet", layer.spans.at("pooling_param", "pool"))


BUILDERS = {"Pooling": build_pooling}
