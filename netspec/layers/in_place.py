"""Layers in place whose gradient reads memory that Caffe has overwritten."""

from __future__ import annotations

from netspec.graph import Layer
from netspec.layers.layer_context import LayerContext


def warn_in_place(context: LayerContext) -> None:
    """Warns where params are learned through an in-place layer whose gradient is not theirs.

    Caffe takes it from memory it has written over.

    netspec gives Caffe's numbers here too (netspec/pytorch/overwritten.py).
    """
    layer = context.layer
    if layer.phase != "TRAIN" or layer.tops[0] != layer.bottoms[0] or not _follows_params(layer):
        return
    message = (
        f"{layer.label}: {layer.type} in place passes a wrong gradient down, in Caffe as here: "
        "it reads memory that it has overwritten"
    )
    context.report.warning(message, layer.spans.at("top", 0), "give its top a name of its own")


def _follows_params(layer: Layer) -> bool:
    """Whether a gradient through the layer would reach params that are learned."""
    above, seen = [layer], {layer}
    while above:
        for blob in above.pop().bottom_blobs:
            if any(param.lr_mult for param in blob.producer.params):
                return True
            if blob.producer not in seen:
                seen.add(blob.producer)
                above.append(blob.producer)
    return False
