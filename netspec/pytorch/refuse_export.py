"""Refuses torch.export where a layer's output has no shape that its inputs give."""

from __future__ import annotations

import torch

from netspec.diagnostics import NetspecError, Span


def refuse_export(message: str, span: Span | None) -> None:
    """Raises what is wrong where torch.export is tracing; torch.compile may go on.

    In its strict mode torch.export traces as torch.compile does, and stops where the layer leaves
    compiled code.

    Raises:
        NetspecError: the message, at the layer's span.
    """
    # is_exporting would not do: torch.compile of torch 2.7 and 2.8 takes it to be true as well
    if torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling():
        raise NetspecError(message, span, "cut the net at its bottoms: outputs=[…]")
