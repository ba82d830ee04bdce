"""ReLU layers before a max pooling, which are computed behind it in training.

max(0, x) keeps the order of values, so both ways give the same maxima and the same gradients, and
behind the pooling there are fewer values.
"""

from __future__ import annotations

from torch import fx, nn

from netspec.pytorch.layer_nodes import calls_plain
from netspec.pytorch.module import NetModule


def pooled_relus(module: NetModule) -> dict[fx.Node, fx.Node]:
    """Of each node of a max pooling that alone reads a ReLU's top, the ReLU's node.

    What is wrapped or watched, or has a cast between the two, stays as it is.
    """
    return {
        node: relu
        for node in module.graph.nodes
        if calls_plain(module, node, nn.MaxPool2d)
        for relu in node.all_input_nodes
        if calls_plain(module, relu, nn.ReLU) and list(relu.users) == [node]
    }
