"""Pooling layers.

torch's own modules compute it where they agree with Caffe, a general one where Caffe's sizes
differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.layers.pooling import pyramid_fault, pyramid_window, rounds_up, torch_pools
from netspec.layers.window import Window, pooled_size, window_of
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.schema.caffe_pb2 import PoolingParameter, SPPParameter

if TYPE_CHECKING:
    from netspec.diagnostics import Span

FLT_MAX = torch.finfo(torch.float32).max
FLT_MIN = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, slots=True)
class Rule:
    """A Pooling layer's windows over a plane of any size.

    With `whole_plane` its only window is the plane.
    """

    window: Window
    round_up: bool
    whole_plane: bool = False

    def on(self, sizes: tuple[int, int]) -> tuple[Window, tuple[int, int]]:
        """The window and the output's sizes for a plane."""
        window = replace(self.window, kernel=sizes) if self.whole_plane else self.window
        return window, (
            pooled_size(sizes[0], window, 0, self.round_up),
            pooled_size(sizes[1], window, 1, self.round_up),
        )

    def __str__(self) -> str:
        if self.whole_plane:
            return "global"
        return (
            f"kernel={self.window.kernel}, stride={self.window.stride}, pad={self.window.pad}, "
            f"{'ceil' if self.round_up else 'floor'}"
        )


class MaxPooling(LayerModule):
    """MAX where a window may start beyond the input or torch refuses the pad.

    Such a window holds nothing and gives -FLT_MAX.

    With `mask` it also gives the place of each maximum in the plane, as floats; -1 where there is
    none.
    """

    def __init__(self, rule: Rule, mask: bool) -> None:
        super().__init__()
        self.rule, self.mask = rule, mask

    def extra_repr(self) -> str:
        return f"{self.rule}, mask={self.mask}"

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        height, width = x.shape[2:]
        window, out = self.rule.on((height, width))
        margins = _margins(window, (height, width), out)
        padded = F.pad(x, margins, value=_lowest(x)) if any(margins) else x
        if not self.mask:
            return F.max_pool2d(padded, window.kernel, window.stride)
        y, index = F.max_pool2d(padded, window.kernel, window.stride, return_indices=True)
        left, _, top, _ = margins
        row = index // padded.shape[3] - top
        column = index % padded.shape[3] - left
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        place = torch.where(inside, row * width + column, torch.full_like(row, -1))
        # bfloat16 can't distinguish places above 256
        return y, place.to(torch.promote_types(x.dtype, torch.float32))


class AveragePooling(LayerModule):
    """AVE by Caffe's divisor, which counts the pad but nothing beyond it.

    An empty window is 0/0.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule

    def extra_repr(self) -> str:
        return str(self.rule)

    def forward(self, x: Tensor) -> Tensor:
        sizes = (x.shape[2], x.shape[3])
        window, out = self.rule.on(sizes)
        total = F.avg_pool2d(
            F.pad(x, _margins(window, sizes, out)), window.kernel, window.stride, divisor_override=1
        )
        counts = []
        for i in range(2):
            starts = torch.arange(out[i], device=x.device) * window.stride[i] - window.pad[i]
            counts.append((starts + window.kernel[i]).clamp(max=sizes[i] + window.pad[i]) - starts)
        return total / torch.outer(*counts).to(x.dtype)


class StochasticPooling(LayerModule):
    """One value of each window, drawn with a probability in proportion to it.

    Without `draws` it is the mean of the values, weighted by themselves: Σx²/Σx.
    """

    def __init__(self, rule: Rule, draws: bool) -> None:
        super().__init__()
        self.rule, self.draws = rule, draws

    def extra_repr(self) -> str:
        return f"{self.rule}, draws={self.draws}"

    def forward(self, x: Tensor) -> Tensor:
        sizes = (x.shape[2], x.shape[3])
        window, out = self.rule.on(sizes)
        return pool_stochastic(
            F.pad(x, _margins(window, sizes, out)), window.kernel, window.stride, self.draws
        )


def pool_stochastic(
    x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], draws: bool
) -> Tensor:
    """Stochastic pooling of a plane that the windows fit into.

    Zeros are never drawn but from a window of nothing else.
    """
    values = x.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1]).flatten(4)
    exact = values.to(torch.promote_types(x.dtype, torch.float32))
    if not draws:
        return (exact.square().sum(-1) / (FLT_MIN + exact.sum(-1))).to(x.dtype)
    with torch.no_grad():
        sums = exact.cumsum(-1)
        total = sums[..., -1:]
        # in the order of the axes, however the blob lies
        drawn = torch.rand_like(total, memory_format=torch.contiguous_format)
        # the first of them
        place = (sums >= (1 - drawn) * total).int().argmax(-1, keepdim=True)
    return values.gather(-1, place).squeeze(-1)


class SpatialPyramidPooling(LayerModule):
    """Pools over grids of 1, 2, 4, … cells a side that cover the plane whatever its size is."""

    def __init__(self, height: int, pool: int, label: str, span: Span | None = None) -> None:
        super().__init__()
        self.height, self.pool = height, pool
        self.label, self.span = label, span

    def extra_repr(self) -> str:
        return f"height={self.height}, pool={SPPParameter.PoolMethod.Name(self.pool)}"

    def forward(self, x: Tensor) -> Tensor:
        levels = [self._level(x, level) for level in range(self.height)]
        return levels[0] if self.height == 1 else torch.cat([y.flatten(1) for y in levels], 1)

    def _level(self, x: Tensor, level: int) -> Tensor:
        sizes = (x.shape[2], x.shape[3])
        fault = pyramid_fault(sizes, level, self.pool == SPPParameter.STOCHASTIC)
        if fault:
            raise NetspecError(f"{self.label}: {fault}", self.span)
        (height, top), (width, left) = (pyramid_window(size, level) for size in sizes)
        # windows beside one another: the last one ends where the pad behind does, and an average
        # counts all of it
        margins = (
            left,
            width * 2**level - sizes[1] - left,
            top,
            height * 2**level - sizes[0] - top,
        )
        if self.pool == SPPParameter.MAX:
            return F.max_pool2d(
                F.pad(x, margins, value=_lowest(x)) if any(margins) else x, (height, width)
            )
        if self.pool == SPPParameter.AVE:
            return F.avg_pool2d(F.pad(x, margins), (height, width))
        # Caffe's inner pooling layers know no phase, which makes it TRAIN: they draw in TEST too
        return pool_stochastic(x, (height, width), (height, width), True)


def _lowest(x: Tensor) -> float:
    """-FLT_MAX, or the lowest number of a type that does not reach there."""
    return max(-FLT_MAX, torch.finfo(x.dtype).min)


def _margins(
    window: Window, sizes: tuple[int, int], out: tuple[int, int]
) -> tuple[int, int, int, int]:
    """What to pad (left, right, top, bottom) so that every window of the output lies inside."""
    after = [
        max(0, (out[i] - 1) * window.stride[i] + window.kernel[i] - sizes[i] - window.pad[i])
        for i in range(2)
    ]
    return window.pad[1], after[1], window.pad[0], after[0]


def build_pooling(layer: Layer) -> nn.Module:
    p = layer.message.pooling_param
    window = window_of(p, 2, (1, 1) if p.global_pooling else None)
    rule = Rule(window, rounds_up(p), p.global_pooling)
    is_torchs = torch_pools(window, rule.round_up)
    if p.pool == PoolingParameter.MAX:
        if len(layer.top_blobs) > 1:
            return MaxPooling(rule, mask=True)
        if p.global_pooling:
            return nn.AdaptiveMaxPool2d(1)
        return (
            nn.MaxPool2d(window.kernel, window.stride, window.pad, ceil_mode=rule.round_up)
            if is_torchs
            else MaxPooling(rule, mask=False)
        )
    if p.pool == PoolingParameter.AVE:
        if p.global_pooling:
            return nn.AdaptiveAvgPool2d(1)
        if is_torchs:
            kernel, stride, pad = (
                (value[0], value[1]) for value in (window.kernel, window.stride, window.pad)
            )
            return nn.AvgPool2d(
                kernel, stride, pad, ceil_mode=rule.round_up, count_include_pad=True
            )
        return AveragePooling(rule)
    return StochasticPooling(rule, layer.phase == "TRAIN")


def build_spp(layer: Layer) -> nn.Module:
    p = layer.message.spp_param
    return SpatialPyramidPooling(
        p.pyramid_height, p.pool, layer.label, layer.spans.at("spp_param", "pyramid_height")
    )


BUILDERS = {"Pooling": Builder(build_pooling), "SPP": Builder(build_spp)}
