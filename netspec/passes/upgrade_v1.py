"""V1 layers to today's."""

from __future__ import annotations

from google.protobuf.message import Message

from netspec.diagnostics import Report
from netspec.passes.move_field import child_spans, move_field
from netspec.schema import caffe_pb2
from netspec.schema.extensions import extension
from netspec.schema.forks import stated_word
from netspec.schema.history import (
    V1_DATA_MESSAGES,
    V1_FORK_TYPES,
    V1_TRANSFORM_FIELDS,
    V1_TYPES,
)
from netspec.syntax.bind import Spans

_V1_TYPE_ENUM = caffe_pb2.V1LayerParameter.LayerType


def upgrade_v1(net: caffe_pb2.NetParameter, spans: Spans, report: Report) -> None:
    """Brings V1 layers to today's format, in place.

    Enum types become texts, blobs_lr and weight_decay go into param, data settings into
    transform_param.
    """
    places = spans.fields.pop("layers", [])
    for old, place in zip(net.layers, places, strict=True):
        _move_transform_fields(old, place)
        new = net.layer.add()
        for descriptor, _ in old.ListFields():
            name = descriptor.name
            if name in ("blobs_lr", "weight_decay", "param", "blob_share_mode", "type"):
                continue
            if not _has_field(new, name):
                message = f"the V1 field '{name}' has no effect any more"
                report.warning(message, place.at(name))
                continue
            # the span keeps its name and place
            move_field(old, Spans(None, None), name, new, place, name)
        _set_type(old, place, new)
        _collect_param_specs(old, place, new)
    del net.layers[:]
    spans.fields["layer"] = places


def _set_type(old: caffe_pb2.V1LayerParameter, place: Spans, new: caffe_pb2.LayerParameter) -> None:
    """Today's name of a V1 layer's type; a word that nobody knows stays the type's name."""
    written = place.find("type").value if place.fields.get("type") else None
    if old.HasField("type") and old.type:
        new.type = V1_TYPES[_V1_TYPE_ENUM.Name(old.type)]
    elif word := stated_word(old, "type"):
        new.type = V1_FORK_TYPES[word]
    elif not old.HasField("type") and written is not None:
        new.type = written.text


def _has_field(message: Message, name: str) -> bool:
    return name in message.DESCRIPTOR.fields_by_name or bool(extension(message.DESCRIPTOR, name))


def _move_transform_fields(layer: caffe_pb2.V1LayerParameter, place: Spans) -> None:
    owner = V1_DATA_MESSAGES.get(_V1_TYPE_ENUM.Name(layer.type))
    if owner is None or not layer.HasField(owner):
        return
    message, message_spans = getattr(layer, owner), child_spans(place, owner)
    for name in V1_TRANSFORM_FIELDS:
        if message.HasField(name):
            move_field(
                message,
                message_spans,
                name,
                layer.transform_param,
                child_spans(place, "transform_param"),
                name,
            )


def _collect_param_specs(
    old: caffe_pb2.V1LayerParameter, place: Spans, new: caffe_pb2.LayerParameter
) -> None:
    sources = (
        ("param", "name"),
        ("blob_share_mode", "share_mode"),
        ("blobs_lr", "lr_mult"),
        ("weight_decay", "decay_mult"),
    )
    specs: list[Spans] = []
    for old_name, new_name in sources:
        found = place.fields.pop(old_name, [])
        for i, value in enumerate(getattr(old, old_name)):
            while len(new.param) <= i:
                new.param.add()
                specs.append(
                    Spans(found[i].name, found[i].value)
                    if i < len(found)
                    else Spans(place.name, place.value)
                )
            setattr(new.param[i], new_name, value)
            specs[i].fields[new_name] = found[i : i + 1]
    if specs:
        place.fields["param"] = specs
