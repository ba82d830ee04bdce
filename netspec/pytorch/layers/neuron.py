"""Element by element, with torch's own modules."""

from __future__ import annotations

from torch import nn

from netspec.graph import Layer

# Layers whose gradient does not read what they made, so that the next may write over it.
_OVERWRITABLE = frozenset(("Convolution", "Deconvolution", "InnerProduct", "BatchNorm", "Scale", "Bias"))


def may_overwrite(layer: Layer) -> bool:
    """Whether an in-place layer may really write over its bottom, which saves memory and time."""
    bottom = layer.bottom_blobs[0]
    producer = bottom.producer
    counted = producer.loss_weights[bottom.top_index] if bottom.version >= 0 else 1.0
    return (
        layer.tops[0] == bottom.name
        and producer.type in _OVERWRITABLE
        and bottom.consumers == [(layer, 0)]
        and not counted
        and not (producer.type == "Scale" and len(producer.bottom_blobs) > 1)
    )


def build_relu(layer: Layer) -> nn.Module:
    slope = layer.message.relu_param.negative_slope
    if slope:
        return nn.LeakyReLU(slope)
    return nn.ReLU(inplace=may_overwrite(layer))


def build_dropout(layer: Layer) -> nn.Module | None:
    """In TEST a Dropout is not there at all."""
    return nn.Dropout(layer.message.dropout_param.dropout_ratio) if layer.phase == "TRAIN" else None


BUILDERS = {
    "ReLU": build_relu,
    "Sigmoid": lambda layer: nn.Sigmoid(),
    "TanH": lambda layer: nn.Tanh(),
    "Dropout": build_dropout,
}
