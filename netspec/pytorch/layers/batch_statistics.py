"""Batch normalisation of the forks, over torch's kernel where the gradient is the derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.layers.batch_statistics import has_scale
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.memory_format import takes_gradient_alike
from netspec.pytorch.layers.normalization import BatchNorm, fixed_statistics
from netspec.schema.forks import stated
from netspec.weights.fork_blobs import maps_of_rows, nvidia_statistics

if TYPE_CHECKING:
    from netspec.diagnostics import Span

SEGNET_EPS = 1e-9


def normalized(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, eps: float, like: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A batch normalised by itself, with its mean and its biased variance, a value a channel.

    Args: like: a param of the layer, whose type the statistics have.
    """
    channels, count = x.shape[1], x.numel() // max(1, x.shape[1])
    mean, variance = (like.new_zeros(channels) for _ in range(2))
    if count == 1:  # torch refuses one value a channel; the forks give the shift
        shape = (1, -1, *[1] * (x.dim() - 2))
        y = x - x
        if scale is not None and shift is not None:
            y = y * scale.view(shape) + shift.view(shape)
        return y, x.detach().reshape(-1).to(mean.dtype), variance
    y = F.batch_norm(x, mean, variance, scale, shift, training=True, momentum=1.0, eps=eps)
    return takes_gradient_alike(y), mean, variance * ((count - 1) / count)


class SegNetBN(LayerModule):
    """Normalises by the batch in TRAIN and TEST, then scale and shift; the latter alone if fixed.

    The fork's gradients of scale and shift replace those of an earlier pass; here they add up, as
    those of every other layer do.
    """

    def __init__(self, channels: int, learns: bool, statistics: int) -> None:
        super().__init__()
        self.learns, self.statistics = learns, statistics
        self.weight = nn.Parameter(torch.empty(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.empty(1, channels, 1, 1))

    def extra_repr(self) -> str:
        return f"{self.weight.numel()}, {'LEARN' if self.learns else 'INFERENCE'}"

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        scale, shift = self.weight.view(-1), self.bias.view(-1)
        if not self.learns:
            shape = (1, -1, *[1] * (x.dim() - 2))
            return x * scale.view(shape) + shift.view(shape)
        y, mean, variance = normalized(x, scale, shift, SEGNET_EPS, scale)
        if not self.statistics:
            return y
        return (y, mean.view(1, -1, 1, 1), variance.view(1, -1, 1, 1))[: 1 + self.statistics]


class _ByRunning(torch.autograd.Function):
    """y = slope · (x - mean) / deviation + bias, differentiated as if the batch were that of both.

    That is PSPNet's gradient in TEST, where the layer is not frozen.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, slope: Tensor, bias: Tensor, mean: Tensor, deviation: Tensor
    ) -> Tensor:
        normal = (x - mean) / deviation
        ctx.save_for_backward(normal, slope, deviation)
        return normal * slope + bias

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        normal, slope, deviation = ctx.saved_tensors
        axes = [0, *range(2, grad.dim())]
        count = grad.numel() // max(1, grad.shape[1])
        of_slope = (grad * normal).sum(axes, keepdim=True)
        of_bias = grad.sum(axes, keepdim=True)
        of_x = (grad - (of_bias + normal * of_slope) / count) * slope / deviation
        return of_x, of_slope, of_bias, None, None


class PSPNetBN(LayerModule):
    """Normalises by the batch in TRAIN and by the running statistics otherwise.

    The running statistics are momentum · running + (1 - momentum) · batch, its variance biased.
    `phase` is None where train() and eval() decide.
    """

    mean: Tensor
    variance: Tensor

    def __init__(
        self, channels: int, momentum: float, eps: float, frozen: bool, phase: str | None
    ) -> None:
        super().__init__()
        self.momentum, self.eps, self.frozen, self.phase = momentum, eps, frozen, phase
        shape = (1, channels, 1, 1)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(shape))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.full(shape, float(frozen)))

    def extra_repr(self) -> str:
        return (
            f"{self.mean.numel()}, momentum={self.momentum:g}, eps={self.eps:g}, "
            f"frozen={self.frozen}"
        )

    def blobs(self) -> list[Tensor]:
        return [self.weight, self.bias, self.mean, self.variance]

    def from_file(self, arrays: list[np.ndarray | None]) -> list[np.ndarray | None]:
        return list(maps_of_rows(arrays, len(self.blobs())))

    def forward(self, x: Tensor) -> Tensor:
        is_train = self.training if self.phase is None else self.phase == "TRAIN"
        if is_train and not self.frozen:
            slope, bias = self.weight.view(-1), self.bias.view(-1)
            y, mean, variance = normalized(x, slope, bias, self.eps, self.mean)
            with torch.no_grad():
                for running, batch in ((self.mean, mean), (self.variance, variance)):
                    running.mul_(self.momentum).add_(
                        batch.view_as(running), alpha=1 - self.momentum
                    )
            return y
        shape = (1, -1, *[1] * (x.dim() - 2))
        slope, bias, mean = (b.view(shape) for b in (self.weight, self.bias, self.mean))
        deviation = (self.variance.view(shape) + self.eps).sqrt()
        if self.frozen:  # nothing is learned: no gradient for slope and bias
            return (x - mean) / deviation * slope.detach() + bias.detach()
        result: Tensor = _ByRunning.apply(x, slope, bias, mean.clone(), deviation)
        return result


class GroupedBatchNorm(BatchNorm):
    """Caffe's BatchNorm over `group` images at a time; the sums move once for each group."""

    def __init__(
        self,
        channels: int,
        eps: float,
        fraction: float,
        use_global_stats: bool | None,
        group: int,
        place: tuple[str, Span | None],
    ) -> None:
        super().__init__(channels, eps, fraction, use_global_stats)
        self.group, self.place = group, place

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, group={self.group}"

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        is_global = not self.training if self.use_global_stats is None else self.use_global_stats
        if is_global or not self.group:
            return super().forward(x, weight, bias)
        if x.shape[0] % self.group:
            label, span = self.place
            raise NetspecError(
                f"{label}: 'stats_batch_size' {self.group} does not divide the {x.shape[0]} images "
                "of the batch",
                span,
            )
        forward = super().forward
        return torch.cat([forward(part, weight, bias) for part in x.split(self.group)])


class NvidiaBatchNorm(LayerModule):
    """Normalises by the batch in TRAIN and by the running statistics in TEST.

    The first two passes of training replace the running statistics. The stored variance includes
    eps, to which TEST adds it once more. The passes are counted from the start of the process.
    """

    mean: Tensor
    variance: Tensor
    correction: Tensor
    passes: Tensor

    def __init__(
        self, channels: int, eps: float, fraction: float, scales: bool, phase: str | None
    ) -> None:
        super().__init__()
        self.eps, self.fraction, self.phase = eps, fraction, phase
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.zeros(channels))
        self.register_buffer("correction", torch.ones(1))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64), persistent=False)
        self.weight = nn.Parameter(torch.empty(channels)) if scales else None
        self.bias = nn.Parameter(torch.empty(channels)) if scales else None

    def extra_repr(self) -> str:
        return (
            f"{self.mean.numel()}, eps={self.eps:g}, fraction={self.fraction:g}, "
            f"scale={self.weight is not None}"
        )

    def blobs(self) -> list[Tensor]:
        learned = [blob for blob in (self.weight, self.bias) if blob is not None]
        return [self.mean, self.variance, self.correction, *learned]

    def from_file(self, arrays: list[np.ndarray | None]) -> list[np.ndarray | None]:
        return list(nvidia_statistics(arrays, len(self.blobs())))

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training if self.phase is None else self.phase == "TRAIN"):
            return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, eps=self.eps)
        y, mean, variance = normalized(x, self.weight, self.bias, self.eps, self.mean)
        with torch.no_grad():
            kept = torch.where(self.passes < 2, 0.0, self.fraction)
            self.mean.copy_(self.mean * kept + mean * (1 - kept))
            self.variance.copy_(self.variance * kept + (variance + self.eps) * (1 - kept))
            self.passes.add_(1)
        return y


def own_phase(layer: Layer) -> str | None:
    """The phase that a layer states for itself, whatever train() and eval() say; else None."""
    return layer.phase if layer.message.HasField("phase") else None


def build_segnet_bn(layer: Layer) -> SegNetBN:
    p = layer.field("bn_param")
    return SegNetBN(layer.params[0].count, not p.bn_mode, len(layer.top_blobs) - 1)


def build_pspnet_bn(layer: Layer) -> PSPNetBN:
    p, phase = layer.field("bn_param"), own_phase(layer)
    return PSPNetBN(layer.params[0].count, p.momentum, p.eps, p.frozen, phase)


def build_intel_batch_norm(layer: Layer) -> GroupedBatchNorm:
    p, channels = layer.message.batch_norm_param, layer.params[0].count
    return GroupedBatchNorm(
        channels,
        p.eps or 1e-45,  # torch refuses 0; beside a variance, this vanishes
        p.moving_average_fraction,
        fixed_statistics(layer),
        stated(p, "stats_batch_size") or 0,
        (layer.label, layer.spans.at("batch_norm_param", "stats_batch_size")),
    )


def build_nvidia_batch_norm(layer: Layer) -> NvidiaBatchNorm:
    p, channels = layer.message.batch_norm_param, layer.params[0].count
    eps = max(p.eps, 1e-5)  # the least that cuDNN takes
    fraction, phase = p.moving_average_fraction, own_phase(layer)
    return NvidiaBatchNorm(channels, eps, fraction, has_scale(p), phase)


BUILDERS: dict[str, Builder] = {
    "BN (segnet)": Builder(build_segnet_bn, leaves_top=always),
    "BN (pspnet)": Builder(build_pspnet_bn, leaves_top=always),
    "BatchNorm (intel)": Builder(build_intel_batch_norm, leaves_top=always),
    "BatchNorm (nvidia)": Builder(build_nvidia_batch_norm, leaves_top=always),
}
