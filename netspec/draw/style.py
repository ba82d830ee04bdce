"""What a drawing shows of each layer type, and in which colours.

This module holds the tables, and the few rules that no table can express.
"""

from __future__ import annotations

from typing import NamedTuple

from netspec.graph import Layer
from netspec.layers import find_spec
from netspec.syntax.scalar_value import float_text


class Colours(NamedTuple):
    """A family's colours: a pale fill that dark text reads well on, and a line of the same hue."""

    fill: str
    line: str


PALETTE = {
    "data": Colours("#e2e8f0", "#64748b"),
    "convolution": Colours("#d6e6fa", "#3b78bd"),
    "pooling": Colours("#fde8c8", "#d08a2c"),
    "normalization": Colours("#d2efeb", "#2a8c80"),
    "inner_product": Colours("#e8dcf8", "#8259bd"),
    "neuron": Colours("#e0f2d8", "#649f48"),
    "recurrent": Colours("#dfe1fb", "#5d61c4"),
    "loss": Colours("#fbdcdc", "#c4504f"),
    "python": Colours("#fdf3c0", "#a98f1f"),
    "shape": Colours("#eeece8", "#8a8478"),
}
PALETTE |= {
    "image_data": PALETTE["data"],
    "arithmetic": PALETTE["normalization"],
    "regression_loss": PALETTE["loss"],
    "selection": PALETTE["shape"],
}


def family(layer_type: str) -> str:
    """The family of a layer type: a row of PALETTE.

    >>> family("Convolution"), family("Concat")
    ('convolution', 'shape')
    """
    spec = find_spec(layer_type)
    return spec.family if spec is not None and spec.family in PALETTE else "shape"


def settings(layer: Layer) -> list[str]:
    """The settings of a layer that matter to a reader, each a few words."""
    message = layer.message
    spec = find_spec(layer.spec_name)
    shown = spec.settings(layer) if spec is not None else []
    weights = [
        float_text(w)
        for w, top in zip(layer.loss_weights, layer.top_blobs, strict=False)
        if message.loss_weight and w != 1
    ]
    if any(weight != "0" for weight in weights):
        shown.append("loss weight " + ", ".join(weights))
    return shown


def count_text(count: int) -> str:
    """A count that a glance takes in: exact while it is short, then in three digits.

    >>> [count_text(n) for n in (520, 9472, 34944, 999999, 37752832)]
    ['520', '9,472', '34.9 k', '1 M', '37.8 M']
    """
    if count < 10_000:
        return f"{count:,}"
    value, unit = float(count), ""
    for bigger in ("k", "M", "G", "T"):
        if value < 999.5:
            break
        value, unit = value / 1000, bigger
    return f"{value:.3g} {unit}".strip()
