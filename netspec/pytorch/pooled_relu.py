"""The nodes of ReLU layers that training computes behind the max pooling that reads them."""

from __future__ import annotations

from torch import fx, nn

from netspec.passes.pooled_relu import pooled_relu
from netspec.pytorch.layer_nodes import plain_pairs
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule


def pooled_relus(module: NetModule) -> dict[fx.Node, fx.Node]:
    """Of each node of a max pooling that alone reads a ReLU's top, the ReLU's node.

    What is wrapped or watched, or has a cast between the two, stays as it is.
    """
    return plain_pairs(module, pooled_relu(net_of(module)), nn.MaxPool2d, nn.ReLU)
