"""Which inputs of a net its convolutions read channels last."""

from __future__ import annotations

from torch import nn

from netspec.pytorch.layer_nodes import calls_plain
from netspec.pytorch.layers.convolution import Conv2d
from netspec.pytorch.layers.memory_format import lies_last
from netspec.pytorch.module import NetModule


def inputs_last(module: NetModule) -> set[str]:
    """The names of the inputs that a convolution reads whose weights lie channels last.

    Brought to that once, they are not brought to it again for the gradients of the weights.
    """
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    return {
        name
        for name, each in zip(module.input_names, inputs, strict=True)
        for node in each.users
        if calls_plain(module, node, nn.Conv2d, Conv2d)
        and lies_last(module.get_parameter(f"{node.target}.weight"))
    }
