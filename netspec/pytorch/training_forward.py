"""The forward pass of a training step: that of the net, arranged so that less stays of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx, nn

from netspec.pytorch.module import NetModule
from netspec.pytorch.scaled_batch_norm import ScaledBatchNorm, scaled_pairs


class TrainingForward:
    """A forward pass of a net with its own layers, whose params and statistics it shares.

    The net's module stays as it is: its graph has a node for each layer, for whoever watches them.

    Args:
        exact: without what changes results by rounding: BatchNorm and Scale as one.
    """

    def __init__(self, module: NetModule, exact: bool = False) -> None:
        self.module = module
        pairs = {} if exact else scaled_pairs(module)
        self._body = _arranged(module, pairs) if pairs else None

    def __call__(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """The outputs, as the net's module gives them. Raises: what it raises."""
        if self._body is None:
            return self.module(*inputs)
        try:
            outputs = self._body(*inputs)
        except Exception as error:
            self.module.explain(error, tuple(inputs), {})
            raise
        return self.module.shown(outputs)


def _arranged(module: NetModule, pairs: dict[fx.Node, fx.Node]) -> fx.GraphModule:
    """The graph with the second of each pair of nodes for both."""
    graph, parts = fx.Graph(), _Parts(module, pairs)
    values: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        parts.copy(graph, node, values)
    return fx.GraphModule(parts.submodules, graph)


class _Parts:
    """Copies nodes into other graphs, and knows the submodules that they call."""

    def __init__(self, module: NetModule, pairs: dict[fx.Node, fx.Node]) -> None:
        self.module, self.pairs, self.first = module, pairs, set(pairs.values())
        self.submodules: dict[str, nn.Module] = {}

    def copy(self, graph: fx.Graph, node: fx.Node, values: dict[fx.Node, fx.Node]) -> None:
        if node in self.first:
            return
        if node.op == "call_module":
            self.submodules[str(node.target)] = self._submodule(node)
        if node in self.pairs:
            (bottom,) = self.pairs[node].all_input_nodes
            values[node] = graph.call_module(str(node.target), (values[bottom],))
        else:
            values[node] = graph.node_copy(node, values.__getitem__)

    def _submodule(self, node: fx.Node) -> nn.Module:
        own = self.module.get_submodule(str(node.target))
        if node not in self.pairs:
            return own
        norm: Any = self.module.get_submodule(str(self.pairs[node].target))
        scale: Any = own
        return ScaledBatchNorm(norm, scale)
