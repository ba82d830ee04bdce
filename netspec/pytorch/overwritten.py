"""Gradients of layers whose data an in-place layer has overwritten, as Caffe computes them.

In Caffe the layers of an in-place chain share one memory. A layer that reads its bottom or top in the backward
pass finds there what the last of the chain wrote: after conv → ReLU → Scale, all in place, ReLU's gradient passes
where the *scaled* values are positive, and a Clip in place passes every gradient, for what it wrote is in its range.
Nets trained that way have such gradients in their weights, so they are kept.
A layer with its own copy (BatchNorm, Scale, PReLU, Dropout's mask) is not concerned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from netspec.graph import Blob, Layer, Net
from netspec.pytorch.layers.neuron import power_slope, scaled
from netspec.pytorch.layers.normalization import across_channels_gradient, mvn_gradient

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
    return across_channels_gradient(grad, bottom, top, module.size, module.alpha, module.beta, module.k)


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
# After these ReLU's gradient is the same: they leave the sign, or no gradient arrives where they do not.
_HARMLESS_AFTER_RELU = ("Dropout", "ReLU")


class _Memory:
    """What the last layer of a chain wrote in the last forward pass."""

    def __init__(self) -> None:
        self.value: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.value = output.detach()


class _OverwrittenFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bottom: Tensor, owner: Overwritten) -> Tensor:
        top = owner.layer(bottom)
        ctx.save_for_backward(*((bottom, top) if owner.memory is None else (bottom,)))
        ctx.owner = owner
        return top

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        bottom, *own = ctx.saved_tensors
        owner = ctx.owner
        memory = own[0] if own else owner.memory.value
        return _GRADIENTS[owner.type_name](grad, bottom, memory if owner.in_place else bottom, memory, owner.layer), None


class Overwritten(nn.Module):
    """A layer whose gradient reads what was written over its bottom or top. Its values are the layer's own."""

    def __init__(self, type_name: str, layer: nn.Module, memory: _Memory | None, in_place: bool) -> None:
        super().__init__()
        self.type_name, self.layer, self.memory, self.in_place = type_name, layer, memory, in_place
        if isinstance(layer, (nn.ReLU, nn.ELU)):
            layer.inplace = False

    def forward(self, bottom: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and bottom.requires_grad):
            return self.layer(bottom)
        if self.memory is not None and torch.compiler.is_compiling():  # the compiled gradient would keep the first pass's values
            raise RuntimeError(COMPILE_FAULT)
        return _OverwrittenFunction.apply(bottom, self)


def is_overwritten(net: Net, layer: Layer) -> bool:
    """Whether Caffe's gradient of the layer reads values that it or later in-place layers have changed."""
    if layer.type not in _GRADIENTS or not layer.top_blobs:
        return False
    if layer.type == "Power" and layer.message.power_param.power * layer.message.power_param.scale == 0:  # constant
        return False
    if layer.type == "LRN" and layer.message.lrn_param.norm_region:  # within a channel it is made of layers with memories of their own
        return False
    if layer.type == "MVN" and not layer.message.mvn_param.normalize_variance:  # its gradient reads no values
        return False
    if not _is_in_place(layer) and layer.type in _READ_BOTTOM:  # another blob's memory, which nobody writes over
        return False
    if _is_in_place(layer) and layer.type not in _READ_TOP and not _keeps_signs(layer):
        return True
    writers = [blob.producer for blob in _later_versions(net, layer.top_blobs[0])]
    if layer.type == "ReLU":
        writers = [w for w in writers if w.type not in _HARMLESS_AFTER_RELU or w.message.relu_param.negative_slope]
    return any(w.type != "Dropout" or w.phase == "TRAIN" for w in writers)


def _is_in_place(layer: Layer) -> bool:
    return layer.tops[:1] == layer.bottoms[:1]


def _keeps_signs(layer: Layer) -> bool:
    """Whether the top tells as well as the bottom which side of 0 a value was on."""
    p = layer.message
    return (layer.type == "ReLU" and p.relu_param.negative_slope >= 0) or (layer.type == "ELU" and p.elu_param.alpha >= 0)


def _later_versions(net: Net, blob: Blob) -> list[Blob]:
    """The versions that later layers write over a blob in place, in order."""
    later: list[Blob] = []
    while True:
        following = next((c.top_blobs[i] for c, i in blob.consumers if i < len(c.top_blobs) and c.top_blobs[i].name == blob.name), None)
        if following is None:
            return later
        later.append(following)
        blob = following


def wrap_overwritten(net: Net, layers: list[Layer], submodules: dict[Layer, nn.Module]) -> dict[Layer, nn.Module]:
    """The submodules to put in place of those whose data is overwritten."""
    memories: dict[Layer, _Memory] = {}
    wrapped: dict[Layer, nn.Module] = {}
    for layer in layers:
        if layer not in submodules or not is_overwritten(net, layer):
            continue
        versions = [layer.top_blobs[0], *_later_versions(net, layer.top_blobs[0])]
        writer = next(b.producer for b in reversed(versions) if b.producer in submodules)
        if writer is not layer:
            memory = memories.setdefault(writer, _Memory())
        elif _is_in_place(layer) and layer.type not in _READ_TOP and not _keeps_signs(layer):
            memory = None  # its own top, which it keeps
        else:
            continue  # the net is cut before it is overwritten
        wrapped[layer] = Overwritten(layer.type, submodules[layer], memory, _is_in_place(layer))
    for writer, memory in memories.items():
        wrapped.get(writer, submodules[writer]).register_forward_hook(memory)
    return wrapped
