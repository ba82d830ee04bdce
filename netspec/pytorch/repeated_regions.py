"""The regions of a net's graph that repeat, such as a ResNet's blocks: compiled once, run often."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from netspec.pytorch.module import NetModule

MIN_NODES = 4  # of a region that is worth a call of its own

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Region:
    """A run of nodes that stands `copies` times in a row, `length` nodes each time."""

    start: int
    length: int
    copies: int = 1

    @property
    def end(self) -> int:
        return self.start + self.length * self.copies


def by_regions(module: NetModule, compile: Compile) -> fx.GraphModule | None:
    """A module that runs the net region by region, each compiled; copies of a region share that.

    It shares the net's submodules. None where nothing repeats.
    """
    nodes = [node for node in module.graph.nodes if node.op not in ("placeholder", "output")]
    regions = _regions(_keys(module, nodes))
    if all(region.copies == 1 for region in regions):
        return None
    graph, root = fx.Graph(), nn.Module()
    own = {node: graph.node_copy(node) for node in module.graph.nodes if node.op == "placeholder"}
    for region in regions:
        runs = [
            nodes[start : start + region.length]
            for start in range(region.start, region.end, region.length)
        ]
        given = sorted({place for run in runs for place in _read_outside(run)})
        forward, targets = _forward(module, runs[0], given)
        kind = type("Region", (nn.Module,), {"forward": compile(forward)})
        for run in runs:
            made = kind()
            for name, place in targets.items():
                made.add_module(name, module.get_submodule(str(run[place].target)))
            name = f"region_{len(root._modules)}"
            root.add_module(name, made)
            call = graph.call_module(name, tuple(own[node] for node in _bottoms(run)))
            for i, place in enumerate(given):
                own[run[place]] = graph.call_function(operator.getitem, (call, i))
    output = next(node for node in module.graph.nodes if node.op == "output")
    graph.output(fx.map_arg(output.args[0], own.__getitem__))
    return fx.GraphModule(root, graph)


def _keys(module: NetModule, nodes: list[fx.Node]) -> list[Hashable]:
    """What each node computes, and from which nodes, counted back from it."""
    index = {node: i for i, node in enumerate(nodes)}

    def key(i: int, node: fx.Node) -> Hashable:
        read = fx.map_arg(
            (node.args, node.kwargs),
            # a placeholder stays where it is
            lambda other: f"-{i - index[other]}" if other in index else other.name,
        )
        if node.op != "call_module":
            return node.op, node.target if node.op == "call_method" else id(node.target), repr(read)
        layer = module.get_submodule(str(node.target))
        tensors = [*layer.named_parameters(), *layer.named_buffers()]
        facts = [
            (name, tensor.shape, tensor.stride(), tensor.dtype, tensor.requires_grad)
            for name, tensor in tensors
        ]
        plain = {
            name: value
            for name, value in vars(layer).items()
            if isinstance(value, (bool, int, float, str, tuple))
        }
        return id(type(layer)), repr(layer), repr(plain), repr(facts), repr(read)

    return [key(i, node) for i, node in enumerate(nodes)]


def _regions(keys: list[Hashable], start: int = 0) -> list[Region]:
    """Consecutive regions over all keys: those whose copies save most first."""
    if not keys:
        return []
    best = Region(0, len(keys))
    saved = 0
    for length in range(MIN_NODES, len(keys) // 2 + 1):
        same = 0  # keys in a row that are those of the next copy
        for i in range(len(keys) - length):
            same = same + 1 if keys[i] == keys[i + length] else 0
            if same // length * length > saved:
                saved = same // length * length
                best = Region(i + 1 - same, length, same // length + 1)
    found = Region(start + best.start, best.length, best.copies)
    if not saved:
        return [found]
    return [
        *_regions(keys[: best.start], start),
        found,
        *_regions(keys[best.end :], start + best.end),
    ]


def _bottoms(run: list[fx.Node]) -> list[fx.Node]:
    """What a run of nodes reads of others, in the order in which it does."""
    own = set(run)
    return list(
        dict.fromkeys(each for node in run for each in node.all_input_nodes if each not in own)
    )


def _read_outside(run: list[fx.Node]) -> list[int]:
    """Which nodes of a run others read."""
    own = set(run)
    return [i for i, node in enumerate(run) if not own.issuperset(node.users)]


def _forward(
    module: NetModule, run: list[fx.Node], given: list[int]
) -> tuple[Callable[..., Any], dict[str, int]]:
    """The function of a run of nodes; it calls its submodules by names of its own.

    Returns it, and of each of those names the place in the run.
    """
    graph, root = fx.Graph(), nn.Module()
    targets: dict[str, int] = {}
    own = {node: graph.placeholder(f"bottom_{i}") for i, node in enumerate(_bottoms(run))}
    for i, node in enumerate(run):
        own[node] = graph.node_copy(node, own.__getitem__)
        if node.op == "call_module":
            name = f"layer_{i}"
            targets[name], own[node].target = i, name
            root.add_module(name, module.get_submodule(str(node.target)))
    graph.output(tuple(own[run[place]] for place in given))
    forward: Callable[..., Any] = type(fx.GraphModule(root, graph)).forward
    return forward, targets
