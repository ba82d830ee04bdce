"""The base class of the modules that netspec lowers layers to."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn


class LayerModule(nn.Module):
    """A module that knows what it was made with, so that a file can make it again.

    With `breaks_graph` torch.compile leaves the class's forward alone.
    """

    breaks_graph = False

    def __new__(cls, *args: Any, **kwargs: Any) -> LayerModule:
        if cls.breaks_graph:
            # here and not by a decorator, which would import torch._dynamo with this package:
            # that takes as long as torch itself
            cls.forward = torch.compiler.disable(cls.forward)
            cls.breaks_graph = False
        module = super().__new__(cls)
        # nn.Module's own attributes are not there before its __init__
        module.__dict__["made_with"] = (args, kwargs)
        return module

    def arguments(self) -> dict[str, Any]:
        """What the constructor was called with, by the names of its parameters."""
        args, kwargs = self.__dict__["made_with"]
        return inspect.signature(type(self)).bind(*args, **kwargs).arguments
