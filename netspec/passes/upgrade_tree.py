"""The tree of a net or solver in today's format, with the comments of its text."""

from __future__ import annotations

from google.protobuf.message import Message

from netspec.diagnostics import Report
from netspec.passes.upgrade import upgrade, upgrade_solver
from netspec.schema import caffe_pb2
from netspec.syntax.bind import Spans
from netspec.syntax.rewrite import rewrite
from netspec.syntax.tree import Block


def upgrade_tree(
    block: Block, message: Message, spans: Spans, report: Report
) -> tuple[Block, list[str]]:
    """The tree of a net or solver in today's format, and what of it was older.

    Faults go to the report.
    """
    before = type(message)()
    before.CopyFrom(message)
    if isinstance(message, caffe_pb2.SolverParameter):
        upgrade_solver(message, spans, report)
    elif isinstance(message, caffe_pb2.NetParameter):
        upgrade(message, spans, report)
    if message == before or report.failed:
        return block, []
    return rewrite(block, before, message, spans), old_parts(before)


def old_parts(message: Message) -> list[str]:
    """What of a message, as it was read, is of an older format."""
    if isinstance(message, caffe_pb2.SolverParameter):
        nets = [message.net_param, message.train_net_param, *message.test_net_param]
        found = [part for net in nets for part in old_parts(net)]
        return list(
            dict.fromkeys([*(["'solver_type'"] if message.HasField("solver_type") else []), *found])
        )
    assert isinstance(message, caffe_pb2.NetParameter)
    parts = {
        "V0 layers": any(layer.HasField("layer") for layer in message.layers),
        "V1 layers": any(not layer.HasField("layer") for layer in message.layers),
        "input fields": bool(message.input),
        "params of BatchNorm": any(
            layer.type == "BatchNorm"
            and len(layer.param) == 3
            and any(param.lr_mult or param.decay_mult for param in layer.param)
            for layer in message.layer
        ),
    }
    return [part for part, is_there in parts.items() if is_there]
