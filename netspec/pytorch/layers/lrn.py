"""Local response normalisation with its own gradient.

Across channels it takes a few images at a time, so that what is between its bottom and its top
stays in the processor's caches; a pass then costs about what a 1×1 convolution costs. The gradient
computes that again, and keeps the bottom alone.
"""

from __future__ import annotations

from functools import cached_property, reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.layers.normalization import images_at_a_time
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.schema.caffe_pb2 import LRNParameter


class _Response:
    """s = k + alpha/size · (sum of squares over `size` channels), and the room to work it out.

    Args: x: what is worked on at a time, or more of it than the later parts are.
    """

    def __init__(self, x: Tensor, size: int, alpha: float, beta: float, k: float) -> None:
        self.channels, self.beta = x.shape[1], beta
        # how far a window goes to either side; channels further away there are none
        self.reach = max(0, min(size // 2, self.channels - 1))
        self.width = 2 * self.reach + 1
        self.factor = alpha / size
        self.share = torch.full((), k / self.width, dtype=x.dtype, device=x.device)
        # each value holds its share of k, so that every window sums up to it
        self.squares = self._padded(x, k / self.width)
        self.rooms = [torch.empty_like(self.squares) for _ in range(2)]

    def _padded(self, x: Tensor, value: float) -> Tensor:
        """Room for x with what its windows reach on either side.

        Shapes: (N, C, …) → (N, C + 2·reach, …)
        """
        shape = (x.shape[0], x.shape[1] + 2 * self.reach, *x.shape[2:])
        is_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        memory_format = torch.channels_last if is_last else torch.contiguous_format
        room = torch.full(shape, value, dtype=x.dtype, device=x.device)
        return room.contiguous(memory_format=memory_format)

    def _inner(self, padded: Tensor, count: int) -> Tensor:
        return padded[:count, self.reach : self.reach + self.channels]

    def sums(self, padded: Tensor) -> Tensor:
        """The sum over each window; it stands until the next one is worked out."""
        return _sums(padded, self.width, self.channels, self.rooms)

    def scale(self, x: Tensor) -> Tensor:
        """s of x; it stands until the next sums."""
        inner = self._inner(self.squares, len(x))
        torch.addcmul(self.share, x, x, value=self.factor, out=inner)
        return self.sums(self.squares[: len(x)])

    def power(self, scale: Tensor, out: Tensor) -> Tensor:
        """s^-beta; the common 3/4 by two square roots, which take a fraction of a power's time."""
        if self.beta != 0.75:
            return torch.pow(scale, -self.beta, out=out)
        root = torch.rsqrt(scale, out=self.rooms[1][: len(scale), : self.channels])
        return torch.sqrt(root, out=out).mul_(root)

    @cached_property
    def ratios(self) -> Tensor:
        """Room for what the gradient sums, with nothing around it."""
        return torch.zeros_like(self.squares)

    def gradient(self, x: Tensor, grad: Tensor, out: Tensor) -> None:
        """g·s^-beta - 2·alpha·beta/size · x · (sum of g·x·s^-beta/s over the window)."""
        scale = self.scale(x)
        direct = self.power(scale, out).mul_(grad)
        torch.mul(direct, x, out=self._inner(self.ratios, len(x))).div_(scale)
        direct.addcmul_(self.sums(self.ratios[: len(x)]), x, value=-2 * self.factor * self.beta)


def _sums(x: Tensor, width: int, count: int, rooms: list[Tensor]) -> Tensor:
    """The sums of `width` channels from each of the first `count` on, by sums of half as many.

    Shapes: (N, count + width - 1, …) → (N, count, …), in the first room
    """
    if width == 1:
        return x[:, :count]
    half = width // 2
    halves = _sums(x, half, count + width - half, rooms[::-1])
    total = rooms[0][: len(x), :count]
    torch.add(halves[:, :count], halves[:, half : half + count], out=total)
    return total.add_(x[:, width - 1 : width - 1 + count]) if width % 2 else total


def _blocks(x: Tensor) -> list[slice]:
    """The parts of a batch to take one after the other."""
    count = x.shape[0]
    if x.device.type != "cpu" or not x.numel():
        return [slice(0, count)]
    step = images_at_a_time(x.shape, torch.get_num_threads())
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


class _AcrossChannels(torch.autograd.Function):
    """y = x · s^-beta."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *settings: Any) -> Tensor:
        ctx.save_for_backward(x)
        ctx.settings = settings
        top = torch.empty_like(x)
        blocks = _blocks(x)
        response = _Response(x[blocks[0]], *settings)
        for block in blocks:
            response.power(response.scale(x[block]), top[block]).mul_(x[block])
        return top

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        gradient = torch.empty_like(x)
        blocks = _blocks(x)
        response = _Response(x[blocks[0]], *ctx.settings)
        for block in blocks:
            response.gradient(x[block], grad[block], gradient[block])
        return gradient, None, None, None, None


def _window_sums(x: Tensor, size: int) -> Tensor:
    """The sum over `size` channels around each; (N, C, …) → (N, C, …)."""
    channels = x.shape[1]
    reach = max(0, min(size // 2, channels - 1))  # further channels there are none
    padded = F.pad(x, (0, 0) * (x.dim() - 2) + (reach, reach))
    return reduce(torch.add, [padded[:, i : i + channels] for i in range(2 * reach + 1)])


def _scale(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    return _window_sums(x * x, size) * (alpha / size) + k


class LRN(LayerModule):
    """Local response normalisation, over channels or within each channel's plane.

    Within a channel, alpha is divided by the whole window, its zero padding included, and k is
    always 1. Half precision is summed in 32 bits: beside k, alpha times a square would be rounded
    away.
    """

    def __init__(
        self, size: int, alpha: float, beta: float, k: float, within_channel: bool
    ) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k, self.within_channel = (
            size,
            alpha,
            beta,
            k,
            within_channel,
        )

    def extra_repr(self) -> str:
        region = "within_channel" if self.within_channel else "across_channels"
        return f"{self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}, {region}"

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        if self.within_channel:
            # a window of more than the plane around each place holds no more, it only divides by
            # more
            size = self.size if self.size < 256 else min(self.size, 2 * max(x.shape[2:]) + 1)
            mean = F.avg_pool2d(
                wide * wide, size, stride=1, padding=size // 2, count_include_pad=True
            )
            mean = mean if size == self.size else mean * (size / self.size) ** 2
            return (wide * (1 + self.alpha * mean).pow(-self.beta)).to(x.dtype)
        settings = (self.size, self.alpha, self.beta, self.k)
        if torch.compiler.is_compiling():  # a compiler makes one kernel of the plain formula
            return (wide * _scale(wide, *settings[:2], self.k).pow(-self.beta)).to(x.dtype)
        return _AcrossChannels.apply(wide, *settings).to(x.dtype)


def build_lrn(layer: Layer) -> nn.Module:
    p = layer.message.lrn_param
    return LRN(p.local_size, p.alpha, p.beta, p.k, p.norm_region == LRNParameter.WITHIN_CHANNEL)


def _lrn_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    """The gradient over channels, from what the bottom and the top hold now."""
    scale = _scale(x, module.size, module.alpha, module.k)
    ratio = _window_sums(grad * top / scale, module.size)
    factor = 2 * module.alpha * module.beta / module.size
    return grad * scale.pow(-module.beta) - factor * bottom * ratio


BUILDERS = {"LRN": Builder(build_lrn, gradient=_lrn_gradient, leaves_top=always)}
