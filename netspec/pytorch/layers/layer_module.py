"""The base class of the modules that netspec lowers layers to."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn


class LayerModule(nn.Module):
    """A module that knows what it was made with, so that a file can make it again."""

    def __new__(cls, *args: Any, **kwargs: Any) -> LayerModule:
        module = super().__new__(cls)
        # nn.Module's own attributes are not there before its __init__
        module.__dict__["made_with"] = (args, kwargs)
        return module

    def arguments(self) -> dict[str, Any]:
        """What the constructor was called with, by the names of its parameters."""
        args, kwargs = self.__dict__["made_with"]
        return inspect.signature(type(self)).bind(*args, **kwargs).arguments
