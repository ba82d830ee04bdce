"""The forward pass of a training step: that of the net, arranged so that less stays of it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from netspec.diagnostics import counted
from netspec.passes.checkpoint_segments import checkpoint_segments
from netspec.pytorch.checkpoint import Segment, not_repeatable
from netspec.pytorch.layer_nodes import calls_plain, nodes_of_layers
from netspec.pytorch.layers.memory_format import lies_last, takes_gradient_alike
from netspec.pytorch.layers.shape import Reshape
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule
from netspec.pytorch.pooled_relu import pooled_relus
from netspec.pytorch.scaled_batch_norm import ScaledBatchNorm, scaled_pairs


class TrainingForward:
    """A forward pass of a net with its own layers, whose params and statistics it shares.

    The net's module stays as it is: its graph has a node for each layer, for whoever watches them.

    Args:
        exact: without what changes results by rounding: BatchNorm and Scale as one.
        checkpoint: computes segments of layers again in the backward pass, instead of keeping what
            their gradients read; results are the same, bit for bit.
    """

    def __init__(self, module: NetModule, exact: bool = False, checkpoint: bool = False) -> None:
        self.module, self._exact, self._checkpoint = module, exact, checkpoint
        self.forget()

    def forget(self) -> None:
        """Arranges the module anew: it has changed."""
        scaled = {} if self._exact else scaled_pairs(self.module)
        self.segments = _segments(self.module) if self._checkpoint else []
        segment_of = _by_node(self.segments)
        pooled = {
            pool: relu
            for pool, relu in pooled_relus(self.module).items()
            if segment_of.get(pool) is segment_of.get(relu)
        }
        self._body = None
        is_last = any(map(lies_last, self.module.parameters()))
        if scaled or pooled or self.segments or is_last:
            self._body = _Arranging(self.module, scaled, pooled).graph_module(self.segments)

    @property
    def checkpointing(self) -> str:
        """What is computed again, for people."""
        if not self.segments:
            return "checkpoint auto: to compute layers again would not lower the peak"
        layers = sum(node.op == "call_module" for segment in self.segments for node in segment)
        again = f"{counted(layers, 'layer')} again, in {counted(len(self.segments), 'segment')}"
        return f"checkpoint auto: the backward pass computes {again}"

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


def _segments(module: NetModule) -> list[list[fx.Node]]:
    """The nodes of each segment that is computed again."""
    net = net_of(module)
    submodules = {
        layer: module.get_submodule(target)
        for layer, target in zip(net.layers, module.about.order, strict=True)
        if target
    }
    ranges = checkpoint_segments(net, not_repeatable(net, submodules))
    nodes = [own for own, _ in nodes_of_layers(module)]
    found = [[node for i in each for node in nodes[i]] for each in ranges]
    return [segment for segment in found if segment]


def _by_node(segments: list[list[fx.Node]]) -> dict[fx.Node, list[fx.Node]]:
    return {node: segment for segment in segments for node in segment}


class _Arranging:
    """Copies the nodes of a module into other graphs.

    Args:
        scaled: of each Scale that is computed with a BatchNorm, the latter.
        pooled: of each pooling that is computed before a ReLU, the latter.
    """

    def __init__(
        self, module: NetModule, scaled: dict[fx.Node, fx.Node], pooled: dict[fx.Node, fx.Node]
    ) -> None:
        self.module, self.scaled, self.pooled = module, scaled, pooled
        self.later = {*scaled.values(), *pooled.values()}  # computed with the nodes behind them
        self.submodules: dict[str, nn.Module] = {}

    def graph_module(self, segments: list[list[fx.Node]]) -> fx.GraphModule:
        """The module's graph with a node for each segment."""
        graph, values = fx.Graph(), dict[fx.Node, fx.Node]()
        segment_of = _by_node(segments)
        for node in self.module.graph.nodes:
            segment = segment_of.get(node)
            if segment is None:
                self._copy(graph, node, values)
            elif node is segment[0]:
                self._add_segment(graph, segment, values)
        return fx.GraphModule(self.submodules, graph)

    def _add_segment(
        self, graph: fx.Graph, nodes: list[fx.Node], values: dict[fx.Node, fx.Node]
    ) -> None:
        inside = set(nodes)
        inputs = [read for node in nodes for read in node.all_input_nodes if read not in inside]
        inputs = list(dict.fromkeys(inputs))
        outputs = [node for node in nodes if not inside.issuperset(node.users)]
        body = fx.Graph()
        own = {node: body.placeholder(node.name) for node in inputs}
        for node in nodes:
            self._copy(body, node, own)
        body.output(tuple(own[node] for node in outputs))
        name = f"segment_{nodes[0].name}"
        while name in self.submodules or hasattr(self.module, name):
            name += "_"
        self.submodules[name] = Segment(fx.GraphModule(self.submodules, body))
        called = graph.call_module(name, tuple(values[node] for node in inputs))
        for i, node in enumerate(outputs):
            values[node] = graph.call_function(operator.getitem, (called, i))

    def _copy(self, graph: fx.Graph, node: fx.Node, values: dict[fx.Node, fx.Node]) -> None:
        if node in self.later:
            return
        if node in self.scaled:
            norm, scale = self._layer(self.scaled[node]), self._layer(node)
            bottom = values[_bottom(self.scaled[node])]
            values[node] = self._call(graph, node, ScaledBatchNorm(norm, scale), bottom)
        elif node in self.pooled:
            relu = self.pooled[node]
            top = self._call(graph, node, self._layer(node), values[_bottom(relu)])
            values[node] = self._call(graph, relu, nn.ReLU(inplace=True), top)
        else:
            if node.op == "call_module":
                self.submodules[str(node.target)] = self._layer(node)
            if self._reshapes(node):
                alike = graph.call_function(takes_gradient_alike, (values[_bottom(node)],))
                values[node] = graph.node_copy(node, lambda _: alike)
            else:
                values[node] = graph.node_copy(node, values.__getitem__)

    def _reshapes(self, node: fx.Node) -> bool:
        """Whether the gradient that it gives back lies channels first."""
        return node.target is torch.flatten or calls_plain(self.module, node, nn.Flatten, Reshape)

    def _layer(self, node: fx.Node) -> Any:
        return self.module.get_submodule(str(node.target))

    def _call(self, graph: fx.Graph, node: fx.Node, layer: nn.Module, bottom: fx.Node) -> fx.Node:
        """A call of `layer` by the name that `node` calls."""
        self.submodules[str(node.target)] = layer
        return graph.call_module(str(node.target), (bottom,))


def _bottom(node: fx.Node) -> fx.Node:
    (bottom,) = node.all_input_nodes
    return bottom
