"""Which nodes of a module's graph compute which layer, and casts between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import fx, nn

from netspec.graph import Layer, Net
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule


def nodes_of_layers(module: NetModule) -> list[tuple[list[fx.Node], list[fx.Node]]]:
    """For each layer, in file order, the graph's nodes that compute it, and what others read.

    The latter are its tops, and casts. Both are empty where a layer computes nothing: a data layer,
    a Split, a Dropout in TEST.
    """
    about = module.about
    nodes = [node for node in module.graph.nodes if node.op not in ("placeholder", "output")]
    place = {node.name: i for i, node in enumerate(nodes)}
    called = {str(node.target): i for i, node in enumerate(nodes) if node.op == "call_module"}
    found, start = [], 0
    for target, tops in zip(about.order, about.tops, strict=True):
        # nodes stand in file order, so a layer's end with its last top, or with its call where it
        # has none
        end = max(
            [
                start,
                *(place[name] + 1 for name in tops if name in place),
                called.get(target, -1) + 1,
            ]
        )
        own = dict.fromkeys(nodes[i] for name in tops if (i := place.get(name, -1)) >= start)
        for node in nodes[start:end]:
            if any(place.get(user.name, -1) >= end for user in node.users):
                own[node] = None
        found.append((nodes[start:end], list(own)))
        start = end
    return found


def calls_plain(module: NetModule, node: fx.Node, *kinds: type[nn.Module]) -> bool:
    """Whether a node calls a layer that is just one of `kinds`, and nothing watches it."""
    if node.op != "call_module":
        return False
    layer = module.get_submodule(str(node.target))
    return type(layer) in kinds and not layer._forward_hooks


def plain_pairs(
    module: NetModule, pairs: Mapping[Layer, Layer], kind: type[nn.Module], first: type[nn.Module]
) -> dict[fx.Node, fx.Node]:
    """The nodes of layers that each alone read another one's top, and that one's nodes.

    Pairs where anything else is called, or stands between the two, are left out.
    """
    nodes = {node.target: node for node in module.graph.nodes if node.op == "call_module"}
    target = dict(zip(net_of(module).layers, module.about.order, strict=True))
    found = {}
    for layer, before in pairs.items():
        top, between = nodes.get(target[layer]), nodes.get(target[before])
        if top is None or between is None:
            continue
        is_plain = calls_plain(module, top, kind) and calls_plain(module, between, first)
        if is_plain and top.args == (between,) and list(between.users) == [top]:
            found[top] = between
    return found


def insert_casts(
    module: NetModule, net: Net, halves: Collection[Layer], dtype: torch.dtype
) -> None:
    """Brings each value to the precision of the layer that reads it, the outputs to single.

    Args:
        halves: the layers that read `dtype`; the others read single precision.
    """
    casting = _Casting(module.graph, "half" if dtype == torch.float16 else "bfloat16")
    for layer, (nodes, _) in [*zip(net.layers, nodes_of_layers(module), strict=True)]:
        wanted = layer in halves
        for node in nodes:
            for argument in node.all_input_nodes:
                if argument not in nodes:
                    casting.bring(node, argument, wanted)
            casting.is_half[node] = wanted
    output = next(node for node in module.graph.nodes if node.op == "output")
    for argument in output.all_input_nodes:
        casting.bring(output, argument, False)


class _Casting:
    def __init__(self, graph: fx.Graph, method: str) -> None:
        self.graph, self.method = graph, method
        self.is_half: dict[fx.Node, bool] = {}
        self.made: dict[tuple[fx.Node, bool], fx.Node] = {}

    def bring(self, reader: fx.Node, value: fx.Node, to_half: bool) -> None:
        """Makes a node read a value in half or in single precision."""
        if self.is_half.get(value, False) == to_half:
            return
        if (value, to_half) not in self.made:
            with self.graph.inserting_before(reader):
                method = self.method if to_half else "float"
                self.made[value, to_half] = self.graph.call_method(method, (value,))
        reader.replace_input_with(value, self.made[value, to_half])
