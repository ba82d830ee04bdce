"""The ways of activation checkpointing."""

from __future__ import annotations

from netspec.diagnostics import NetspecError

CHECKPOINTS = ("none", "auto")


def require_checkpoint(checkpoint: str, compile: bool) -> None:
    """Raises NetspecError where a way of activation checkpointing does not exist, or can't be."""
    if checkpoint not in CHECKPOINTS:
        raise NetspecError(f"'checkpoint' is {' or '.join(CHECKPOINTS)}, got '{checkpoint}'")
    if compile and checkpoint != "none":
        message = "--compile and --checkpoint exclude each other"
        hint = "torch.compile chooses by itself what the backward pass computes again"
        raise NetspecError(message, None, hint)
