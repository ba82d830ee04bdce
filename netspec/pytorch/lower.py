"""graph.Net → torch.fx.GraphModule: straight-line code over submodules named after the layers."""

from __future__ import annotations

import operator
import re
from weakref import WeakKeyDictionary

import torch
from torch import fx, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Blob, Layer, Net
from netspec.hint import did_you_mean
from netspec.layers import find_spec
from netspec.passes.build_graph import AUTOMATIC_TOP
from netspec.passes.plan_backward import plan_backward
from netspec.pytorch.fillers import fill
from netspec.pytorch.in_place import write_in_place
from netspec.pytorch.layers import find_builder
from netspec.pytorch.layers.builder import emit_default
from netspec.pytorch.memory import require_memory
from netspec.pytorch.module import About, NetModule, blobs_of
from netspec.pytorch.overwritten import read_overwritten, wrap_overwritten
from netspec.pytorch.sharing import share_param
from netspec.syntax.read import without_collector
from netspec.weights.blob_proto import blob_array
from netspec.weights.state_keys import python_name


def fill_params(module: NetModule, net: Net, seed: int | None) -> None:
    """Fills every owned param, in file order.

    It gets the values that the file gives it in `blobs`, or those of its filler.
    """
    generator = None
    if seed is not None:
        generator = torch.Generator()
        generator.manual_seed(seed)
    for layer, blobs in zip(net.layers, module.layer_params, strict=True):
        given = layer.message.blobs
        for i, (param, blob) in enumerate(zip(layer.params, blobs, strict=False)):
            if param.owner is None and given:
                with torch.no_grad():
                    blob.copy_(
                        torch.from_numpy(
                            blob_array(given[i], f"{layer.label}: 'blobs' {i}")
                        ).reshape(blob.shape)
                    )
            elif param.owner is None and param.learned and param.filler is not None:
                fill(blob, param.filler, generator)


# The net of each module; a copy of a module, or one that was pickled, has none.
_NETS: WeakKeyDictionary[NetModule, Net] = WeakKeyDictionary()


def lower(net: Net, outputs: list[str] | None = None) -> NetModule:
    """The module of a net, its params not yet filled."""
    with without_collector():
        module = _Lowering(net, outputs).module()
    _NETS[module] = net
    return module


def net_of(module: NetModule) -> Net:
    """The net that a module was compiled from. Raises: NetspecError where it is not known."""
    if module not in _NETS:
        hint = "compile the net again, and load the weights into it"
        raise NetspecError("the module is a copy that has lost its net", None, hint)
    return _NETS[module]


class _Lowering:
    def __init__(self, net: Net, outputs: list[str] | None) -> None:
        self.net = net
        self.outputs = net.outputs if outputs is None else outputs
        for name in self.outputs:
            if name not in net.blobs and name not in net.split_outputs:
                raise NetspecError(
                    f"the net '{net.name}' has no blob '{name}' to cut it at",
                    None,
                    did_you_mean(name, net.blobs),
                )
        self.output_set = frozenset(self.outputs)
        self.needed: set[Blob] = set()  # of a net that is cut
        self.layers = net.layers if outputs is None else self._leading_to(outputs)
        self.plan = plan_backward(self.layers, net.force_backward)
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.nodes: dict[Blob, fx.Node] = {}
        self.targets: dict[Layer, str] = {}
        self.names: dict[str, int] = {}  # those of the submodules
        # the first module with each param that has a name, by that name and the param's index
        self.owners: dict[tuple[str, int], nn.Module] = {}
        self.is_cut = outputs is not None

    def _leading_to(self, outputs: list[str]) -> list[Layer]:
        blobs = [self.net.blob(name) for name in outputs]
        needed = self.needed = {
            b
            for blob in blobs
            for b in (blob, blob.overwritten_by(len(blob.memory.writes)))
            if b is not None
        }
        kept: set[Layer] = set()
        for layer in reversed(self.net.layers):
            if any(blob in needed for blob in layer.top_blobs):
                kept.add(layer)
                needed.update(layer.bottom_blobs)
                for blob, writes in zip(layer.bottom_blobs, layer.bottom_writes, strict=True):
                    needed.update(filter(None, [blob.overwritten_by(writes)]))
        return [layer for layer in self.net.layers if layer in kept]

    def _require_computed(self) -> None:
        """Raises NetspecError where a layer can't be computed; what a data layer makes is fed."""
        specs = {layer: find_spec(layer.spec_name) for layer in self.layers}
        computed = [layer for layer, spec in specs.items() if spec is None or not spec.is_source]
        faults = [fault for layer in computed for fault in layer.not_computed]
        if faults:
            raise NetspecError(faults)

    def module(self) -> NetModule:
        self._require_computed()
        require_memory(self.layers)
        inputs = self._placeholders()
        for layer in self.layers:
            spec = find_spec(layer.spec_name)
            if spec and not spec.is_source and (layer.top_blobs or spec.has_side_effects):
                self._add_layer(layer)
        submodules = {
            layer: self.root.get_submodule(target) for layer, target in self.targets.items()
        }
        for layer, wrapped in wrap_overwritten(self.layers, submodules).items():
            self.root.add_module(self.targets[layer], wrapped)
        terms, entries = self._loss_terms(), self._entries()
        returned = {name: self._value_at_end(self.net.blob(name)) for name in self.outputs}
        returned |= {key: self.nodes[blob] for key, (blob, _) in (terms | entries).items()}
        self.graph.output(returned)
        self.graph.lint()
        module = NetModule(
            self.root, self.graph, class_name=re.sub(r"\W", "_", self.net.name) or "Net"
        )
        module.meta["netspec"] = About(
            net_name=self.net.name,
            phase=self.net.phase,
            input_names=[blob.name for blob in inputs],
            input_shapes={blob.name: blob.shape for blob in inputs if blob.shape is not None},
            arguments=[str(self.nodes[blob].target) for blob in inputs],
            output_names=list(self.outputs),
            targets={layer.name: target for layer, target in self.targets.items()},
            places={
                target: f"{layer.label} ({layer.span})" for layer, target in self.targets.items()
            },
            loss_weights={key: weight for key, (_, weight) in terms.items()},
            silent={key for key, (blob, _) in terms.items() if blob in self.plan.silent},
            entries={key: weight for key, (_, weight) in entries.items()},
            order=[self.targets.get(layer, "") for layer in self.net.layers],
            tops=[
                [self.nodes[blob].name for blob in layer.top_blobs if blob in self.nodes]
                for layer in self.net.layers
            ],
            layers=[
                (
                    layer.name,
                    layer.type,
                    layer.bottoms,
                    [t for t in layer.tops if t != AUTOMATIC_TOP],
                )
                for layer in self.net.layers
            ],
        )
        module.train(self.net.phase == "TRAIN")
        return module

    def _placeholders(self) -> list[Blob]:
        inputs = []
        taken: dict[str, int] = {}
        for layer in self.layers:
            spec = find_spec(layer.spec_name)
            for blob in layer.top_blobs if spec and spec.is_source else ():
                if not self.is_cut or blob in self.needed:
                    inputs.append(blob)
                    self.nodes[blob] = self.graph.placeholder(_python_name(blob.name, taken))
        return inputs

    def _add_layer(self, layer: Layer) -> None:
        bottoms = [
            self._value(blob, writes)
            for blob, writes in zip(layer.bottom_blobs, layer.bottom_writes, strict=True)
        ]
        for i in range(len(bottoms)):
            if (layer, i) in self.plan.stopped:
                bottoms[i] = self.graph.call_method("detach", (bottoms[i],))
        builder = find_builder(layer)
        submodule = builder.build(layer)
        target = ""
        if submodule is not None:
            target = self.targets[layer] = _python_name(layer.name or layer.type, self.names)
            self.root.add_module(target, submodule)
            write_in_place(layer, submodule)
            self._set_learned(layer, submodule)
        tops = (builder.emit or emit_default)(self.graph, layer, target, bottoms)
        if not layer.top_blobs:
            return
        if isinstance(tops, fx.Node):
            many = len(layer.top_blobs) > 1
            tops = (
                [
                    self.graph.call_function(operator.getitem, (tops, i))
                    for i in range(len(layer.top_blobs))
                ]
                if many
                else [tops]
            )
        for blob, node in zip(layer.top_blobs, tops, strict=True):
            self.nodes[blob] = node

    def _written(self, blob: Blob, writes: int) -> fx.Node:
        """The node whose values stand in a blob's memory after that many in-place writes.

        It is the blob's own, or that of the last write.
        """
        return self.nodes[blob.overwritten_by(writes) or blob]

    def _value(self, blob: Blob, writes: int) -> fx.Node:
        """What stands in a blob's memory after that many in-place writes."""
        own, written = self.nodes[blob], self._written(blob, writes)
        return own if written is own else self.graph.call_function(read_overwritten, (own, written))

    def _value_at_end(self, blob: Blob) -> fx.Node:
        return self._value(blob, len(blob.memory.writes))

    def _set_learned(self, layer: Layer, submodule: nn.Module) -> None:
        """A param has a gradient below a loss where its lr_mult is not 0, or with force_backward.

        A shared one's lr_mult is its owner's.
        """
        for i, (param, blob) in enumerate(zip(layer.params, blobs_of(submodule), strict=True)):
            if param.owner is not None:
                owner = self.owners.get((param.name, param.owner[1]))
                if owner is not None:
                    share_param(submodule, i, owner, param.owner[1], param.shape)
                continue
            if param.name:
                self.owners.setdefault((param.name, i), submodule)
            if param.learned:
                blob.requires_grad_(
                    self.net.force_backward or (param.lr_mult != 0 and layer in self.plan.learning)
                )

    def _loss_terms(self) -> dict[str, tuple[Blob, float]]:
        """The tops that count in the objective, by other keys where in-place writes hide values."""
        terms = {}
        for layer in self.layers:
            for blob, weight in zip(layer.top_blobs, layer.loss_weights, strict=True):
                name = self.net.output_name(blob)
                if (
                    weight
                    and blob in self.nodes
                    and not (self.is_cut and not {name, blob.name} & self.output_set)
                ):
                    terms[self._key(blob, layer)] = (blob, self.plan.weights.get(blob, weight))
        return terms

    def _entries(self) -> dict[str, tuple[Blob, float]]:
        """Where Caffe's pass begins with a gradient though the objective leaves the blob out.

        With force_backward it runs through dead ends too, from a gradient of 0. That shows where a
        layer does not read it (Power and Log in place), or makes NaN of it.
        """
        entries = dict(self.plan.entries)
        if self.net.force_backward:
            ends = [self.net.blob(name) for name in self.outputs]
            ends += [
                blob for layer in self.layers if not layer.top_blobs for blob in layer.bottom_blobs
            ]
            entries = dict.fromkeys(ends, 0.0) | entries
        return {self._key(blob, blob.producer): (blob, weight) for blob, weight in entries.items()}

    def _key(self, blob: Blob, layer: Layer) -> str:
        """What a blob is called among the graph's outputs.

        It has its own name where the output of that name has its value.
        """
        name = self.net.output_name(blob)
        is_output = (
            name in self.output_set
            and self.net.blob(name) is blob
            and self._written(blob, len(blob.memory.writes)) is self.nodes[blob]
        )
        return name if is_output else f"{name} of {layer.name}"


def _python_name(name: str, taken: dict[str, int]) -> str:
    """A blob's or layer's name as a Python name of its own.

    'inception_3a/1x1' → inception_3a_1x1.

    Args: taken: the names that are in use, each with the last number that was added to it.
    """
    base = python_name(name)
    if hasattr(NetModule, base) or base in ("self", "meta", "training"):
        # the module has something of that name: a layer 'loss' is its submodule loss_
        base = f"{base}_"
    unique, count = base, taken.get(base, 0)
    while unique in taken:
        count += 1
        unique = f"{base}_{count}"
    taken[base] = count
    taken.setdefault(unique, 0)
    return unique
