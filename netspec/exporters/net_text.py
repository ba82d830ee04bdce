"""A changed net as prototxt, with the comments of its file."""

from __future__ import annotations

from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from netspec.passes.filter_state import RULES
from netspec.passes.upgrade import upgrade
from netspec.schema import caffe_pb2
from netspec.syntax import prototxt
from netspec.syntax.bind import bind
from netspec.syntax.read import parse_source
from netspec.syntax.rewrite import rewrite


def net_text(net: Net) -> str:
    """The net's layers as they are, for its phase alone: rules for phases go.

    Raises: NetspecError where the net has no text.
    """
    source = next((layer.span.source for layer in net.layers if layer.span), None)
    if source is None:
        raise NetspecError(f"the net '{net.name}' has no text")
    block = parse_source(source)
    message, report = caffe_pb2.NetParameter(), Report(allow_unknown=True)
    spans = bind(block, message, report)
    before = caffe_pb2.NetParameter()
    before.CopyFrom(message)
    upgrade(message, spans, report)
    del message.layer[:]
    for layer in net.layers:
        made = message.layer.add()
        made.CopyFrom(layer.message)
        for rule in RULES:
            made.ClearField(rule)
    spans.fields["layer"] = [layer.spans for layer in net.layers]
    return prototxt.print_tree(rewrite(block, before, message, spans))
