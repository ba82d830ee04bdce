"""The module that a net is lowered to: a torch.fx.GraphModule that knows its net's names."""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Shape
from netspec.pytorch.input_faults import input_fault, input_notes, is_about_memory

if TYPE_CHECKING:
    from netspec.pytorch.weights import LoadReport


@dataclass(slots=True)
class About:
    """What the module keeps of its net.

    It keeps the names by which users ask for things, and the places for messages.
    """

    net_name: str
    phase: str
    input_names: list[str]  # blobs, in the order of forward's arguments
    arguments: list[str]  # forward's argument for each of them
    output_names: list[str]
    targets: dict[str, str]  # layer → submodule, for layers with one
    places: dict[str, str]  # submodule → "layer 'conv1' (net.prototxt:12:1)"
    loss_weights: dict[str, float]  # by key of the graph's output
    # terms of the objective that pass no gradient down
    silent: set[str] = field(default_factory=set)
    # gradients that go down from what is no such term
    entries: dict[str, float] = field(default_factory=dict)
    # the submodule of each of the net's layers, "" where there is none
    order: list[str] = field(default_factory=list)
    # name, type, bottoms, tops: for weight files
    layers: list[tuple[str, str, list[str], list[str]]] = field(default_factory=list)
    # of each of the net's layers, the graph's nodes that are its tops
    tops: list[list[str]] = field(default_factory=list)
    # as the net declares them; for messages
    input_shapes: dict[str, Shape] = field(default_factory=dict)
    load_report: LoadReport | None = None


class Outputs(dict):
    """The outputs of a net of which some terms of the objective are no outputs.

    `terms` holds these.
    """

    terms: dict[str, Tensor]


class _Enter(torch.autograd.Function):
    """A loss as it is, with a constant gradient for a blob that does not count in it."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, blob: Tensor, weight: float) -> Tensor:
        ctx.save_for_backward(blob)
        ctx.weight = weight
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        (blob,) = ctx.saved_tensors
        return grad, (grad * ctx.weight).expand_as(blob), None


def blobs_of(module: nn.Module) -> list[Tensor]:
    """A layer's params in Caffe's order: its own list, or weight and bias of an ordinary module."""
    own = getattr(module, "blobs", None)
    if callable(own):
        return list(own())
    return [
        blob
        for blob in (getattr(module, "weight", None), getattr(module, "bias", None))
        if isinstance(blob, Tensor)
    ]


def arrays_for(module: nn.Module, arrays: list[Any]) -> list[Any]:
    """A weight file's arrays as a layer takes them: its own conversion, or as they are."""
    own = getattr(module, "from_file", None)
    return list(own(arrays)) if callable(own) else arrays


class NetModule(fx.GraphModule):
    """A compiled net. `module(data=…, label=…)` gives {output blob: tensor}.

    Positional arguments follow `input_names`. `print(module.code)` shows the forward pass.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> NetModule:
        module: NetModule = super().__new__(cls, *args, **kwargs)
        # torch.compile bounds its recompilations by code object: shared by all nets, the ninth
        # would be refused
        call = NetModule.__call__
        type(module).__call__ = FunctionType(  # type: ignore[method-assign]
            call.__code__.replace(), call.__globals__, call.__name__, None, call.__closure__
        )
        return module

    def __copy__(self) -> NetModule:
        module = NetModule(self, self.graph, type(self).__name__)
        module.meta.update(self.meta)
        module.training = self.training
        return module

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and torch.save: as fx has it, but what comes back is of this class."""
        return _restore, (type(self).__name__, *super().__reduce__()[1])

    @property
    def code(self) -> str:
        """The forward pass as Python text, without the code that frees memory."""
        return re.sub(r";  (?:\w+ = )+None$", "", super().code, flags=re.MULTILINE).strip() + "\n"

    @property
    def about(self) -> About:
        about: About = self.meta["netspec"]
        return about

    @property
    def input_names(self) -> list[str]:
        """The blobs that forward takes, in the order of its arguments."""
        return list(self.about.input_names)

    @property
    def output_names(self) -> list[str]:
        """The blobs that forward gives."""
        return list(self.about.output_names)

    @property
    def load_report(self) -> LoadReport | None:
        """What became of the weights that the module was compiled with; None without weights."""
        return self.about.load_report

    @property
    def params(self) -> dict[str, list[Tensor]]:
        """Each layer's params in Caffe's order and layout; BatchNorm's three are buffers."""
        found = {
            name: blobs_of(self.get_submodule(target))
            for name, target in self.about.targets.items()
        }
        return {name: blobs for name, blobs in found.items() if blobs}

    @property
    def layer_params(self) -> list[list[Tensor]]:
        """The params of each of the net's layers in file order.

        The order distinguishes layers that share a name, or have none.
        """
        return [
            blobs_of(self.get_submodule(target)) if target else [] for target in self.about.order
        ]

    def loss(self, outputs: dict[str, Tensor]) -> Tensor:
        """The objective: the sum over all tops of loss_weight · (sum of the top's elements)."""
        terms = {**getattr(outputs, "terms", {}), **outputs}
        total: Tensor | None = None
        for name, weight in self.about.loss_weights.items():
            if name not in terms:
                continue
            term = terms[name].detach() if name in self.about.silent else terms[name]
            term = term if term.dim() == 0 else term.sum()
            term = term if weight == 1 else term * weight
            total = term if total is None else total + term
        total = torch.zeros(()) if total is None else total
        for name, weight in self.about.entries.items():
            if name in terms and terms[name].requires_grad:
                total = _Enter.apply(total, terms[name], weight)
        return total

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        about: About = self.meta["netspec"]
        if kwargs and about.arguments != about.input_names:  # blobs whose names are no Python names
            names = dict(zip(about.input_names, about.arguments, strict=True))
            kwargs = {names.get(name, name): value for name, value in kwargs.items()}
        try:
            outputs = super().__call__(*args, **kwargs)
        except Exception as error:
            if not torch.compiler.is_compiling():
                self.explain(error, args, kwargs)
            raise
        return self.shown(outputs)

    def shown(self, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """What a user sees of the graph's outputs.

        Terms of the objective that are no outputs stay beside them.
        """
        about = self.about
        if len(outputs) == len(about.output_names):
            return outputs
        shown = Outputs({name: outputs[name] for name in about.output_names})
        shown.terms = {name: value for name, value in outputs.items() if name not in shown}
        return shown

    def explain(self, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Adds to an error of the forward pass what is known of its cause.

        Raises: NetspecError where the arguments are at fault.
        """
        if isinstance(error, NetspecError):
            return
        fault = input_fault(self.about, args, kwargs)
        if fault is not None:
            raise fault from None
        place = self._failed_layer(error)
        if place:
            error.add_note(f"in {place}")
        if not is_about_memory(error):
            for line in input_notes(self.about, args, kwargs, list(self.parameters()), error):
                error.add_note(line)

    def _failed_layer(self, error: Exception) -> str | None:
        """The layer whose line of the generated code was running.

        A segment of a training step is a graph of its own in the net's.
        """
        traceback, place = error.__traceback__, None
        while traceback is not None and place is None:
            filename = traceback.tb_frame.f_code.co_filename
            if "eval_with_key" in filename:
                called = re.search(r"self\.(\w+)", linecache.getline(filename, traceback.tb_lineno))
                place = self.about.places.get(called[1]) if called else None
            traceback = traceback.tb_next
        return place


def _restore(class_name: str, body: dict[str, Any], import_block: str) -> NetModule:
    """The module that was pickled."""
    plain = fx.graph_module.reduce_graph_module(body, import_block)
    module = NetModule(plain, plain.graph, class_name)
    module.meta.update(body["meta"])
    module.training = body["training"]  # of the submodules each has its own
    return module
