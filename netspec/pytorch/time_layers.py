"""How long each layer takes forward and backward, run one at a time.

Caffe runs Forward of all layers in order, then Backward of all in reverse. Here each layer's piece
of the lowered graph runs on bottoms of its own, where its gradients end; so a layer's time holds
nothing of its neighbours'. What belongs to no layer, such as adding up the gradients of a blob that
several layers read, is in the times of the whole net only; these are what a training step takes.

Source: `time` in Caffe's tools/caffe.cpp.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from netspec.graph import Blob, Layer, Net
from netspec.layers import find_spec
from netspec.passes.plan_backward import plan_backward
from netspec.pytorch.allocator import keep_freed_memory
from netspec.pytorch.compiled_pass import CompiledPass
from netspec.pytorch.layer_nodes import nodes_of_layers
from netspec.pytorch.layers.data import Hdf5Output
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.module import NetModule
from netspec.pytorch.optimize import lay_channels_last
from netspec.pytorch.precision import set_precision

SEED = 1  # of the fillers and of the numbers that stand in for data


@dataclass(slots=True)
class LayerTime:
    """A layer's seconds, summed over the iterations."""

    layer: Layer
    forward: float = 0.0
    backward: float = 0.0


@dataclass(slots=True)
class Times:
    """What was measured, in seconds.

    The times of the whole net are those of its passes in one piece.
    """

    layers: list[LayerTime]
    # all layers forward and backward, for each iteration
    iterations: list[float] = field(default_factory=list)
    whole_forward: float = 0.0
    whole_backward: float = 0.0

    @property
    def forward(self) -> float:
        return sum(layer.forward for layer in self.layers)

    @property
    def backward(self) -> float:
        return sum(layer.backward for layer in self.layers)


def time_layers(
    net: Net,
    device: str,
    iterations: int,
    on_iteration: Callable[[int, float], None],
    precision: str = "fp32",
    exact: bool = False,
    compile: bool = False,
) -> Times:
    """Times each layer and the whole net in turns.

    One pass of each goes before and does not count.

    The params are those of the fillers, random numbers stand in for the tops of Input and data
    layers. Gradients go where a training step's go. A net without a loss has no such step: there
    they start at its outputs.

    Args:
        on_iteration: called after each: its index and the seconds of all its layers.
        precision: of convolutions and dense layers.
        exact: as in `Solver`.
        compile: torch.compile compiles the whole net; layers are timed one at a time as they are.

    Raises: NetspecError where a layer can't be built or refuses to run, or the device lacks the
        precision.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = TimedNet(net, torch.device(device), folder, precision, exact, compile)
        run.whole_pass()  # a fault of a layer comes with its name here
        run.layers_pass()
        times = run.times = Times([LayerTime(layer) for layer in net.layers])
        for index in range(iterations):
            run.layers_pass()
            run.whole_pass()
            on_iteration(index, times.iterations[-1])
    return times


class TimedNet:
    """A net that is timed: its module, the pieces of it, what it computes on."""

    def __init__(
        self,
        net: Net,
        device: torch.device,
        folder: str,
        precision: str = "fp32",
        exact: bool = False,
        compile: bool = False,
    ) -> None:
        self.device = device
        keep_freed_memory(device)
        self.module = lower(net)
        set_precision(self.module, precision, device)
        if not exact:
            lay_channels_last(self.module, device)
        fill_params(self.module, net, SEED)
        self.has_loss = bool(net.loss_weights)
        if not self.has_loss:
            _let_learn(net, self.module)
        self.module.to(device)
        self.inputs = [
            value.to(device).requires_grad_(net.force_backward) for value in stand_ins(net)
        ]
        self.compiled = CompiledPass(self.module, device, learns=True) if compile else None
        self.placeholders = [node for node in self.module.graph.nodes if node.op == "placeholder"]
        self.blobs: dict[fx.Node, Tensor] = {}  # what the layers have made in this pass
        goes_back = (
            set(net.layers)
            if net.force_backward or not self.has_loss
            else plan_backward(net.layers).learning
        )
        self.pieces = [
            Piece(self, layer, nodes, tops, layer in goes_back)
            for layer, (nodes, tops) in zip(net.layers, nodes_of_layers(self.module), strict=True)
        ]
        self.times = Times([LayerTime(layer) for layer in net.layers])
        self.files = [
            submodule for submodule in self.module.modules() if isinstance(submodule, Hdf5Output)
        ]
        for i, output in enumerate(self.files):  # the user's own results stay as they are
            output.path = os.path.join(folder, f"{i}.h5")

    def clock(self) -> float:
        """The time, in seconds, when all that was asked of the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def layers_pass(self) -> None:
        """Every layer forward in order, then every one backward in reverse."""
        self.blobs = dict(zip(self.placeholders, self.inputs, strict=True))
        forward = [piece.forward() for piece in self.pieces]
        backward = [piece.backward() for piece in reversed(self.pieces)][::-1]
        for layer, there, back in zip(self.times.layers, forward, backward, strict=True):
            layer.forward += there
            layer.backward += back
        self.times.iterations.append(sum(forward) + sum(backward))
        self.blobs = {}
        self._forget()

    def whole_pass(self) -> None:
        """The net in one piece forward and backward."""
        start = self.clock()
        outputs = self.compiled(self.inputs) if self.compiled else self.module(*self.inputs)
        tops = [self.module.loss(outputs)] if self.has_loss else list(outputs.values())
        middle = self.clock()
        backward = self.gradient_time(tops)
        self.times.whole_forward += middle - start
        self.times.whole_backward += backward
        self._forget()

    def gradient_time(self, tops: list[Tensor]) -> float:
        """Seconds to go back from tops whose gradient is 1; 0 where none has one."""
        tops = [top for top in tops if top.requires_grad]
        ones = [torch.ones_like(top) for top in tops]
        if not tops:
            return 0.0
        start = self.clock()
        torch.autograd.backward(tops, ones)
        return self.clock() - start

    def _forget(self) -> None:
        """Drops gradients, as a training step does, and the rows that HDF5Output has written."""
        for tensor in (*self.module.parameters(), *self.inputs):
            tensor.grad = None
        for output in self.files:
            output.rows = 0


class Piece:
    """One layer's nodes of the graph as a module of their own."""

    def __init__(
        self,
        run: TimedNet,
        layer: Layer,
        nodes: list[fx.Node],
        tops: list[fx.Node],
        goes_back: bool,
    ) -> None:
        self.run, self.tops, self.goes_back = run, tops, goes_back
        self.bottoms = list(
            dict.fromkeys(
                source for node in nodes for source in node.all_input_nodes if source not in nodes
            )
        )
        self.in_place = not set(layer.tops).isdisjoint(layer.bottoms)
        self.module = _extract(run.module, self.bottoms, nodes, tops) if nodes else None
        self.leaves: list[Tensor] = []
        self.computed: list[Tensor] = []

    def forward(self) -> float:
        """Computes the tops; returns the seconds that took."""
        if self.module is None:
            return 0.0
        self.leaves = [_leaf(self.run.blobs[node], self.goes_back) for node in self.bottoms]
        # a layer in place writes over what it is given, which a leaf does not allow
        bottoms = [leaf.clone() for leaf in self.leaves] if self.in_place else self.leaves
        start = self.run.clock()
        self.computed = list(self.module.forward(*bottoms))
        seconds = self.run.clock() - start
        self.run.blobs.update(zip(self.tops, self.computed, strict=True))
        return seconds

    def backward(self) -> float:
        """Computes the gradients of bottoms and params from tops' gradients of 1.

        Returns the seconds that took.
        """
        seconds = self.run.gradient_time(self.computed) if self.goes_back else 0.0
        for leaf in self.leaves:
            leaf.grad = None
        self.computed, self.leaves = [], []
        return seconds


def _leaf(blob: Tensor, goes_back: bool) -> Tensor:
    """A blob's values, where gradients end. It has one where the blob has one in the whole net."""
    return blob.detach().requires_grad_(goes_back and blob.requires_grad)


def _extract(
    module: NetModule, bottoms: list[fx.Node], nodes: list[fx.Node], tops: list[fx.Node]
) -> fx.GraphModule:
    """A module that computes nodes of a graph from their bottoms. It shares the submodules."""
    graph = fx.Graph()
    own = {node: graph.placeholder(node.name) for node in bottoms}
    for node in nodes:
        own[node] = graph.node_copy(node, own.__getitem__)
    graph.output(tuple(own[node] for node in tops))
    return fx.GraphModule(module, graph)


def stand_ins(net: Net) -> list[Tensor]:
    """Numbers for each top of Input and data layers, in the order of the module's inputs.

    They lie in [0, 1): a logarithm has a value there, and what reads whole numbers, such as labels,
    finds class 0.
    """
    generator = torch.Generator().manual_seed(SEED)
    values = []
    for layer in net.layers:
        spec = find_spec(layer.spec_name)
        for blob in layer.top_blobs if spec and spec.is_source else ():
            value = torch.rand(blob.shape or (), generator=generator)
            values.append(torch.ones_like(value) if _says_continuation(blob) else value)
    return values


def _says_continuation(blob: Blob) -> bool:
    """Whether a blob's values say where sequences go on.

    Such a blob is set to ones, as amid a sequence. A 0 would begin it anew at that step.
    """
    return any(
        (spec := find_spec(layer.spec_name)) is not None and spec.continuation == i
        for layer, i in blob.consumers
    )


def _let_learn(net: Net, module: NetModule) -> None:
    """Gives the params of a net without a loss the gradients that they would have below one."""
    for layer, blobs in zip(net.layers, module.layer_params, strict=True):
        for param, blob in zip(layer.params, blobs, strict=True):
            if param.owner is None and param.learned and param.lr_mult:
                blob.requires_grad_(True)
