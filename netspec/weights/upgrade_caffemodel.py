"""A caffemodel of an older format → today's: Caffe's upgrade_net_proto_binary."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import Message

from netspec.diagnostics import NetspecError, Report, restated
from netspec.passes.upgrade import upgrade
from netspec.schema.caffe_pb2 import BlobProto, NetParameter
from netspec.syntax.bind import Spans
from netspec.weights.caffemodel import write_parts
from netspec.weights.read_bytes import read_message, wrong_kind


def upgrade_caffemodel(source: str | Path, target: str | Path) -> NetParameter:
    """Writes a binary net in today's format, with everything that it holds.

    Returns what it was, without its blobs.

    Raises: NetspecError where the source is no caffemodel, can't be upgraded, or the target can't
        be written.
    """
    net = read_message(source, NetParameter(), "caffemodel")
    if not (net.layer or net.layers or net.input):
        raise NetspecError(
            f"'{source}' is not a caffemodel: it holds no layers", hint=wrong_kind(source)
        )
    before, report = _without_blobs(net), Report()
    upgrade(net, spans_without_places(net), report)
    if report.failed:
        raise NetspecError(restated(report.in_order(), f"'{source}': "))
    try:
        raw = net.SerializeToString()
    except ValueError:  # protobuf's own limit of 2 GiB
        raise NetspecError(
            f"'{target}' can't be written: it would pass the 2 GiB that protobuf's format allows"
        ) from None
    write_parts(target, [raw])
    return before


def spans_without_places(message: Message) -> Spans:
    """The spans of a message that stands in no text: `upgrade` moves them along with its fields."""
    spans = Spans(None, None)
    for descriptor, value in message.ListFields():
        items = (
            list(value)
            if descriptor.is_repeated and not isinstance(message, BlobProto)
            else [value]
        )
        is_inner = descriptor.message_type is not None and not isinstance(message, BlobProto)
        spans.fields[descriptor.name] = [
            spans_without_places(item) if is_inner else Spans(None, None) for item in items
        ]
    return spans


def _without_blobs(net: NetParameter) -> NetParameter:
    copy = NetParameter()
    copy.CopyFrom(net)
    for layer in (
        *copy.layer,
        *copy.layers,
        *(old.layer for old in copy.layers if old.HasField("layer")),
    ):
        layer.ClearField("blobs")
    return copy
