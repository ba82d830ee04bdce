"""Params that several layers share by name are one tensor; where only the counts agree, a view of it."""

from __future__ import annotations

from torch import Tensor, nn

from netspec.graph import Shape
from netspec.pytorch.module import blobs_of


def share_param(module: nn.Module, index: int, owner: nn.Module, owner_index: int, shape: Shape) -> None:
    """Makes a module's param the owner's."""
    shared = blobs_of(owner)[owner_index]
    name = next(name for name, value in module.named_parameters() if value is blobs_of(module)[index])
    holder, _, leaf = name.rpartition(".")
    module = module.get_submodule(holder)
    if tuple(shared.shape) == tuple(shape):
        setattr(module, leaf, shared)
        return

    def view(_: nn.Module) -> Tensor:  # PERMISSIVE: made anew at each use, so that it follows the owner to other devices
        return blobs_of(owner)[owner_index].view(shape)

    del module._parameters[leaf]
    module.__class__ = type(type(module).__name__, (type(module),), {leaf: property(view)})
