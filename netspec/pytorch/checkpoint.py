"""Segments of a net that are computed again in the backward pass: activation checkpointing.

The second pass is the first once more: it draws the same random numbers, reads the statistics and
states that the first one read, and leaves those of after it alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from netspec.graph import Layer, Net
from netspec.layers import find_spec
from netspec.passes.checkpoint_segments import acts
from netspec.pytorch.layers import is_built_here
from netspec.pytorch.layers.python import PythonLayer
from netspec.pytorch.overwritten import KeepsOverwritten, Overwritten


class Segment(nn.Module):
    """Some layers in a row, as one module that keeps its inputs alone."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self._owners = _with_buffers(body)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = checkpoint(
            self.body, *inputs, use_reentrant=False, context_fn=self._contexts
        )
        return outputs

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        replay = _Replay(self._owners)
        return replay.first(), replay.second()


class _Replay:
    """The buffers that a forward pass changes, as they were before it, for the one that repeats it.

    They are statistics, counts and carried states.
    """

    def __init__(self, owners: list[nn.Module]) -> None:
        self._owners = owners
        self._before: list[tuple[dict[str, Any], str, Tensor]] = []

    @contextmanager
    def first(self) -> Iterator[None]:
        held = [
            (owner._buffers, name, buffer, _version(buffer), buffer.clone())
            for owner in self._owners
            for name, buffer in owner._buffers.items()
            if buffer is not None
        ]
        try:
            yield
        finally:
            for buffers, name, buffer, version, copy in held:
                if buffers[name] is not buffer or _version(buffer) != version:
                    self._before.append((buffers, name, copy))

    @contextmanager
    def second(self) -> Iterator[None]:
        after = [(buffers, name, buffers[name]) for buffers, name, _ in self._before]
        for buffers, name, copy in self._before:
            buffers[name] = copy.clone()
        try:
            yield
        finally:  # also where the pass ends early, when all is there that the gradients read
            for buffers, name, value in after:
                buffers[name] = value


def _version(buffer: Tensor) -> int:
    return 0 if buffer.is_inference() else buffer._version  # which nothing can write to


def _with_buffers(body: nn.Module) -> list[nn.Module]:
    """The modules whose buffers the layers change: their own, and those that they share."""
    modules = list(body.modules())
    for module in body.modules():
        views: dict[str, Any] = getattr(module, "shared_views", {})
        modules += [owner for owner, *_ in views.values()]
    return [module for module in dict.fromkeys(modules) if module._buffers]


def not_repeatable(net: Net, submodules: dict[Layer, nn.Module]) -> set[Layer]:
    """The layers that can't be computed twice in an iteration.

    These are those that run a user's code, write files or their own params, those that share such
    params, and those whose values a later layer writes over where their gradient reads them.
    """
    params = {
        _key(layer, i)
        for layer in net.layers
        if layer.type == "Parameter" or _acts(layer)
        for i in range(len(layer.params))
    }
    return {
        layer
        for layer in net.layers
        if _acts(layer)
        or (layer in submodules and _is_watched(submodules[layer]))
        or params & {_key(layer, i) for i in range(len(layer.params))}
    }


def _key(layer: Layer, index: int) -> object:
    """The same for params that share their values."""
    param = layer.params[index]
    return param.name or param.owner or (layer.name, index)


def _acts(layer: Layer) -> bool:
    """Whether a layer's pass may do something beside giving its tops.

    netspec knows of what it builds itself; a plugin may do anything.
    """
    spec = find_spec(layer.spec_name)
    if spec is None or acts(layer):
        return True
    if spec.is_source or not layer.top_blobs:  # nothing is built
        return False
    return not is_built_here(layer)


def _is_watched(module: nn.Module) -> bool:
    kinds = (KeepsOverwritten, Overwritten, PythonLayer)
    return isinstance(module, kinds) or bool(module._forward_hooks)
