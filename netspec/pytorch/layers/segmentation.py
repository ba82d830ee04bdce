"""Maps made larger or smaller: bilinear interpolation, unpooling by a mask or over windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.layers.segmentation import (
    Interpolation,
    Upsampling,
    interpolation_of,
    pair_of,
    upsampling_of,
)
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule

if TYPE_CHECKING:
    from netspec.diagnostics import Span

Pair = tuple[int, int]


class Interp(LayerModule):
    """Bilinear interpolation with aligned corners of what a crop leaves of each plane."""

    def __init__(self, rule: Interpolation) -> None:
        super().__init__()
        self.rule = rule

    def extra_repr(self) -> str:
        return _words(self.rule)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[2:]
        begin, end = self.rule.begin, self.rule.end
        out = (self.rule.size(rows, 0), self.rule.size(columns, 1))
        kept = x[:, :, begin : rows - end, begin : columns - end]
        if kept.shape[2:] == out:
            return kept.clone()
        return F.interpolate(kept, out, mode="bilinear", align_corners=True)


def _words(rule: Interpolation | Upsampling) -> str:
    return ", ".join(f"{name}={value}" for name, value in rule._asdict().items())


class _Place(torch.autograd.Function):
    """Values put at places of a plane of zeros; where several meet, the last one stays.

    The forks' gradient is not the derivative: each value takes the gradient of its place, also one
    that another value took from it.

    Shapes: values and places (N, C, K) → (N, C, size)
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(places)
        order = torch.arange(places.shape[2], device=places.device).expand_as(places)
        last = torch.full((*places.shape[:2], size), -1, device=places.device)
        last = last.scatter_reduce(2, places, order, "amax")
        return torch.where(last >= 0, values.gather(2, last.clamp(min=0)), 0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return grad.gather(2, places), None, None


def place(x: Tensor, places: Tensor, sizes: Pair) -> Tensor:
    """The plane of these sizes in which x stands at its places, counted row by row."""
    flat = places.expand_as(x).flatten(2)
    return _Place.apply(x.flatten(2), flat, sizes[0] * sizes[1]).unflatten(2, sizes)


def checked_places(mask: Tensor, sizes: Pair, label: str, span: Span | None) -> Tensor:
    """A pooling's mask as whole numbers. Raises: NetspecError for a place outside (on the CPU)."""
    places = mask.detach().long()
    if not torch.compiler.is_compiling() and places.device.type == "cpu" and places.numel():
        low, high = (int(value) for value in torch.aminmax(places))
        if low < 0 or high >= sizes[0] * sizes[1]:
            message = (
                f"{label}: the mask holds place {low if low < 0 else high}, out of range for a "
                f"plane of {sizes[0]}×{sizes[1]}"
            )
            raise NetspecError(message, span, "the top must be as large as what was pooled")
    return places


class MaskedUpsample(LayerModule):
    """Puts each value at the place that a pooling's mask gives."""

    def __init__(self, rule: Upsampling, label: str, span: Span | None = None) -> None:
        super().__init__()
        self.rule, self.label, self.span = rule, label, span

    def extra_repr(self) -> str:
        return _words(self.rule)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        sizes = (self.rule.size(x.shape[2], 0), self.rule.size(x.shape[3], 1))
        return place(x, checked_places(mask, sizes, self.label, self.span), sizes)


class NearestUpsample(LayerModule):
    """Repeats each value along the last two axes."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def extra_repr(self) -> str:
        return f"scale={self.scale}"

    def forward(self, x: Tensor) -> Tensor:
        if self.scale == 1:
            return x.clone()
        *leading, rows, columns = x.shape
        wide = x[..., :, None, :, None].expand(*leading, rows, self.scale, columns, self.scale)
        return wide.reshape(*leading, rows * self.scale, columns * self.scale)


class MaxUnpooling(LayerModule):
    """Each value at the place of a pooling's mask, or at the first one of its window.

    A window that begins behind the plane counts as its last row or column.
    """

    def __init__(self, stride: Pair, sizes: Pair, label: str, span: Span | None = None) -> None:
        super().__init__()
        self.stride, self.sizes, self.label, self.span = stride, sizes, label, span

    def extra_repr(self) -> str:
        return f"stride={self.stride}, sizes={self.sizes}"

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            return place(x, checked_places(mask, self.sizes, self.label, self.span), self.sizes)
        row, column = (
            (torch.arange(count, device=x.device) * self.stride[i]).clamp(max=self.sizes[i] - 1)
            for i, count in enumerate(x.shape[2:])
        )
        return place(x, row[:, None] * self.sizes[1] + column, self.sizes)


def spread(x: Tensor, kernel: Pair, stride: Pair, sizes: Pair) -> Tensor:
    """Each value added to its window, of which the part beyond the plane is lost."""
    ones = torch.ones((1, 1, *kernel), dtype=x.dtype, device=x.device)
    planes = x.reshape(-1, 1, *x.shape[2:])
    full = F.conv_transpose2d(planes, ones, stride=stride)[..., : sizes[0], : sizes[1]]
    padded = F.pad(full, (0, sizes[1] - full.shape[3], 0, sizes[0] - full.shape[2]))
    return padded.reshape(*x.shape[:2], *sizes)


def window_counts(x: Tensor, kernel: Pair, stride: Pair, sizes: Pair) -> Tensor:
    """How many places of the plane each value's window has, at least 1."""
    counts = []
    for i in range(2):
        starts = torch.arange(x.shape[2 + i], device=x.device) * stride[i]
        counts.append(((starts + kernel[i]).clamp(max=sizes[i]) - starts).clamp(min=1))
    return torch.outer(counts[0], counts[1]).to(x.dtype)


class _Tile(torch.autograd.Function):
    """`spread`, whose gradient in the fork is the mean over the window, not the sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Pair, stride: Pair, sizes: Pair) -> Tensor:
        ctx.settings, ctx.shape = (kernel, stride, sizes), x.shape
        return spread(x, kernel, stride, sizes)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        kernel, stride, sizes = ctx.settings
        rows, columns = (
            max((ctx.shape[2 + i] - 1) * stride[i] + kernel[i], sizes[i]) for i in range(2)
        )
        planes = grad.reshape(-1, 1, *sizes)
        padded = F.pad(planes, (0, columns - sizes[1], 0, rows - sizes[0]))
        ones = torch.ones((1, 1, *kernel), dtype=grad.dtype, device=grad.device)
        total = F.conv2d(padded, ones, stride=stride)[..., : ctx.shape[2], : ctx.shape[3]]
        total = total.reshape(ctx.shape)
        return total / window_counts(total, kernel, stride, sizes), None, None, None


class WindowUnpooling(LayerModule):
    """Each value added to its window; AVE divides it by the window's size first.

    The fork adds to what its top held before, so that it is right in the first pass alone; here
    every pass begins with zeros.
    """

    def __init__(self, kernel: Pair, stride: Pair, sizes: Pair, divides: bool) -> None:
        super().__init__()
        self.kernel, self.stride, self.sizes, self.divides = kernel, stride, sizes, divides

    def extra_repr(self) -> str:
        method = "AVE" if self.divides else "TILE"
        return f"{method}, kernel={self.kernel}, stride={self.stride}, sizes={self.sizes}"

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.divides:
            x = x / window_counts(x, self.kernel, self.stride, self.sizes)
            return spread(x, self.kernel, self.stride, self.sizes)
        y: Tensor = _Tile.apply(x, self.kernel, self.stride, self.sizes)
        return y


def build_interp(layer: Layer) -> Interp:
    return Interp(interpolation_of(layer.field("interp_param")))


def build_masked_upsample(layer: Layer) -> MaskedUpsample:
    rule = upsampling_of(layer.field("upsample_param"))
    return MaskedUpsample(rule, layer.label, layer.spans.at("bottom", 1))


def build_nearest_upsample(layer: Layer) -> NearestUpsample:
    return NearestUpsample(layer.field("upsample_param").scale or 1)


def build_unpooling(layer: Layer) -> nn.Module:
    p = layer.field("unpooling_param")
    stride = pair_of(p, "stride", "stride")
    sizes = pair_of(p, "unpool_size", "unpool")
    if p.unpool == type(p).MAX:
        span = layer.spans.at("bottom", 1) if len(layer.bottom_blobs) > 1 else None
        return MaxUnpooling(stride, sizes, layer.label, span)
    kernel = pair_of(p, "kernel_size", "kernel")
    return WindowUnpooling(kernel, stride, sizes, divides=p.unpool == type(p).AVE)


BUILDERS: dict[str, Builder] = {
    "Interp": Builder(build_interp, leaves_top=always),
    "Upsample (segnet)": Builder(build_masked_upsample, leaves_top=always),
    "Upsample (yolo)": Builder(build_nearest_upsample, leaves_top=always),
    "Unpooling": Builder(build_unpooling, leaves_top=always),
}
