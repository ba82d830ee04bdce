"""BatchNorm layers whose top one Scale layer reads: PyTorch computes the two as one.

The two apart keep both of their bottoms for the gradient, as one the first alone.
"""

from __future__ import annotations

from netspec.graph import Layer, Net


def scaled_batch_norm(net: Net) -> dict[Layer, Layer]:
    """Of each Scale layer that can be computed with a BatchNorm layer, that one.

    Both go along the channels, BatchNorm by the batch's own statistics, and nothing else sees the
    values between them.
    """
    shown = {net.blob(name) for name in net.outputs}
    found = {}
    for layer in net.layers:
        if layer.spec_name != "Scale" or len(layer.bottom_blobs) != 1:
            continue
        between = layer.bottom_blobs[0]
        if (
            between.consumers == [(layer, 0)]
            and between not in shown
            and between.overwritten_by(layer.bottom_writes[0]) is None
            and _normalises_by_batch(between.producer)
            and _scales_channels(layer)
        ):
            found[layer] = between.producer
    return found


def _normalises_by_batch(layer: Layer) -> bool:
    is_fixed = layer.phase == "TEST" or layer.message.batch_norm_param.use_global_stats
    return layer.spec_name == "BatchNorm" and not is_fixed and not any(layer.loss_weights)


def _scales_channels(layer: Layer) -> bool:
    shape = layer.bottom_blobs[0].shape or ()
    along = layer.message.scale_param.axis % max(1, len(shape)) == 1
    return len(shape) > 1 and along and len(layer.params[0].shape) == 1
