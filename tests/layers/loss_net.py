"""The nets of the loss tests."""

from __future__ import annotations


def net_text(layer: str, **shapes: tuple[int, ...]) -> str:
    """Inputs of these shapes, one a line, and a loss layer below that reads them."""
    lines = [
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {" ".join(f"dim: {d}" for d in shape)} }} }} }}'
        for name, shape in shapes.items()
    ]
    bottoms = " ".join(f'bottom: "{name}"' for name in shapes)
    return "\n".join([*lines, f'layer {{ name: "l" {bottoms} {layer} }}\n'])
