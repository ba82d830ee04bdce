"""Blobs that an in-place layer has overwritten: what Caffe reads there, forward and backward.

In Caffe the layers of an in-place chain share one memory, and so do the bottom and top of a Flatten, Reshape or Split
(graph.Memory). A layer that reads its bottom or top in the backward pass finds there what was written last: after
conv → ReLU → Scale, all in place, ReLU's gradient passes where the *scaled* values are positive, and a Clip in place
passes every gradient, for what it wrote is in its range. Nets trained that way have such gradients in their weights, so
they are kept. A layer with its own copy (BatchNorm, Scale in place, PReLU in place, Dropout's mask) is not concerned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from netspec.graph import Blob, Layer
from netspec.pytorch.layers.neuron import power_slope, scaled
from netspec.pytorch.layers.normalization import across_channels_gradient, mvn_gradient
from netspec.pytorch.module import blobs_of

COMPILE_FAULT = (
    "torch.compile can't differentiate this net: a later in-place layer overwrites what Caffe's gradient reads; "
    "give that layer's top a name of its own, or train without torch.compile"
)
# (gradient of the top, the bottom as it was, what now stands in the bottom's and in the top's memory, the layer)
# → gradient of the bottom. In place the two memories are one tensor.
Gradient = Callable[[Tensor, Tensor, Tensor, Tensor, Any], Tensor]


def _relu(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return torch.where(bottom > 0, grad, grad * getattr(module, "negative_slope", 0.0))


def _softmax(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return top * (grad - (grad * top).sum(module.dim, keepdim=True))


def _lrn(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return across_channels_gradient(grad, x, bottom, top, module.size, module.alpha, module.beta, module.k)


def _mvn(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    rows = module.rows(x)
    deviation = torch.linalg.vector_norm(rows - rows.mean(1, keepdim=True), dim=1, keepdim=True) / rows.shape[1] ** 0.5 + module.eps
    return mvn_gradient(module.rows(grad), module.rows(top), deviation, module.in_place).view_as(x).to(x.dtype)


def _swish(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    beta = getattr(module, "beta", 1.0)
    sigmoid = torch.sigmoid(x * beta)  # the layer keeps it apart
    return grad * (beta * top + sigmoid * (1 - beta * top))


def _log(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    slope = scaled(bottom, module.scale, module.shift).reciprocal() * (module.scale * module.outer)
    return slope * slope  # in place it writes the slope over the top's gradient before it reads that


def _power(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    slope = power_slope(bottom, top, module.power, module.scale, module.shift)
    return (slope if bottom is top else grad) * slope  # as Log


_READ_BOTTOM: dict[str, Gradient] = {
    "ReLU": _relu,
    "BNLL": lambda grad, x, bottom, top, module: grad * torch.sigmoid(bottom),
    "Clip": lambda grad, x, bottom, top, module: grad * ((bottom >= module.low) & (bottom <= module.high)),
    "Log": _log,
}
_READ_TOP: dict[str, Gradient] = {
    "Sigmoid": lambda grad, x, bottom, top, module: grad * top * (1 - top),
    "TanH": lambda grad, x, bottom, top, module: grad * (1 - top * top),
    "Exp": lambda grad, x, bottom, top, module: grad * top * module.inner,
    "Swish": _swish,
    "Softmax": _softmax,
    "LRN": _lrn,
    "MVN": _mvn,
}
_READ_BOTH: dict[str, Gradient] = {
    "ELU": lambda grad, x, bottom, top, module: torch.where(bottom > 0, grad, grad * (module.alpha + top)),
    "Power": _power,
}
_GRADIENTS = _READ_BOTTOM | _READ_TOP | _READ_BOTH
# Layers whose gradient is torch's own, which reads the bottom that was kept for it.
_KEEP_BOTTOM = frozenset(
    (
        "AbsVal",
        "Convolution",
        "Deconvolution",
        "Eltwise",
        "Embed",
        "InnerProduct",
        "LSTM",
        "MultinomialLogisticLoss",
        "PReLU",
        "RNN",
        "Reduction",
        "Scale",
    )
)


class _ReadOverwritten(torch.autograd.Function):
    """A blob that another one's in-place write has reached: the values are those, the gradient is the blob's own."""

    @staticmethod
    def forward(ctx: Any, blob: Tensor, written: Tensor) -> Tensor:
        return written.reshape(blob.shape).clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def read_overwritten(blob: Tensor, written: Tensor) -> Tensor:
    """What stands in a blob's memory after an in-place write by way of another blob's name.

    In Caffe each reader of a blob has a gradient of its own there, which does not pass the layer that wrote.
    """
    result: Tensor = _ReadOverwritten.apply(blob, written.detach())
    return result


class _Memory:
    """What the last in-place layer wrote to a memory in the last forward pass; those who kept it before see that too."""

    def __init__(self) -> None:
        self.value: Tensor | None = None
        self.kept: list[Tensor] = []
        self.params: list[nn.Module] = []  # Parameter layers, whose param is this memory

    def __call__(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.value = output.detach()
        for kept in [*self.kept, *(blob.data for layer in self.params for blob in layer.parameters())]:
            kept.copy_(self.value.view_as(kept))
        self.kept.clear()


class _OverwrittenFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bottom: Tensor, owner: Overwritten) -> Tensor:
        top = owner.layer(bottom)
        ctx.save_for_backward(bottom, top)
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
        return _GRADIENTS[owner.type_name](grad, x, bottom, top, owner.layer), None


class Overwritten(nn.Module):
    """A layer whose gradient reads what was written over its bottom or top. Its values are the layer's own."""

    def __init__(self, type_name: str, layer: nn.Module, in_place: bool, bottom_memory: _Memory | None, top_memory: _Memory | None) -> None:
        super().__init__()
        self.type_name, self.layer, self.in_place = type_name, layer, in_place
        self.bottom_memory, self.top_memory = bottom_memory, top_memory
        if isinstance(layer, (nn.ReLU, nn.ELU)):
            layer.inplace = False

    def forward(self, bottom: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and bottom.requires_grad):
            return self.layer(bottom)
        if (self.top_memory or self.bottom_memory) and torch.compiler.is_compiling():  # it would keep the first pass's values
            raise RuntimeError(COMPILE_FAULT)
        return _OverwrittenFunction.apply(bottom, self)


class KeepsOverwritten(nn.Module):
    """A layer that keeps bottoms for its gradient which are written over before that is computed."""

    def __init__(self, layer: nn.Module, memories: list[_Memory | None]) -> None:
        super().__init__()
        self.layer, self.memories = layer, memories

    def blobs(self) -> list[Tensor]:
        return blobs_of(self.layer)

    def forward(self, *bottoms: Tensor) -> Any:
        if not torch.is_grad_enabled():
            return self.layer(*bottoms)
        if torch.compiler.is_compiling():
            raise RuntimeError(COMPILE_FAULT)
        own = list(bottoms)
        for i, memory in enumerate(self.memories):
            if memory is not None:
                own[i] = bottoms[i].clone()
                memory.kept.append(own[i].data)  # written over without torch's count of versions, which would refuse it
        return self.layer(*own)


def _is_in_place(layer: Layer) -> bool:
    return layer.tops[:1] == layer.bottoms[:1]


def _keeps_signs(layer: Layer) -> bool:
    """Whether the top tells as well as the bottom which side of 0 a value was on."""
    p = layer.message
    return (layer.type == "ReLU" and p.relu_param.negative_slope >= 0) or (layer.type == "ELU" and p.elu_param.alpha >= 0)


def _reads_values(layer: Layer) -> bool:
    """Whether Caffe's gradient of the layer, one of a type in _GRADIENTS, reads what its bottom or top holds."""
    p = layer.message
    if layer.type == "Power":
        return p.power_param.power * p.power_param.scale != 0  # else constant
    if layer.type == "LRN":
        return not p.lrn_param.norm_region  # within a channel it is made of layers with memories of their own
    return layer.type != "MVN" or p.mvn_param.normalize_variance


class _Wrapping:
    def __init__(self, layers: list[Layer], submodules: dict[Layer, nn.Module]) -> None:
        self.layers, self.submodules = layers, submodules
        self.memories: dict[Layer, _Memory] = {}

    def later_writers(self, blob: Blob, writes: int) -> list[Layer]:
        """The layers that write over a blob's memory in place after so many writes."""
        return [b.producer for b in blob.memory.writes[writes:] if b.producer in self.submodules]

    def writers_over_bottom(self, layer: Layer, i: int) -> list[Layer]:
        """Those that write over a bottom after the layer has read it, by another name: by its own, Caffe refuses the net."""
        blob = layer.bottom_blobs[i]
        writers = self.later_writers(blob, layer.bottom_writes[i])
        return [] if any(blob in writer.bottom_blobs for writer in writers) else writers

    def memory_after(self, writers: list[Layer]) -> _Memory | None:
        return self.memories.setdefault(writers[-1], _Memory()) if writers else None

    def wrapped(self, layer: Layer) -> nn.Module | None:
        """The module in place of a layer's own where Caffe's gradient reads what was written over its blobs."""
        module = self.submodules[layer]
        if layer.type in _GRADIENTS and layer.top_blobs and _reads_values(layer):
            return self._with_its_gradient(layer, module)
        if layer.type not in _KEEP_BOTTOM:
            return None
        memories = [self.memory_after(self.writers_over_bottom(layer, i)) for i in range(len(layer.bottom_blobs))]
        return KeepsOverwritten(module, memories) if any(memories) else None

    def _with_its_gradient(self, layer: Layer, module: nn.Module) -> nn.Module | None:
        top, in_place = layer.top_blobs[0], _is_in_place(layer)
        over_top = self.later_writers(top, top.writes_before)
        over_bottom = [] if in_place else self.writers_over_bottom(layer, 0)
        reads_top = layer.type not in _READ_BOTTOM or in_place
        reads_bottom = layer.type not in _READ_TOP or layer.type == "LRN"
        top_memory = self.memory_after(over_top) if reads_top and _differs_after(layer, over_top) else None
        bottom_memory = self.memory_after(over_bottom) if reads_bottom and _differs_after(layer, over_bottom) else None
        reads_its_own_write = in_place and layer.type not in _READ_TOP and not _keeps_signs(layer)
        if top_memory is None and bottom_memory is None and not reads_its_own_write:
            return None
        return Overwritten(layer.type, module, in_place, bottom_memory, top_memory)


def _differs_after(layer: Layer, writers: list[Layer]) -> bool:
    """Whether the layer's gradient is another one for what the writers leave: after these ReLU's is the same.

    They keep the sign, or let no gradient through where they do not.
    """
    if layer.type != "ReLU":
        return bool(writers)
    return any(w.type not in ("Dropout", "ReLU") or w.message.relu_param.negative_slope for w in writers)


def wrap_overwritten(layers: list[Layer], submodules: dict[Layer, nn.Module]) -> dict[Layer, nn.Module]:
    """The submodules to put in place of those whose data is overwritten."""
    wrapping = _Wrapping(layers, submodules)
    wrapped = {layer: module for layer in layers if layer in submodules and (module := wrapping.wrapped(layer))}
    for layer in layers:
        if layer.type == "Parameter" and layer in submodules:
            memory = wrapping.memory_after(wrapping.later_writers(layer.top_blobs[0], 0))
            if memory is not None:
                memory.params.append(submodules[layer])
    for writer, memory in wrapping.memories.items():
        wrapped.get(writer, submodules[writer]).register_forward_hook(memory)
    return wrapped
