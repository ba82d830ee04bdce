"""BatchNorm and the Scale behind it in one of torch's kernels, which keeps their bottom alone."""

from __future__ import annotations

from typing import cast

from torch import Tensor, fx, nn

from netspec.passes.scaled_batch_norm import scaled_batch_norm
from netspec.pytorch.layer_nodes import calls_plain
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
    nodes = {node.target: node for node in module.graph.nodes if node.op == "call_module"}
    net = net_of(module)
    target = dict(zip(net.layers, module.about.order, strict=True))
    found = {}
    for scale, norm in scaled_batch_norm(net).items():
        top, between = nodes.get(target[scale]), nodes.get(target[norm])
        if top is None or between is None:
            continue
        is_plain = calls_plain(module, top, Scale) and calls_plain(module, between, BatchNorm)
        if is_plain and top.args == (between,) and list(between.users) == [top]:
            found[top] = between
    return found
