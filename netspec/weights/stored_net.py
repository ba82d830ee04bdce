"""The net that a caffemodel holds, as a message in today's format without its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from netspec.diagnostics import NetspecError, Report, restated
from netspec.passes.upgrade import upgrade
from netspec.schema.caffe_pb2 import (
    LayerParameter,
    NetParameter,
    V0LayerParameter,
)
from netspec.weights.blob_proto import wire_field
from netspec.weights.drop_splits import drop_splits
from netspec.weights.open_caffemodel import Caffemodel, open_caffemodel
from netspec.weights.stored_layers import StoredLayer, is_known, is_oldest
from netspec.weights.upgrade_caffemodel import spans_without_places

_LAYERS = (NetParameter.LAYER_FIELD_NUMBER, NetParameter.LAYERS_FIELD_NUMBER)


def net_of_caffemodel(path: str | Path) -> tuple[NetParameter, list[str]]:
    """The net in today's format, without the Split layers that Caffe inserts, and what it lacks.

    Returns: the net, and a line for each thing that could not be taken over: settings at numbers
        that Caffe does not have, which only the fork that wrote them knows.
    Raises: NetspecError where the file is no caffemodel, or its net can't be upgraded.
    """
    with open_caffemodel(path) as model:
        net, lost = _net(model)
    report = Report()
    upgrade(net, spans_without_places(net), report)
    if report.failed:
        raise NetspecError(restated(report.in_order(), f"'{path}': "))
    drop_splits(net)
    # Caffe's Net::Init gives each layer the net's phase, where it would stay in any other
    if len({layer.phase for layer in net.layer}) == 1:
        for layer in net.layer:
            layer.ClearField("phase")
    return net, lost


def _net(model: Caffemodel) -> tuple[NetParameter, list[str]]:
    """The message as the file has it, but its blobs."""
    net, lost = NetParameter(), []
    wire = model.wire
    others = [field for field in wire.fields(0, wire.size) if field.number not in _LAYERS]
    try:
        net.MergeFromString(wire.bytes_of(others))
    except DecodeError:
        lost.append("the net's own fields")
    for layer in model.layers:
        message, whole = _layer(model, layer)
        if not whole:
            lost.append(f"settings of layer '{layer.name}'")
        (net.layer if layer.form is LayerParameter else net.layers).append(message)
    return net, lost


def _layer(model: Caffemodel, layer: StoredLayer) -> tuple[Any, bool]:
    """A layer's message without its blobs, and whether it has all of the file's settings."""
    try:
        message: Any = layer.form.FromString(_layer_bytes(model, layer, only_known=False))
    except DecodeError:
        return layer.form.FromString(_layer_bytes(model, layer, only_known=True)), False
    return message, not _has_unknown(message)


def _layer_bytes(model: Caffemodel, layer: StoredLayer, only_known: bool) -> bytes:
    wire, parts = model.wire, []
    for field in layer.fields:
        if is_oldest(layer.form, field) and layer.inner is not None:
            inner = [f for f in layer.inner if not only_known or is_known(V0LayerParameter, f)]
            parts.append(b"".join(wire_field(field.number, [wire.bytes_of(inner)])))
        elif not only_known or is_known(layer.form, field):
            parts.append(wire.bytes_of([field]))
    return b"".join(parts)


def _has_unknown(message: Message) -> bool:
    """Whether a message, or one in it, has fields that Caffe's schema does not."""
    if len(UnknownFieldSet(message)):
        return True
    return any(
        _has_unknown(item)
        for descriptor, value in message.ListFields()
        if descriptor.message_type is not None
        for item in (value if descriptor.is_repeated else [value])
    )
