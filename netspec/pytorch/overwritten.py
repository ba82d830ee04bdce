"""Blobs that an in-place layer has overwritten: what Caffe reads there, forward and backward.

In Caffe the layers of an in-place chain share one memory, and so do the bottom and top of a
Flatten, Reshape or Split (graph.Memory). A layer that reads its bottom or top in the backward pass
finds there what was written last: after conv → ReLU → Scale, all in place, ReLU's gradient passes
where the *scaled* values are positive, and a Clip in place passes every gradient, for what it wrote
is in its range. Nets trained that way have such gradients in their weights, so they are kept. A
layer with its own copy (BatchNorm, Scale in place, PReLU in place, Dropout's mask) is not
concerned.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from netspec.graph import Blob, Layer, Memory
from netspec.layers import find_spec
from netspec.layers.spec import Spec
from netspec.pytorch.layers import find_builder
from netspec.pytorch.layers.builder import Gradient
from netspec.pytorch.module import arrays_for, blobs_of

COMPILE_FAULT = (
    "torch.compile can't differentiate this net: a later in-place layer overwrites what Caffe's "
    "gradient reads; "
    "give that layer's top a name of its own, or train without torch.compile"
)


class _ReadOverwritten(torch.autograd.Function):
    """A blob that another one's in-place write has reached.

    The values are those, the gradient is the blob's own.
    """

    @staticmethod
    def forward(ctx: Any, blob: Tensor, written: Tensor) -> Tensor:
        return written.reshape(blob.shape).clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def read_overwritten(blob: Tensor, written: Tensor) -> Tensor:
    """What stands in a blob's memory after an in-place write by way of another blob's name.

    In Caffe each reader of a blob has a gradient of its own there, which does not pass the layer
    that wrote.
    """
    result: Tensor = _ReadOverwritten.apply(blob, written.detach())
    return result


class _Memory:
    """What the last in-place layer wrote to a memory in the last forward pass.

    Those who kept it before see that too.
    """

    def __init__(self) -> None:
        self.value: Tensor | None = None
        self.kept: list[Tensor] = []
        self.params: list[nn.Module] = []  # Parameter layers, whose param is this memory

    def __call__(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.value = output.detach()
        for kept in [
            *self.kept,
            *(blob.data for layer in self.params for blob in layer.parameters()),
        ]:
            kept.copy_(self.value.view_as(kept))
        self.kept.clear()


class _OverwrittenFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bottom: Tensor, owner: Overwritten) -> Tensor:
        top = owner.layer(bottom)
        # what a later layer writes over this top in place is what the gradient reads, so torch's
        # count of versions, which would refuse it, is left out
        ctx.save_for_backward(bottom, top if owner.top_memory is None else top.data)
        ctx.owner = owner
        return top

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, top = ctx.saved_tensors
        owner: Overwritten = ctx.owner
        if owner.top_memory is not None and owner.top_memory.value is not None:
            top = owner.top_memory.value.view_as(top)
        bottom = top if owner.in_place else x
        if owner.bottom_memory is not None and owner.bottom_memory.value is not None:
            bottom = owner.bottom_memory.value.view_as(x)
        return owner.gradient(grad, x, bottom, top, owner.layer), None


class Overwritten(nn.Module):
    """A layer whose gradient reads what was written over its bottom or top.

    Its values are the layer's own.
    """

    def __init__(
        self,
        gradient: Gradient,
        layer: nn.Module,
        in_place: bool,
        bottom_memory: _Memory | None,
        top_memory: _Memory | None,
    ) -> None:
        super().__init__()
        self.gradient, self.layer, self.in_place = gradient, layer, in_place
        self.bottom_memory, self.top_memory = bottom_memory, top_memory
        if isinstance(layer, (nn.ReLU, nn.ReLU6, nn.ELU)):
            layer.inplace = False

    def forward(self, bottom: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and bottom.requires_grad):
            return self.layer(bottom)
        # it would keep the first pass's values
        if (self.top_memory or self.bottom_memory) and torch.compiler.is_compiling():
            raise RuntimeError(COMPILE_FAULT)
        return _OverwrittenFunction.apply(bottom, self)


class KeepsOverwritten(nn.Module):
    """A layer whose gradient needs bottoms that are written over before."""

    def __init__(self, layer: nn.Module, memories: list[_Memory | None]) -> None:
        super().__init__()
        self.layer, self.memories = layer, memories

    def blobs(self) -> list[Tensor]:
        return blobs_of(self.layer)

    def from_file(self, arrays: list[Any]) -> list[Any]:
        return arrays_for(self.layer, arrays)

    def forward(self, *bottoms: Tensor) -> Any:
        if not torch.is_grad_enabled():
            return self.layer(*bottoms)
        if torch.compiler.is_compiling():
            raise RuntimeError(COMPILE_FAULT)
        own = list(bottoms)
        for i, memory in enumerate(self.memories):
            if memory is not None:
                own[i] = bottoms[i].clone()
                # written over without torch's count of versions, which would refuse it
                memory.kept.append(own[i].data)
        return self.layer(*own)


class _Writers:
    """The layers with a module that write over a memory in place, and where each last does so."""

    def __init__(self, memory: Memory, submodules: dict[Layer, nn.Module]) -> None:
        producers = ((i, blob.producer) for i, blob in enumerate(memory.writes))
        self.places = {layer: i for i, layer in producers if layer in submodules}
        self.last = max(self.places, key=self.places.__getitem__, default=None)
        self.last_place = max(self.places.values(), default=-1)
        self.last_change = max(
            (i for layer, i in self.places.items() if not _keeps_signs(layer)), default=-1
        )  # of signs
        self._last_reads: dict[Blob, int] = {}

    def last_read(self, blob: Blob) -> int:
        """Where the last writer that reads a blob writes."""
        if blob not in self._last_reads:
            found = (self.places.get(layer, -1) for layer, _ in blob.consumers)
            self._last_reads[blob] = max(found, default=-1)
        return self._last_reads[blob]


class _Later(NamedTuple):
    """What is written over a blob's memory later on: by whom last, and whether signs change."""

    last: Layer
    changes_signs: bool


class _Wrapping:
    def __init__(self, layers: list[Layer], submodules: dict[Layer, nn.Module]) -> None:
        self.layers, self.submodules = layers, submodules
        self.memories: dict[Layer, _Memory] = {}
        self._writers: dict[Memory, _Writers] = {}

    def writers(self, memory: Memory) -> _Writers:
        if memory not in self._writers:
            self._writers[memory] = _Writers(memory, self.submodules)
        return self._writers[memory]

    def later_writes(self, blob: Blob, writes: int) -> _Later | None:
        """What layers write over a blob's memory in place after so many writes."""
        writers = self.writers(blob.memory)
        if writers.last is None or writers.last_place < writes:
            return None
        return _Later(writers.last, writers.last_change >= writes)

    def writes_over_bottom(self, layer: Layer, i: int) -> _Later | None:
        """What is written over a bottom after the layer has read it, by another name.

        By its own, Caffe refuses the net.
        """
        blob, writes = layer.bottom_blobs[i], layer.bottom_writes[i]
        is_by_own_name = self.writers(blob.memory).last_read(blob) >= writes
        return None if is_by_own_name else self.later_writes(blob, writes)

    def memory_after(self, later: _Later | None) -> _Memory | None:
        return self.memories.setdefault(later.last, _Memory()) if later else None

    def wrapped(self, layer: Layer) -> nn.Module | None:
        """The module for a layer whose gradient, in Caffe, reads what was written over it."""
        module, spec, gradient = (
            self.submodules[layer],
            find_spec(layer.spec_name),
            find_builder(layer).gradient,
        )
        if spec is None or not layer.top_blobs:
            return None
        if gradient is not None:
            return self._with_its_gradient(layer, spec, module, gradient)
        if "bottom" not in spec.gradient_reads(layer):
            return None
        memories = [
            self.memory_after(self.writes_over_bottom(layer, i))
            for i in range(len(layer.bottom_blobs))
        ]
        return KeepsOverwritten(module, memories) if any(memories) else None

    def _with_its_gradient(
        self, layer: Layer, spec: Spec, module: nn.Module, gradient: Gradient
    ) -> nn.Module | None:
        top, in_place, reads = (
            layer.top_blobs[0],
            layer.tops[:1] == layer.bottoms[:1],
            spec.gradient_reads(layer),
        )
        if not reads:
            return None
        over_top = self.later_writes(top, top.writes_before)
        over_bottom = None if in_place else self.writes_over_bottom(layer, 0)
        reads_top = "top" in reads or in_place
        top_memory = (
            self.memory_after(over_top) if reads_top and _differs_after(spec, over_top) else None
        )
        bottom_memory = (
            self.memory_after(over_bottom)
            if "bottom" in reads and _differs_after(spec, over_bottom)
            else None
        )
        if (
            top_memory is None
            and bottom_memory is None
            and not (in_place and spec.misreads_in_place(layer))
        ):
            return None
        return Overwritten(gradient, module, in_place, bottom_memory, top_memory)


def _differs_after(spec: Spec, later: _Later | None) -> bool:
    """Whether the layer's gradient is another one for what is left there.

    One that asks for signs alone is the same after layers that keep them, or let no gradient
    through where they do not.
    """
    return later is not None and (later.changes_signs or not spec.gradient_reads_signs)


def _keeps_signs(layer: Layer) -> bool:
    spec = find_spec(layer.spec_name)
    return spec is not None and spec.keeps_signs(layer)


def wrap_overwritten(
    layers: list[Layer], submodules: dict[Layer, nn.Module]
) -> dict[Layer, nn.Module]:
    """The submodules to put in place of those whose data is overwritten."""
    wrapping = _Wrapping(layers, submodules)
    wrapped = {
        layer: module
        for layer in layers
        if layer in submodules and (module := wrapping.wrapped(layer))
    }
    for layer in layers:
        if layer.type == "Parameter" and layer in submodules:
            memory = wrapping.memory_after(wrapping.later_writes(layer.top_blobs[0], 0))
            if memory is not None:
                memory.params.append(submodules[layer])
    for writer, memory in wrapping.memories.items():
        wrapped.get(writer, submodules[writer]).register_forward_hook(memory)
    return wrapped
