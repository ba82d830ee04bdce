"""BatchNorm and the Scale behind it in one of torch's kernels, which keeps their bottom alone."""

from __future__ import annotations

from typing import cast

from torch import Tensor, fx, nn

from netspec.passes.scaled_batch_norm import scaled_batch_norm
from netspec.pytorch.layer_nodes import plain_pairs
from netspec.pytorch.layers.arithmetic import Scale
from netspec.pytorch.layers.normalization import BatchNorm
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule


class ScaledBatchNorm(nn.Module):
    """Two layers of a net as one; their params and statistics stay theirs."""

    def __init__(self, norm: BatchNorm, scale: Scale) -> None:
        super().__init__()
        self.norm, self.scale = norm, scale

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.norm(x, self.scale.weight, self.scale.bias))


def scaled_pairs(module: NetModule) -> dict[fx.Node, fx.Node]:
    """Of each node of a Scale that can be computed with a BatchNorm, the node of that one.

    What is wrapped or watched, or has a cast between the two, stays as it is.
    """
    return plain_pairs(module, scaled_batch_norm(net_of(module)), Scale, BatchNorm)
