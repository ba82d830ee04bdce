"""ReLU layers before a max pooling, which PyTorch computes behind it in a training step.

max(0, x) keeps the order of values, so both ways give the same maxima and the same gradients, and
behind the pooling there are fewer values.
"""

from __future__ import annotations

from netspec.graph import Layer, Net
from netspec.layers import find_spec
from netspec.layers.pooling import rounds_up, torch_pools
from netspec.layers.window import window_of
from netspec.schema.caffe_pb2 import PoolingParameter


def pooled_relu(net: Net) -> dict[Layer, Layer]:
    """Of each max pooling that alone reads a ReLU's top, the ReLU."""
    shown = {net.blob(name) for name in net.outputs}
    found = {}
    for layer in net.layers:
        if layer.spec_name != "Pooling" or not _is_plain_max(layer):
            continue
        between = layer.bottom_blobs[0]
        if (
            [reader for reader, _ in between.consumers if _is_computed(reader)] == [layer]
            and between not in shown
            and between.overwritten_by(layer.bottom_writes[0]) is None
            and _is_plain_relu(between.producer)
        ):
            found[layer] = between.producer
    return found


def _is_computed(layer: Layer) -> bool:
    """Whether the layer reads its bottoms' values: a Silence is not built."""
    spec = find_spec(layer.spec_name)
    return bool(layer.top_blobs) or spec is None or spec.has_side_effects


def _is_plain_max(layer: Layer) -> bool:
    p = layer.message.pooling_param
    is_max = p.pool == PoolingParameter.MAX and not p.global_pooling
    return is_max and len(layer.top_blobs) == 1 and torch_pools(window_of(p, 2), rounds_up(p))


def _is_plain_relu(layer: Layer) -> bool:
    is_relu = layer.spec_name == "ReLU" and not layer.message.relu_param.negative_slope
    return is_relu and not any(layer.loss_weights)
