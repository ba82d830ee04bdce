"""From a net and its module to the layers that run, joined by blobs, Splits as Caffe inserts them.

Source: Caffe's Net::Init, InsertSplits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from netspec.diagnostics import NetspecError, Report
from netspec.graph import Blob as GraphBlob
from netspec.graph import Layer as GraphLayer
from netspec.graph import Net as GraphNet
from netspec.graph import shape_text
from netspec.layers import find_spec
from netspec.layers.layer_context import LayerContext, Stop
from netspec.options import NetOptions
from netspec.passes.plan_backward import BackwardPlan, plan_backward
from netspec.pycaffe.blob import Blob, BlobVec
from netspec.pycaffe.data_step import DataStep, MemoryDataStep
from netspec.pycaffe.memory import ParamData, ParamDiff
from netspec.pycaffe.python_step import PythonStep
from netspec.pycaffe.step import InputStep, ModuleStep, SplitStep, Step
from netspec.pytorch.layers import find_builder
from netspec.pytorch.layers.python import PythonLayer
from netspec.pytorch.module import NetModule, blobs_of
from netspec.pytorch.overwritten import KeepsOverwritten, Overwritten

Pair = tuple[str, Blob]


@dataclass(slots=True)
class Running:
    """The layers of a running net in order, and its blobs by name."""

    steps: list[Step] = field(default_factory=list)
    blobs: OrderedDict[str, Blob] = field(default_factory=OrderedDict)
    weights: dict[str, float] = field(default_factory=dict)  # loss weights by blob


def build_steps(
    net: GraphNet, module: NetModule, device: torch.device, draw_seed: Callable[[], int]
) -> Running:
    """The layers that run. Raises: NetspecError where data is missing."""
    return _Building(net, module, device, draw_seed).running()


class _Building:
    def __init__(
        self,
        net: GraphNet,
        module: NetModule,
        device: torch.device,
        draw_seed: Callable[[], int],
    ) -> None:
        self.net, self.module, self.device, self.draw_seed = net, module, device, draw_seed
        self.plan: BackwardPlan = plan_backward(net.layers, net.force_backward)
        self.found = Running()
        # what is left of a split blob's tops, for its readers in order
        self.reads: dict[GraphBlob, list[Pair]] = {}
        self.owners: dict[tuple[str, int], Blob] = {}  # params by name and index

    def running(self) -> Running:
        targets = self.module.about.order
        for index, (layer, target) in enumerate(zip(self.net.layers, targets, strict=True)):
            bottoms = [self._bottom(blob) for blob in layer.bottom_blobs]
            tops = [self._top(layer, blob, bottoms) for blob in layer.top_blobs]
            weights = self._own_weights(layer)
            blobs = self._param_blobs(layer, index)
            step = self._step(layer, target, bottoms, tops, weights, blobs)
            step.blobs, step.params = blobs, list(layer.params)
            step.needs_backward = layer in self.plan.learning
            step.propagates = [(layer, i) in self.plan.passing for i in range(len(bottoms))]
            self._add(step)
            for i, blob in enumerate(layer.top_blobs):
                self._split(layer, i, blob)
        return self.found

    def _add(self, step: Step) -> None:
        step.fill_loss_weights()
        self.found.steps.append(step)
        self.found.weights.update(zip(step.top_names, step.weights, strict=True))

    def _bottom(self, blob: GraphBlob) -> Pair:
        if self.reads.get(blob):
            return self.reads[blob].pop(0)
        return blob.name, self.found.blobs[blob.name]

    def _top(self, layer: GraphLayer, blob: GraphBlob, bottoms: list[Pair]) -> Pair:
        i = layer.top_blobs.index(blob)
        if i < len(bottoms) and bottoms[i][0] == blob.name:
            return bottoms[i]
        spec = find_spec(layer.spec_name)
        shared = bottoms[0][1] if spec and bottoms and spec.shares_memory(layer) else None
        diff = shared.diff_memory if shared and spec and spec.shares_gradient(layer) else None
        data = shared.data_memory if shared else None
        made = Blob(blob.shape or (), data, diff, self.device)
        self.found.blobs[blob.name] = made
        return blob.name, made

    def _own_weights(self, layer: GraphLayer) -> list[float]:
        """The loss weights of the tops; that of a top that is split goes to its Split."""
        return [
            0.0 if self._uses(layer, i, blob)[0] > 1 and self._uses(layer, i, blob)[1] else weight
            for i, (blob, weight) in enumerate(
                zip(layer.top_blobs, layer.loss_weights, strict=True)
            )
        ]

    def _uses(self, layer: GraphLayer, i: int, blob: GraphBlob) -> tuple[int, bool]:
        """How often a top is read, its given loss weight counted; and whether one is given."""
        is_given = bool(layer.message.loss_weight) and bool(layer.loss_weights[i])
        return len(blob.consumers) + is_given, is_given

    def _split(self, layer: GraphLayer, i: int, blob: GraphBlob) -> None:
        uses, is_given = self._uses(layer, i, blob)
        if uses < 2:
            return
        name = f"{blob.name}_{layer.name}_{i}_split"
        source = self.found.blobs[blob.name]
        tops = [
            (f"{name}_{k}", Blob(source.sizes, source.data_memory, None, self.device))
            for k in range(uses)
        ]
        self.found.blobs.update(tops)
        weights = [layer.loss_weights[i] if is_given and k == 0 else 0.0 for k in range(uses)]
        step = SplitStep(name, "Split", [(blob.name, source)], tops, weights)
        step.needs_backward = layer in self.plan.learning and (
            is_given or any(reader in self.plan.passing for reader in blob.consumers)
        )
        step.propagates = [step.needs_backward]
        self._add(step)
        self.reads[blob] = tops[1:] if is_given else list(tops)

    def _param_blobs(self, layer: GraphLayer, index: int) -> BlobVec:
        blobs = BlobVec()
        for i, param in enumerate(layer.params):
            owner = self.owners.get((param.name, param.owner[1])) if param.owner else None
            if owner is not None:
                blobs.append(Blob(param.shape, owner.data_memory, owner.diff_memory))
                continue
            find = self._finder(self.module.about.order[index], i)
            blobs.append(Blob(param.shape, ParamData(find), ParamDiff(find)))
            if param.name:
                self.owners.setdefault((param.name, i), blobs[-1])
        return blobs

    def _finder(self, target: str, index: int) -> Callable[[], Tensor]:
        """What gives a param: a Parameter stays the same one, a buffer is made anew on a device."""
        find = partial(_param, self.module, target, index)
        param = find()
        return (lambda: param) if isinstance(param, nn.Parameter) else find

    def _step(
        self,
        layer: GraphLayer,
        target: str,
        bottoms: list[Pair],
        tops: list[Pair],
        weights: list[float],
        blobs: BlobVec,
    ) -> Step:
        spec = find_spec(layer.spec_name)
        common = (layer.name, layer.type, bottoms, tops, weights)
        if spec is not None and spec.is_source:
            if spec.is_input:
                return InputStep(*common)
            if spec.reader:
                return DataStep(*common, layer=layer, seed=self.draw_seed(), device=self.device)
            return MemoryDataStep(*common, layer=layer, device=self.device)
        submodule = self.module.get_submodule(target) if target else None
        if isinstance(submodule, PythonLayer):
            return PythonStep(*common, module=submodule, blobs=blobs)
        step = ModuleStep(*common, layer=layer, run=caller(layer, submodule))
        step.make_again = partial(_make_again, self.module, target, step)
        if submodule is not None:
            self._set_in_place(layer, step, submodule)
            step.weights_read = list(submodule.parameters())
        return step

    def _set_in_place(self, layer: GraphLayer, step: ModuleStep, submodule: nn.Module) -> None:
        """An activation in place writes over its bottom, unless autograd has to keep that."""
        if getattr(submodule, "inplace", None) is True:
            submodule.inplace = step.in_place and not self.plan.learning  # type: ignore[assignment]


def _param(module: NetModule, target: str, index: int) -> Tensor:
    return blobs_of(module.get_submodule(target))[index]


def caller(layer: GraphLayer, submodule: nn.Module | None) -> Callable[..., Any]:
    """What computes a layer's tops from its bottoms."""
    if submodule is None and not layer.top_blobs:
        return lambda *bottoms: None
    builder = find_builder(layer)
    count = len(layer.top_blobs)
    if builder.emit is None:
        return submodule if submodule is not None else lambda *bottoms: [bottoms[0]] * count
    graph = fx.Graph()
    bottoms = [graph.placeholder(f"bottom{i}") for i in range(len(layer.bottom_blobs))]
    tops = builder.emit(graph, layer, "layer" if submodule is not None else "", bottoms)
    if not isinstance(tops, fx.Node) and len(tops) == 1:
        tops = tops[0]
    if (
        isinstance(tops, fx.Node)
        and submodule is not None
        and tops.op == "call_module"
        and tops.args == tuple(bottoms)
    ):
        return submodule
    graph.output(tops)
    root = nn.Module()
    if submodule is not None:
        root.layer = submodule
    return fx.GraphModule(root, graph).forward  # its call would only look for hooks


def _make_again(
    module: NetModule, target: str, step: ModuleStep, shapes: Sequence[tuple[int, ...]]
) -> None:
    """Makes a layer for other shapes of its bottoms, with the params it has.

    Raises: NetspecError where they do not fit the layer or its params.
    """
    layer = step.layer
    for blob, shape in zip(layer.bottom_blobs, shapes, strict=True):
        blob.shape = shape
    tops, params = _inferred(layer)
    for i, (param, shape) in enumerate(zip(layer.params, params, strict=True)):
        if param.shape != shape:
            raise NetspecError(
                f"{layer.label}: with bottoms of {', '.join(map(shape_text, shapes))} its "
                f"param {i} would be {shape_text(shape)}, but it is {shape_text(param.shape)}",
                layer.span,
                "a net that is reshaped keeps its params",
            )
    for graph_blob, top, shape in zip(layer.top_blobs, step.tops, tops, strict=True):
        graph_blob.shape = shape
        top.reshape(*shape)
    step.fill_loss_weights()
    submodule = _rebuilt(module, target, layer) if target else None
    step.run = caller(layer, submodule)


def _inferred(layer: GraphLayer) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """The shapes of a layer's tops and params. Raises: NetspecError."""
    spec = find_spec(layer.spec_name)
    assert spec is not None
    report = Report()
    context = LayerContext(layer, spec, report, {}, None, NetOptions(allow_python_layers=True))
    try:
        tops = [tuple(shape or ()) for shape in spec.infer(context)]
    except Stop:
        tops = []
    report.raise_errors()
    return tops, [param.shape for param in context.params]


def _rebuilt(module: NetModule, target: str, layer: GraphLayer) -> nn.Module:
    """The layer's module for its new shapes; its params are those of the old one."""
    whole = module.get_submodule(target)
    old = whole.layer if isinstance(whole, (Overwritten, KeepsOverwritten)) else whole
    if hasattr(old, "shared_views"):  # a view of another layer's params; it follows by itself
        return whole
    new = _built(layer, list(old.parameters()))
    new.train(old.training)
    _take_params(new, old)
    new._forward_hooks = old._forward_hooks
    if hasattr(old, "inplace"):
        new.inplace = old.inplace
    if isinstance(whole, (Overwritten, KeepsOverwritten)):
        whole.layer = new
        return whole
    parent, _, leaf = target.rpartition(".")
    setattr(module.get_submodule(parent), leaf, new)
    return new


def _built(layer: GraphLayer, params: list[nn.Parameter]) -> nn.Module:
    build = find_builder(layer).build
    if params:  # torch's own layers are made without filling params that are thrown away
        with torch.device("meta"):
            made = build(layer)
        if made is not None and type(made).__module__.startswith("torch.nn."):
            return made
    made = build(layer)
    assert made is not None
    return made.to(params[0].device) if params else made


def _take_params(new: nn.Module, old: nn.Module) -> None:
    kept = blobs_of(old)
    for name, part in new.named_modules():
        before = old.get_submodule(name)
        part._parameters = before._parameters
        for leaf, buffer in before._buffers.items():
            if any(buffer is blob for blob in kept):
                part._buffers[leaf] = buffer
