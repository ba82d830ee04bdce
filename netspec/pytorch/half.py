"""A module that computes in half precision where its layers can."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import torch
from torch import fx, nn

from netspec.exporters.half_layers import half_layers
from netspec.exporters.not_exported import out_of_half
from netspec.graph import Layer, Net
from netspec.pytorch.layers.normalization import BatchNorm
from netspec.pytorch.lower import lower, net_of
from netspec.pytorch.module import NetModule
from netspec.pytorch.weights import state_keys
from netspec.weights.files import write_weights


def half_module(module: NetModule, halves: Collection[Layer] | None = None) -> NetModule:
    """The module in half precision, with inputs and outputs in single.

    Args:
        halves: the layers that compute in it; None is `half_layers`.

    Raises: NetspecError where a value of a param is out of range.
    """
    net = net_of(module)
    made = lower(net, None if module.output_names == net.outputs else module.output_names)
    made.load_state_dict(module.state_dict())
    made.train(module.training)
    halves = half_layers(net) if halves is None else halves
    for layer, target in zip(net.layers, made.about.order, strict=True):
        if target and layer in halves:
            _halve(made.get_submodule(target), layer)
    _insert_casts(made, net, halves)
    made.recompile()
    return made


def _halve(submodule: nn.Module, layer: Layer) -> None:
    if isinstance(submodule, BatchNorm):
        return
    for name, value in submodule.state_dict().items():
        if not torch.equal(value.half().isfinite(), value.isfinite()):
            raise out_of_half(layer, name)
    submodule.half()


def _insert_casts(module: NetModule, net: Net, halves: Collection[Layer]) -> None:
    """Brings each value to the precision of the layer that reads it."""
    graph = module.graph
    is_half: dict[fx.Node, bool] = {}
    casts: dict[tuple[fx.Node, bool], fx.Node] = {}
    for layer, nodes in [*_nodes_of_layers(module, net)]:  # before casts come in between
        wanted = layer in halves
        for node in nodes:
            for argument in node.all_input_nodes:
                if argument not in nodes and is_half.get(argument, False) != wanted:
                    cast = _cast(graph, casts, argument, wanted)
                    node.replace_input_with(argument, cast)
            is_half[node] = wanted
    output = next(node for node in graph.nodes if node.op == "output")
    for argument in output.all_input_nodes:
        if is_half.get(argument, False):
            output.replace_input_with(argument, _cast(graph, casts, argument, False))


def _cast(
    graph: fx.Graph, casts: dict[tuple[fx.Node, bool], fx.Node], value: fx.Node, to_half: bool
) -> fx.Node:
    if (value, to_half) not in casts:
        with graph.inserting_after(value):
            casts[value, to_half] = graph.call_method("half" if to_half else "float", (value,))
    return casts[value, to_half]


def _nodes_of_layers(module: NetModule, net: Net) -> Iterator[tuple[Layer, list[fx.Node]]]:
    """Each layer with the nodes that lowering wrote for it: they end with its tops."""
    nodes = [node for node in module.graph.nodes if node.op not in ("placeholder", "output")]
    places = {node.name: i for i, node in enumerate(nodes)}
    start = 0
    for layer, tops in zip(net.layers, module.about.tops, strict=True):
        end = max((places[name] + 1 for name in tops if name in places), default=0)
        if end > start:
            yield layer, nodes[start:end]
            start = end


def save_half(module: NetModule, path: str | Path) -> None:
    """Writes the params of a half module to a .safetensors file, each in its precision.

    Raises: NetspecError where the file can't be written.
    """
    layers = [
        (*about, [blob.detach().cpu().contiguous().numpy() for blob in blobs])
        for about, blobs in zip(module.about.layers, module.layer_params, strict=True)
    ]
    write_weights(path, module.about.net_name, layers, keys=state_keys(module))
