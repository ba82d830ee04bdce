"""Layers that a format can't hold."""

from __future__ import annotations

from netspec.diagnostics import NetspecError
from netspec.graph import Layer

# types that a Python file can't hold, and why
NOT_IN_PYTHON = {
    "HDF5Output": "a file that imports torch alone can't write HDF5",
    "Python": "its code is a file of its own",
}


def not_exported(
    layer: Layer, reason: str, *path: str | int, hint: str | None = None
) -> NetspecError:
    """What to raise for a layer that can't be exported: at a field, or at its type."""
    message = f"{layer.label} of type {layer.type} can't be exported: {reason}"
    return NetspecError(message, layer.spans.at(*(path or ("type",))), hint)


def out_of_half(layer: Layer, what: str) -> NetspecError:
    """What to raise for a param or constant whose values half precision can't hold."""
    reason = f"values of '{what}' are out of range of half precision, at most 65504"
    return not_exported(layer, reason, hint="export it without half precision")
