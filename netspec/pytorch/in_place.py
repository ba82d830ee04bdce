"""In-place layers that really write over their bottom, which saves memory and time."""

from __future__ import annotations

from torch import nn

from netspec.graph import Layer
from netspec.pytorch.layers import find_builder


def write_in_place(layer: Layer, module: nn.Module) -> None:
    """Lets an activation write over its bottom where nothing else reads that.

    In place torch's ELU distinguishes the sides by the result, which a negative alpha does not
    allow.
    """
    if isinstance(module, (nn.ReLU, nn.ReLU6)) or (
        isinstance(module, nn.ELU) and module.alpha >= 0
    ):
        module.inplace = _is_free(layer)


def _is_free(layer: Layer) -> bool:
    bottom = layer.bottom_blobs[0]
    producer = bottom.producer
    if layer.tops[0] != bottom.name or bottom.version < 0 or bottom.consumers != [(layer, 0)]:
        return False
    if producer.loss_weights[bottom.top_index] or not producer.bottom_blobs:
        return False
    return find_builder(producer).leaves_top(producer)
