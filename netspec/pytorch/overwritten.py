"""Gradients of layers whose data a later in-place layer has overwritten, as Caffe computes them.

In Caffe the layers of an in-place chain share one memory. A layer that reads its bottom or top in the backward
pass finds there what the last of the chain wrote: after conv → ReLU → Scale, ReLU's gradient passes where the
*scaled* values are positive. Nets trained that way have such gradients in their weights, so they are kept.
A layer with its own copy (BatchNorm, Scale, Dropout's mask) is not concerned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from netspec.graph import Blob, Layer, Net
from netspec.pytorch.layers.normalization import LRN, across_channels_gradient

# (gradient of the top, the bottom as it was, what stands in the shared memory, the layer) → gradient of the bottom
Gradient = Callable[[Tensor, Tensor, Tensor, nn.Module], Tensor]


def _relu(grad: Tensor, bottom: Tensor, final: Tensor, module: nn.Module) -> Tensor:
    slope = getattr(module, "negative_slope", 0.0)
    return torch.where(final > 0, grad, grad * slope)


def _softmax(grad: Tensor, bottom: Tensor, final: Tensor, module: nn.Module) -> Tensor:
    assert isinstance(module, nn.Softmax)
    return final * (grad - (grad * final).sum(module.dim, keepdim=True))


def _lrn(grad: Tensor, bottom: Tensor, final: Tensor, module: nn.Module) -> Tensor:
    assert isinstance(module, LRN)
    return across_channels_gradient(grad, bottom, final, module.size, module.alpha, module.beta, module.k)


_GRADIENTS: dict[str, Gradient] = {
    "ReLU": _relu,
    "Sigmoid": lambda grad, bottom, final, module: grad * final * (1 - final),
    "TanH": lambda grad, bottom, final, module: grad * (1 - final * final),
    "AbsVal": lambda grad, bottom, final, module: grad * final.sign(),
    "Softmax": _softmax,
    "LRN": _lrn,
}
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
        ctx.save_for_backward(bottom)
        ctx.owner = owner
        return owner.layer(bottom)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (bottom,) = ctx.saved_tensors
        owner = ctx.owner
        return _GRADIENTS[owner.type_name](grad, bottom, owner.memory.value, owner.layer), None


class Overwritten(nn.Module):
    """A layer whose gradient reads what a later layer wrote over its top. Its values are the layer's own."""

    def __init__(self, type_name: str, layer: nn.Module, memory: _Memory) -> None:
        super().__init__()
        self.type_name, self.layer, self.memory = type_name, layer, memory
        if isinstance(layer, nn.ReLU):
            layer.inplace = False

    def forward(self, bottom: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and bottom.requires_grad):
            return self.layer(bottom)
        return _OverwrittenFunction.apply(bottom, self)


def is_overwritten(net: Net, layer: Layer) -> bool:
    """Whether Caffe's gradient of the layer reads values that later in-place layers have changed."""
    if layer.type not in _GRADIENTS or not layer.top_blobs:
        return False
    if layer.type == "LRN" and layer.message.lrn_param.norm_region:  # within a channel it is made of layers with memories of their own
        return False
    writers = [blob.producer for blob in _later_versions(net, layer.top_blobs[0])]
    if layer.type == "ReLU":
        writers = [w for w in writers if w.type not in _HARMLESS_AFTER_RELU or w.message.relu_param.negative_slope]
    return any(w.type != "Dropout" or w.phase == "TRAIN" for w in writers)


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
        writer = next((b.producer for b in reversed(_later_versions(net, layer.top_blobs[0])) if b.producer in submodules), None)
        if writer is None:  # the net is cut before it is overwritten
            continue
        if writer not in memories:
            memories[writer] = _Memory()
            submodules[writer].register_forward_hook(memories[writer])
        wrapped[layer] = Overwritten(layer.type, submodules[layer], memories[writer])
    return wrapped
