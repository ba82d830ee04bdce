"""torch's modules without torch's own first values, which the net's fillers replace."""

from __future__ import annotations

from typing import Any

from torch import nn

_UNFILLED: dict[type[nn.Module], type[nn.Module]] = {}


def unfilled(kind: type[nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
    """A module of that class whose params hold no values yet.

    Filling AlexNet's 61 million twice would take longer than its first iteration. It is what
    torch.nn.utils.skip_init makes, without the meta device, which takes 0.2 ms a module.
    """
    if kind not in _UNFILLED:
        _UNFILLED[kind] = type(kind.__name__, (kind,), {"reset_parameters": lambda self: None})
    module = _UNFILLED[kind](*args, **kwargs)
    module.__class__ = kind
    return module
