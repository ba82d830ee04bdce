"""graph.Net → torch.fx.GraphModule: straight-line code over submodules named after the layers."""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import fx, nn

from netspec.diagnostics import NetspecError, did_you_mean
from netspec.graph import Blob, Layer, Net, Shape
from netspec.layers import find_spec
from netspec.passes.build_graph import AUTOMATIC_TOP
from netspec.pipeline import load
from netspec.pytorch.fillers import fill
from netspec.pytorch.layers import BUILDERS, EMITTERS, emit_default
from netspec.pytorch.memory import require_memory
from netspec.pytorch.module import About, NetModule, blobs_of
from netspec.pytorch.overwritten import wrap_overwritten
from netspec.pytorch.sharing import share_param
from netspec.weights.blob_proto import blob_array


def compile(
    net: Net | str | Path,
    phase: str = "TEST",
    outputs: Iterable[str] | None = None,
    weights: str | Path | Iterable[str | Path] | None = None,
    seed: int | None = None,
    level: int = 0,
    stages: Iterable[str] = (),
    inputs: Mapping[str, Shape] | None = None,
    allow_python_layers: bool = False,
) -> NetModule:
    """Compiles a net to a torch.nn.Module.

    Args:
        net: a loaded net, or the path of one (then phase, level, stages, inputs and allow_python_layers go to `netspec.load`).
        outputs: blobs to cut the net at; layers that do not lead to them are left out.
        weights: one or more files of weights, matched by layer name; a later one wins.
        seed: makes the fillers repeatable.

    Raises: NetspecError where the net is wrong, an output is no blob, or a layer can't be built.
    """
    if not isinstance(net, Net):
        net = load(net, phase, level, stages, inputs, allow_python_layers=allow_python_layers)
    module = lower(net, None if outputs is None else list(outputs))
    fill_params(module, net, seed)
    if weights is not None:
        from netspec.pytorch.weights import load_weights

        for path in [weights] if isinstance(weights, (str, Path)) else weights:
            load_weights(module, path)
    return module


def fill_params(module: NetModule, net: Net, seed: int | None) -> None:
    """Fills every owned param with the values that the file gives it in `blobs`, or as its filler says, in file order."""
    generator = None
    if seed is not None:
        generator = torch.Generator()
        generator.manual_seed(seed)
    for layer, blobs in zip(net.layers, module.layer_params, strict=True):
        given = layer.message.blobs
        for i, (param, blob) in enumerate(zip(layer.params, blobs, strict=False)):
            if param.owner is None and given:
                with torch.no_grad():
                    blob.copy_(torch.from_numpy(blob_array(given[i], f"{layer.label}: 'blobs' {i}")).reshape(blob.shape))
            elif param.owner is None and param.learned and param.filler is not None:
                fill(blob, param.filler, generator)


def lower(net: Net, outputs: list[str] | None = None) -> NetModule:
    """The module of a net, its params not yet filled."""
    return _Lowering(net, outputs).module()


def layers_below_a_loss(layers: list[Layer]) -> set[Layer]:
    """The layers whose tops count in the objective or lead to one that does: only these has Caffe's backward pass."""
    below: set[Layer] = set()
    reached: set[Blob] = set()
    for layer in reversed(layers):
        if any(layer.loss_weights) or any(blob in reached for blob in layer.top_blobs):
            below.add(layer)
            reached.update(layer.bottom_blobs)
    return below


class _Lowering:
    def __init__(self, net: Net, outputs: list[str] | None) -> None:
        self.net = net
        self.outputs = net.outputs if outputs is None else outputs
        for name in self.outputs:
            if name not in net.blobs:
                raise NetspecError(f"the net '{net.name}' has no blob '{name}' to cut it at", None, did_you_mean(name, net.blobs))
        self.layers = net.layers if outputs is None else self._leading_to(outputs)
        self.learning = layers_below_a_loss(self.layers)
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.nodes: dict[Blob, fx.Node] = {}
        self.targets: dict[Layer, str] = {}
        self.is_cut = outputs is not None

    def _leading_to(self, outputs: list[str]) -> list[Layer]:
        needed = {self.net.blobs[name] for name in outputs}
        kept: set[Layer] = set()
        for layer in reversed(self.net.layers):
            if any(blob in needed for blob in layer.top_blobs):
                kept.add(layer)
                needed.update(layer.bottom_blobs)
        return [layer for layer in self.net.layers if layer in kept]

    def module(self) -> NetModule:
        require_memory(self.layers)
        inputs = self._placeholders()
        for layer in self.layers:
            spec = find_spec(layer.type)
            if spec and not spec.is_source and (layer.top_blobs or spec.acts):
                self._add_layer(layer)
        submodules = {layer: self.root.get_submodule(target) for layer, target in self.targets.items()}
        for layer, wrapped in wrap_overwritten(self.net, self.layers, submodules).items():
            self.root.add_module(self.targets[layer], wrapped)
        terms = self._loss_terms()
        returned = {name: self.nodes[self.net.blobs[name]] for name in self.outputs}
        returned |= {key: self.nodes[blob] for key, (blob, _) in terms.items()}
        self.graph.output(returned)
        self.graph.lint()
        module = NetModule(self.root, self.graph, class_name=re.sub(r"\W", "_", self.net.name) or "Net")
        module.meta["netspec"] = About(
            net_name=self.net.name,
            phase=self.net.phase,
            input_names=[blob.name for blob in inputs],
            arguments=[str(self.nodes[blob].target) for blob in inputs],
            output_names=list(self.outputs),
            targets={layer.name: target for layer, target in self.targets.items()},
            places={target: f"{layer.label} ({layer.span})" for layer, target in self.targets.items()},
            loss_weights={key: weight for key, (_, weight) in terms.items()},
            order=[self.targets.get(layer, "") for layer in self.net.layers],
            tops=[[self.nodes[blob].name for blob in layer.top_blobs if blob in self.nodes] for layer in self.net.layers],
            layers=[(layer.name, layer.type, layer.bottoms, [t for t in layer.tops if t != AUTOMATIC_TOP]) for layer in self.net.layers],
        )
        module.train(self.net.phase == "TRAIN")
        return module

    def _placeholders(self) -> list[Blob]:
        inputs = []
        taken: set[str] = set()
        for layer in self.layers:
            spec = find_spec(layer.type)
            for blob in layer.top_blobs if spec and spec.is_source else ():
                inputs.append(blob)
                self.nodes[blob] = self.graph.placeholder(_python_name(blob.name, taken))
        return inputs

    def _add_layer(self, layer: Layer) -> None:
        bottoms = [self.nodes[blob] for blob in layer.bottom_blobs]
        for i, flag in enumerate(layer.message.propagate_down):
            if not flag:
                bottoms[i] = self.graph.call_method("detach", (bottoms[i],))
        submodule = BUILDERS[layer.type](layer)
        target = ""
        if submodule is not None:
            target = self.targets[layer] = _python_name(layer.name or layer.type, set(self.root._modules))
            self.root.add_module(target, submodule)
            self._set_learned(layer, submodule)
        tops = EMITTERS.get(layer.type, emit_default)(self.graph, layer, target, bottoms)
        if not layer.top_blobs:
            return
        if isinstance(tops, fx.Node):
            many = len(layer.top_blobs) > 1
            tops = [self.graph.call_function(operator.getitem, (tops, i)) for i in range(len(layer.top_blobs))] if many else [tops]
        for blob, node in zip(layer.top_blobs, tops, strict=True):
            self.nodes[blob] = node

    def _set_learned(self, layer: Layer, submodule: nn.Module) -> None:
        """A param has a gradient below a loss and where its lr_mult is not 0, or with force_backward; a shared one is its owner's."""
        for i, (param, blob) in enumerate(zip(layer.params, blobs_of(submodule), strict=True)):
            if param.owner is not None:
                owner = next((other for other in self.targets if _owns(other, param.name, param.owner[1])), None)
                if owner is not None:
                    share_param(submodule, i, self.root.get_submodule(self.targets[owner]), param.owner[1], param.shape)
            elif param.learned:
                blob.requires_grad_(self.net.force_backward or (param.lr_mult != 0 and layer in self.learning))

    def _loss_terms(self) -> dict[str, tuple[Blob, float]]:
        """The tops that count in the objective, by a key of their own where an in-place write hides their name."""
        terms = {}
        for layer in self.layers:
            for blob, weight in zip(layer.top_blobs, layer.loss_weights, strict=True):
                if weight and blob in self.nodes and not (self.is_cut and blob.name not in self.outputs):
                    hidden = self.net.blobs[blob.name] is not blob
                    terms[f"{blob.name} of {layer.name}" if hidden else blob.name] = (blob, weight)
        return terms


def _owns(layer: Layer, name: str, index: int) -> bool:
    """Whether the layer's param of that index is the owner of a shared name."""
    return index < len(layer.params) and layer.params[index].name == name and layer.params[index].owner is None


def _python_name(name: str, taken: set[str]) -> str:
    """A blob's or layer's name as a Python name of its own: 'inception_3a/1x1' → inception_3a_1x1."""
    base = re.sub(r"\W", "_", name)
    if not base or base[0].isdigit():
        base = f"_{base}"
    if keyword.iskeyword(base) or hasattr(NetModule, base) or base in ("self", "meta", "training"):
        base = f"{base}_"  # the module has something of that name: a layer 'loss' is its submodule loss_
    unique, count = base, 1
    while unique in taken:
        unique, count = f"{base}_{count}", count + 1
    taken.add(unique)
    return unique
