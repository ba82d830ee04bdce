"""What torch.compile leaves to Python: methods that read values, write files or run user's code."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from torch._compile import _disable_dynamo

_P = ParamSpec("_P")
_R = TypeVar("_R")


def not_compiled(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """As `torch.compiler.disable`, at which torch.compile breaks its graph.

    That imports torch._dynamo where it decorates, which takes longer than importing torch, and
    would for every net. torch's own modules take this decorator for it, which imports it at the
    first call.
    """
    return _disable_dynamo(method)
