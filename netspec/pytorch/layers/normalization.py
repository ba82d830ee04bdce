"""BatchNorm with Caffe's unnormalised running sums, and MVN with its own gradient."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.memory_format import takes_gradient_alike


class BatchNorm(LayerModule):
    """(x - mean) / sqrt(variance + eps) for each channel.

    It has no learned factor; it may be given the factor and bias of the Scale layer behind it.

    mean and variance are sums that `scale_factor` divides: each forward pass in TRAIN multiplies
    all three by `fraction` and adds the batch's mean, its unbiased variance, and 1. The batch
    itself is normalised by its biased variance. `use_global_stats` is None where train() and eval()
    decide.
    """

    mean: Tensor
    variance: Tensor
    scale_factor: Tensor

    def __init__(
        self, channels: int, eps: float, fraction: float, use_global_stats: bool | None
    ) -> None:
        super().__init__()
        self.eps, self.fraction, self.use_global_stats = eps, fraction, use_global_stats
        for name, size in (("mean", channels), ("variance", channels), ("scale_factor", 1)):
            self.register_buffer(name, torch.zeros(size))

    def extra_repr(self) -> str:
        return (
            f"{self.mean.numel()}, eps={self.eps:g}, fraction={self.fraction:g}, "
            f"use_global_stats={self.use_global_stats}"
        )

    def blobs(self) -> list[Tensor]:
        return [self.mean, self.variance, self.scale_factor]

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        shaped = x.unsqueeze(1) if x.dim() == 1 else x
        if not self.training if self.use_global_stats is None else self.use_global_stats:
            factor = torch.where(self.scale_factor == 0, 0.0, 1 / self.scale_factor)
            y = F.batch_norm(
                shaped, self.mean * factor, self.variance * factor, weight, bias, eps=self.eps
            )
            return _shaped_as(x, y)
        mean, variance = torch.zeros_like(self.mean), torch.zeros_like(self.variance)
        if shaped.numel() == shaped.shape[1]:  # one value a channel: torch refuses, Caffe gives 0
            y, mean = (shaped - shaped) / self.eps**0.5, shaped.detach().reshape(-1).to(mean.dtype)
            y = y if weight is None else y * weight.view_as(y)
            y = y if bias is None else y + bias.view_as(y)
        else:
            y = F.batch_norm(
                shaped, mean, variance, weight, bias, training=True, momentum=1.0, eps=self.eps
            )
        with torch.no_grad():
            self.scale_factor.mul_(self.fraction).add_(1)
            self.mean.mul_(self.fraction).add_(mean)
            self.variance.mul_(self.fraction).add_(variance)
        return _shaped_as(x, y)


def _shaped_as(x: Tensor, y: Tensor) -> Tensor:
    """y in x's shape; where it has it no view, which autograd copies when ReLU writes over it."""
    return takes_gradient_alike(y) if y.dim() == x.dim() else y.view_as(x)


class _NormalizeVariance(torch.autograd.Function):
    """(x - mean) / (deviation + eps) of each row.

    Caffe's gradient is that of eps = 0, divided by deviation + eps: that of a batch normalisation,
    whose kernel does it.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, eps: float, in_place: bool) -> Tensor:
        mean = rows.mean(1, keepdim=True)
        y = rows - mean
        deviation = (torch.linalg.vector_norm(y, dim=1, keepdim=True) / rows.shape[1] ** 0.5).add_(
            eps
        )
        y.div_(deviation)
        ctx.save_for_backward(y if in_place else rows, mean, deviation)
        ctx.in_place = in_place
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        rows, mean, deviation = ctx.saved_tensors
        if ctx.in_place:
            return mvn_gradient(grad, rows, deviation, True), None, None
        if not rows.numel():  # the kernel divides by its size
            return grad, None, None
        batch, statistics, mask = (
            (grad.unsqueeze(0), rows.unsqueeze(0)),
            (mean.squeeze(1), 1 / deviation.squeeze(1)),
            [True, False, False],
        )
        gradient = torch.ops.aten.native_batch_norm_backward(
            *batch, None, None, None, *statistics, True, 0.0, mask
        )[0]
        return gradient.squeeze(0), None, None


def mvn_gradient(grad: Tensor, top: Tensor, deviation: Tensor, in_place: bool) -> Tensor:
    """Caffe's gradient of each row, where `top` is what stands there in the backward pass.

    In place, the top's gradient shares its memory with the bottom's. MVNLayer::Backward_cpu makes
    its first product there, and then reads the gradient once more; netspec gives the same numbers.
    """
    slope = (grad * top).mean(1, keepdim=True)
    if in_place:
        return -2 * slope * (top + top.sum(1, keepdim=True)) / deviation
    return (grad - grad.mean(1, keepdim=True) - top * slope) / deviation


class MVN(LayerModule):
    """Takes the mean off each plane, or each item, and divides by its deviation plus eps.

    Half precision is summed in 32 bits.

    Shapes: (N, C, H, W), of which the last ones may be missing → (N, C, H, W).
    """

    def __init__(
        self, normalize_variance: bool, across_channels: bool, eps: float, in_place: bool = False
    ) -> None:
        super().__init__()
        self.normalize_variance, self.across_channels, self.eps, self.in_place = (
            normalize_variance,
            across_channels,
            eps,
            in_place,
        )

    def extra_repr(self) -> str:
        return (
            f"normalize_variance={self.normalize_variance}, "
            f"across_channels={self.across_channels}, eps={self.eps:g}"
        )

    def rows(self, x: Tensor) -> Tensor:
        """A row for each plane or item."""
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        count = x.shape[: 1 if self.across_channels else 2].numel()
        return wide.reshape(count, x.numel() // max(1, count))

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rows(x)
        y = (
            _NormalizeVariance.apply(rows, self.eps, self.in_place)
            if self.normalize_variance
            else rows - rows.mean(1, keepdim=True)
        )
        return y.view(*x.shape, *[1] * (4 - x.dim())).to(x.dtype)


def fixed_statistics(layer: Layer) -> bool | None:
    """Whether a BatchNorm layer takes its running statistics; None where train() and eval() say."""
    p = layer.message.batch_norm_param
    if p.HasField("use_global_stats"):
        return bool(p.use_global_stats)
    return layer.phase == "TEST" if layer.message.HasField("phase") else None


def build_batch_norm(layer: Layer) -> nn.Module:
    p = layer.message.batch_norm_param
    eps = p.eps or 1e-45  # torch refuses 0; beside a variance, this vanishes
    fixed = fixed_statistics(layer)
    return BatchNorm(layer.params[0].shape[0], eps, p.moving_average_fraction, fixed)


def build_mvn(layer: Layer) -> nn.Module:
    p = layer.message.mvn_param
    return MVN(p.normalize_variance, p.across_channels, p.eps, layer.tops[0] == layer.bottoms[0])


def _mvn_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    rows = module.rows(x)
    deviation = (
        torch.linalg.vector_norm(rows - rows.mean(1, keepdim=True), dim=1, keepdim=True)
        / rows.shape[1] ** 0.5
        + module.eps
    )
    return (
        mvn_gradient(module.rows(grad), module.rows(top), deviation, module.in_place)
        .view_as(x)
        .to(x.dtype)
    )


BUILDERS = {
    "BatchNorm": Builder(build_batch_norm, leaves_top=always),
    "MVN": Builder(build_mvn, gradient=_mvn_gradient),
}
