"""The deploy net of a training net: data become Input, losses what they are in inference.

What only labels lead to goes, and so do metrics, Silence and the rules for phases.
"""

from __future__ import annotations

from typing import Any

from netspec.diagnostics import NetspecError
from netspec.graph import Blob, Layer, Net
from netspec.layers import find_spec
from netspec.schema import caffe_pb2
from netspec.syntax.bind import Spans
from netspec.syntax.scalar_value import printable

# What a loss computes of its first bottom before it compares it with the labels.
COUNTERPARTS = {
    "SoftmaxWithLoss": "Softmax",
    "InfogainLoss": "Softmax",
    "SigmoidCrossEntropyLoss": "Sigmoid",
}
# what a preprocess record says: of transform_param, and of image_data_param
TRANSFORM_FIELDS = (
    *("crop_size", "crop_h", "crop_w", "mean_file", "mean_value", "scale"),
    *("force_color", "force_gray", "resize_param"),
)
SIZE_FIELDS = ("new_height", "new_width")
_DROPPED_FIELDS = ("include", "exclude", "loss_weight", "propagate_down", "phase")


def deploy(message: caffe_pb2.NetParameter, spans: Spans, net: Net) -> list[str]:
    """Makes the message of a file the deploy net's, in place; each layer keeps its places.

    A loss that counts less than another is an auxiliary one: it goes, with what leads to it alone.

    Args: net: the file's net for phase TEST, with its shapes.
    Returns: the names of the auxiliary losses.
    Raises: NetspecError where nothing would be left, or a data layer's shape is not known.
    """
    auxiliary = _auxiliary(net)
    used = _used(net, auxiliary)
    kept = [layer for layer in net.layers if layer not in auxiliary and _stays(layer, used)]
    if not kept:
        raise NetspecError(f"the net '{net.name}' has no layer that inference needs")
    names = {name for layer in kept for name in (layer.name, *layer.tops)}
    layers = [_deployed(layer, used, names) for layer in kept]
    del message.layer[:]
    message.layer.extend(layers)
    spans.fields["layer"] = [layer.spans for layer in kept]
    message.ClearField("state")
    message.ClearField("force_backward")
    return [layer.name for layer in auxiliary]


def _auxiliary(net: Net) -> list[Layer]:
    """The losses with a counterpart that count less than another."""
    losses = [layer for layer in net.layers if layer.type in COUNTERPARTS and layer.loss_weights]
    most = max((layer.loss_weights[0] for layer in losses), default=0)
    return [layer for layer in losses if layer.loss_weights[0] < most]


def preprocessing(layer: Layer) -> str:
    """What a data layer does to its images, for a comment of the Input layer in its place.

    `netspec/readers/preprocess.py` reads it.
    """
    transform, image = layer.message.transform_param, layer.message.image_data_param
    parts = [
        text
        for message, names in ((image, SIZE_FIELDS), (transform, TRANSFORM_FIELDS))
        for field, value in message.ListFields()
        if field.name in names
        for text in _texts(field, value)
    ]
    return f"netspec: preprocess {{ {' '.join(parts)} }}" if parts else ""


def _texts(field: Any, value: Any) -> list[str]:
    """A stated field as text, one for each of its values."""
    if not field.is_repeated:
        value = [value]
    if field.message_type is None:
        return [f"{field.name}: {printable(each, field)[1]}" for each in value]
    inner = (
        [text for part, held in each.ListFields() for text in _texts(part, held)] for each in value
    )
    return [f"{field.name} {{ {' '.join(texts)} }}" for texts in inner]


def _used(net: Net, auxiliary: list[Layer]) -> set[Blob]:
    """The blobs that an answer needs, or that are one."""
    used: set[Blob] = set()
    # metrics of an auxiliary loss's scores go with it
    left_out = {blob for layer in auxiliary for blob in layer.bottom_blobs[:1]}
    for layer in reversed(net.layers):
        spec = find_spec(layer.spec_name)
        assert spec is not None  # a net with an unknown type does not come here
        if layer.type == "Silence" or (spec.has_side_effects and not layer.tops):
            continue
        if layer in auxiliary:
            continue
        if spec.is_loss or spec.is_metric:  # behind its first bottom there are labels
            scores = layer.bottom_blobs[: 2 if layer.type == "ContrastiveLoss" else 1]
            used.update(blob for blob in scores if blob not in left_out)
            continue
        # a top that nobody reads is an answer, save one that a data layer makes
        tops = [b for b in layer.top_blobs if b in used or not (b.consumers or spec.is_source)]
        if tops:
            used.update([*tops, *layer.bottom_blobs])
    return used


def _stays(layer: Layer, used: set[Blob]) -> bool:
    if layer.type in COUNTERPARTS:
        return not _is_answered(layer)
    return any(blob in used for blob in layer.top_blobs)


def _is_answered(loss: Layer) -> bool:
    """Whether the net itself computes what would take the loss's place."""
    return any(
        reader.type == COUNTERPARTS[loss.type] for reader, _ in loss.bottom_blobs[0].consumers
    )


def _deployed(layer: Layer, used: set[Blob], names: set[str]) -> caffe_pb2.LayerParameter:
    spec = find_spec(layer.spec_name)
    made = caffe_pb2.LayerParameter()
    if spec is not None and spec.is_source and layer.type != "Input":
        made.name, made.type = layer.name, "Input"
        for blob in layer.top_blobs:
            if blob in used:
                if blob.shape is None:
                    hint = f"--input {blob.name}=1,3,224,224"
                    message = f"{layer.label}: the shape of '{blob.name}' is not known"
                    raise NetspecError(message, layer.spans.at("type"), hint)
                made.top.append(blob.name)
                made.input_param.shape.add(dim=blob.shape)
        return made
    made.CopyFrom(layer.message)
    for name in _DROPPED_FIELDS:
        made.ClearField(name)
    if layer.type == "Input":
        shapes = layer.message.input_param.shape
        made.ClearField("top")
        made.input_param.ClearField("shape")
        for i, blob in enumerate(layer.top_blobs):
            if blob in used:
                made.top.append(blob.name)
                made.input_param.shape.add().CopyFrom(shapes[i if len(shapes) > 1 else 0])
    elif layer.type in COUNTERPARTS:
        name = "prob" if "prob" not in names else f"{layer.name}_prob"
        names.add(name)
        made = caffe_pb2.LayerParameter(
            name=name, type=COUNTERPARTS[layer.type], bottom=layer.bottoms[:1], top=[name]
        )
        if layer.message.HasField("softmax_param"):
            made.softmax_param.CopyFrom(layer.message.softmax_param)
    return made
