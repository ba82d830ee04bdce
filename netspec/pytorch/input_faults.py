"""What is wrong with the arguments of a compiled module.

It is looked for only after the module's forward pass has failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from netspec.diagnostics import NetspecError, counted
from netspec.graph import shape_text, shape_with_axes
from netspec.hint import did_you_mean

if TYPE_CHECKING:
    from netspec.pytorch.module import About

# what torch says of values of another type
_ABOUT_TYPES = re.compile(r"type|not implemented for", re.IGNORECASE)


def input_fault(
    about: About, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> NetspecError | None:
    """The first argument that no forward pass takes.

    Its name is unknown, it is one too many or missing, or it is no tensor.
    """
    names = about.input_names
    if len(args) > len(names):
        return NetspecError(
            f"the module takes {counted(len(names), 'input')}, got {len(args)}",
            None,
            _inputs(about),
        )
    by_argument = dict(zip(about.arguments, names, strict=True))
    named = {by_argument.get(name, name): value for name, value in kwargs.items()}
    for name in named:
        if name not in names:
            return NetspecError(
                f"the module has no input '{name}'",
                None,
                did_you_mean(name, names) or _inputs(about),
            )
        if name in names[: len(args)]:
            return NetspecError(f"the input '{name}' is given by its position and by its name")
    given = {**dict(zip(names, args, strict=False)), **named}
    for name in names:
        if name not in given:
            return NetspecError(
                f"the input '{name}' is missing",
                None,
                f"the module takes {', '.join(_declared(about, each) for each in names)}",
            )
        if not isinstance(given[name], (Tensor, fx.Proxy)):
            kind = type(given[name])
            hint = (
                "torch.from_numpy(array) makes one"
                if kind.__module__ == "numpy"
                else "torch.tensor(values) makes one"
            )
            return NetspecError(
                f"the input {_declared(about, name)} takes a tensor, got {kind.__name__}",
                None,
                hint,
            )
    return None


def input_notes(
    about: About,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    params: Sequence[Tensor],
    error: Exception,
) -> Iterator[str]:
    """Where a failed pass's tensors are other than the net declares, in shape, type or device."""
    by_argument = dict(zip(about.arguments, about.input_names, strict=True))
    given = {
        **dict(zip(about.input_names, args, strict=False)),
        **{by_argument.get(name, name): value for name, value in kwargs.items()},
    }
    reference = next(iter(params), None)
    for name, value in given.items():
        shape = about.input_shapes.get(name)
        if reference is not None and value.device != reference.device:
            yield (
                f"the input '{name}' is on {value.device}, the module's params on "
                f"{reference.device}"
            )
        elif (
            reference is not None
            and value.dtype != reference.dtype
            and _ABOUT_TYPES.search(str(error))
        ):
            yield (
                f"the input '{name}' is of type {value.dtype}, the module's params are "
                f"{reference.dtype}"
            )
        elif shape is not None and tuple(value.shape) != shape:
            yield (
                f"the input '{name}' is {shape_text(tuple(value.shape))}, the net declares "
                f"{shape_with_axes(shape)}"
            )


def _inputs(about: About) -> str | None:
    return (
        f"its inputs are {', '.join(_declared(about, name) for name in about.input_names)}"
        if about.input_names
        else "it has no inputs"
    )


def _declared(about: About, name: str) -> str:
    """An input and its shape: 'data' (10×3×227×227)."""
    return (
        f"'{name}' ({shape_text(about.input_shapes[name])})"
        if name in about.input_shapes
        else f"'{name}'"
    )


def is_about_memory(error: Exception) -> bool:
    """Whether a pass has failed for want of memory, whatever its inputs."""
    return isinstance(error, torch.OutOfMemoryError) or "memory" in str(error)
