"""Python layers: a user's forward and backward on numpy arrays, inside PyTorch's autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.layers.python import HOW_TO_ALLOW
from netspec.layers.python_object import Instance
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule


class _Pass(torch.autograd.Function):
    """One forward pass of a Python layer and its backward.

    The arguments are the module, the number of bottoms, the bottoms, and the params.
    """

    @staticmethod
    def forward(ctx: Any, owner: PythonLayer, bottoms: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.owner, ctx.bottoms = owner, bottoms
        ctx.tensors = [(tensor.device, tensor.dtype) for tensor in tensors]
        tops = owner.compute(tensors[:bottoms], tensors[bottoms:])
        ctx.number = owner.passes
        return tops

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.number != ctx.owner.passes:
            message = (
                f"{ctx.owner.instance.layer.label} ran forward again before "
                "the backward pass of an earlier one"
            )
            hint = "a Python layer keeps what it knows of one pass, as in Caffe"
            raise NetspecError(message, ctx.owner.instance.layer.spans.at("type"), hint)
        needed = ctx.needs_input_grad[2:]
        diffs = ctx.owner.differentiate(grads, list(needed[: ctx.bottoms]))
        made = [
            torch.from_numpy(diff).to(*kind) if need else None
            for diff, kind, need in zip(diffs, ctx.tensors, needed, strict=True)
        ]
        return None, None, *made


class PythonLayer(LayerModule):
    """Runs the object of a user's class, which is its `layer`.

    torch.compile breaks its graph here.
    """

    breaks_graph = True
    _is_impure = True  # torch.fx keeps the call of a layer without tops
    place: Tensor

    def __init__(self, instance: Instance) -> None:
        super().__init__()
        self.instance = instance
        self.passes = 0
        for i, blob in enumerate(instance.blobs):
            self.register_parameter(f"blob{i}", nn.Parameter(torch.from_numpy(blob.data.copy())))
        # moves with the module, to say where the tops of a layer without bottoms go
        self.register_buffer("place", torch.empty(0), persistent=False)

    @property
    def layer(self) -> Any:
        """The user's object."""
        return self.instance.object

    def extra_repr(self) -> str:
        p = self.instance.layer.message.python_param
        return f"{p.module}.{p.layer}"

    def blobs(self) -> list[Tensor]:
        return [getattr(self, f"blob{i}") for i in range(len(self.instance.blobs))]

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...] | None:
        if not self.instance.tops:  # autograd has nothing to do with it
            self.compute(bottoms, self.blobs())
            return None
        tops = _Pass.apply(self, len(bottoms), *bottoms, *self.blobs())
        return tops[0] if len(tops) == 1 else tops

    def compute(
        self, bottoms: tuple[Tensor, ...], params: tuple[Tensor, ...] | list[Tensor]
    ) -> tuple[Tensor, ...]:
        """Runs the user's reshape and forward, as Caffe does in each forward pass."""
        instance = self.instance
        self.passes += 1
        for blob, bottom in zip(instance.bottoms, bottoms, strict=True):
            array = _array(bottom)
            blob.hold(array.copy() if any(blob is top for top in instance.tops) else array)
        for blob, param in zip(instance.blobs, params, strict=True):
            blob.hold(_array(param))
        instance.reshape()
        instance.call("forward", instance.bottoms, instance.tops)
        like = bottoms[0] if bottoms else self.place
        dtype = like.dtype if like.is_floating_point() else torch.float32
        # copies: the user's code finds the values of its last pass in its tops, and may change them
        # in the next
        return tuple(
            torch.from_numpy(blob.data.copy()).to(like.device, dtype) for blob in instance.tops
        )

    def differentiate(
        self, grads: tuple[Tensor, ...], propagate_down: list[bool]
    ) -> list[NDArray[Any]]:
        """Runs the user's backward. Returns the diffs of the bottoms and of the params."""
        instance = self.instance
        for blob in [*instance.bottoms, *instance.blobs]:
            blob.hold_diff(None)  # params add to their diff, bottoms overwrite theirs
        for blob, grad in zip(instance.tops, grads, strict=True):
            blob.hold_diff(np.array(_array(grad)))
        instance.call("backward", instance.tops, propagate_down, instance.bottoms)
        return [blob.diff for blob in [*instance.bottoms, *instance.blobs]]


def _array(tensor: Tensor) -> NDArray[Any]:
    """The values as the layer reads them; on the CPU the tensor's own memory."""
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()


def build_python(layer: Layer) -> nn.Module:
    if layer.prepared is None:
        p = layer.message.python_param
        message = (
            f"{layer.label} would run the Python code of '{p.module}.{p.layer}', "
            "which is not allowed"
        )
        raise NetspecError(message, layer.spans.at("type"), HOW_TO_ALLOW)
    return PythonLayer(layer.prepared.take())


BUILDERS = {"Python": Builder(build_python)}
