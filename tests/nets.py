"""The small nets of the tests: inputs of given shapes, and one layer that reads them."""

from __future__ import annotations

Shape = tuple[int, ...]


def input_text(name: str, shape: Shape) -> str:
    """An Input layer with a top of its name, in a line without its end."""
    dims = " ".join(f"dim: {dim}" for dim in shape)
    return (
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {dims} }} }} }}"
    )


def net_text(layer: str, force_backward: bool = False, **shapes: Shape) -> str:
    """Inputs of these names and shapes, one a line, and below them the layer 'l' that reads them.

    Args:
        layer: the rest of the layer: its type, tops and fields.
        force_backward: gives every bottom a gradient, in a line before the inputs.
    """
    bottoms = " ".join(f'bottom: "{name}"' for name in shapes)
    lines = [input_text(name, shape) for name, shape in shapes.items()]
    first = ["force_backward: true"] if force_backward else []
    return "\n".join([*first, *lines, f'layer {{ name: "l" {bottoms} {layer} }}\n'])
