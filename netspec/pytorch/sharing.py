"""Params that several layers share by name are one tensor.

Statistics, and where only the counts agree, are a view of it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Shape, shape_text
from netspec.pytorch.module import NetModule, blobs_of


def share_param(
    module: nn.Module, index: int, owner: nn.Module, owner_index: int, shape: Shape
) -> None:
    """Makes a module's param the owner's."""
    shared = blobs_of(owner)[owner_index]
    name = next(name for name, value in _tensors(module) if value is blobs_of(module)[index])
    holder, _, leaf = name.rpartition(".")
    module = module.get_submodule(holder)
    if leaf in module._parameters and tuple(shared.shape) == tuple(shape):
        setattr(module, leaf, shared)
        return

    (module._parameters if leaf in module._parameters else module._buffers).pop(leaf)
    before = getattr(module, "shared_views", {})
    kind = type(module).__bases__[0] if before else type(module)
    views = {**before, leaf: (owner, owner_index, shape)}
    module.shared_views = views  # type: ignore[assignment]
    # as torch.nn.utils.parametrize does, but under the names that the state_dict has without it
    module.__class__ = _viewing(kind, tuple(views))


def _viewing(kind: type[nn.Module], leaves: tuple[str, ...]) -> type[nn.Module]:
    """A type of module whose tensors of these names are views of other modules' params.

    A view is made anew at each use, so that it follows the owner to other devices. The owner stands
    in the module: that of a copy is the copied one.
    """

    def reduced(self: nn.Module, protocol: object) -> tuple[object, ...]:
        return _restored, (kind, leaves), self.__dict__

    names: dict[str, object] = {leaf: _view(leaf) for leaf in leaves}
    return type(kind.__name__, (kind,), {**names, "__reduce_ex__": reduced})


def _view(leaf: str) -> property:
    def read(module: nn.Module) -> Tensor:
        views: Any = module.shared_views
        owner, index, shape = views[leaf]
        return blobs_of(owner)[index].view(shape)

    return property(read)


def _restored(kind: type[nn.Module], leaves: tuple[str, ...]) -> nn.Module:
    """An empty module for pickle and copy, which fill it."""
    viewing = _viewing(kind, leaves)
    return viewing.__new__(viewing)


def tie_params(module: NetModule, other: NetModule) -> None:
    """Gives a net's layers the very params of another net's layers of their names.

    A test net shares the train net's so.

    Raises: NetspecError where a layer of one name has another shape.
    """
    theirs = _by_name(other)
    for (layer, occurrence), submodule in _by_name(module).items():
        source_module = theirs.get((layer, occurrence))
        counts = [len(blobs_of(holder)) for holder in (source_module, submodule) if holder]
        if len(set(counts)) > 1:
            message = (
                f"layer '{layer}' has {counts[0]} params in the train net, "
                f"{counts[1]} in the test net"
            )
            raise NetspecError(message, None, "layers of one name share their params")
        for i, (blob, source) in enumerate(
            zip(blobs_of(submodule), blobs_of(source_module) if source_module else (), strict=False)
        ):
            if blob.shape != source.shape:
                shapes = (
                    f"{shape_text(tuple(source.shape))} in the train net, "
                    f"{shape_text(tuple(blob.shape))} in the test net"
                )
                raise NetspecError(
                    f"param {i} of layer '{layer}' is {shapes}",
                    None,
                    "layers of one name share their params",
                )
            name = next((name for name, value in _tensors(submodule) if value is blob), None)
            if name is not None:  # a view of a shared param follows its owner by itself
                holder, _, leaf = name.rpartition(".")
                setattr(submodule.get_submodule(holder), leaf, source)


def _by_name(module: NetModule) -> dict[tuple[str, int], nn.Module]:
    """The submodules with params by their layer's name and its occurrence.

    Layers may share a name, or have none.
    """
    found: dict[tuple[str, int], nn.Module] = {}
    occurrences: Counter[str] = Counter()
    for (name, _, _, _), target, blobs in zip(
        module.about.layers, module.about.order, module.layer_params, strict=True
    ):
        if blobs:
            found[name, occurrences[name]] = module.get_submodule(target)
            occurrences[name] += 1
    return found


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]
