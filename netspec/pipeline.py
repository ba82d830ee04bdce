"""The whole way from a file to a checked net, on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from netspec.data.file_kind import FOREIGN_KINDS, file_kind
from netspec.diagnostics import NetspecError, Report, Source, whole_file
from netspec.graph import Net, Shape
from netspec.passes.build_graph import build_graph
from netspec.passes.count_cost import count_cost
from netspec.passes.filter_state import filter_state, left_out
from netspec.passes.infer_shapes import infer_shapes
from netspec.passes.upgrade import upgrade
from netspec.schema import caffe_pb2
from netspec.syntax.bind import Spans
from netspec.syntax.read import bind_source, read_source, without_collector
from netspec.syntax.tree import Block


def load(
    path: str | Path,
    phase: str = "TEST",
    level: int = 0,
    stages: Iterable[str] = (),
    inputs: Mapping[str, Shape] | None = None,
    require_shapes: bool = True,
    report: Report | None = None,
    allow_python_layers: bool = False,
) -> Net:
    """Reads a net (prototxt, or YAML by its suffix) for one phase, checks it and infers every shape.

    Args:
        phase: "TRAIN" or "TEST".
        level, stages: the rest of the state that the layers' include and exclude rules are held against.
        inputs: shapes by top that stand in for those of Input and data layers.
        require_shapes: False lets a data layer of unknown size pass; shapes below it are then None.
        report: takes the warnings; errors are raised.
        allow_python_layers: run the Python code that layers of type Python name; it can do anything.

    Raises: NetspecError with every fault that was found.
    """
    if phase not in ("TRAIN", "TEST"):
        raise NetspecError(f"a net's phase is TRAIN or TEST, got '{phase}'")
    report = report or Report()
    with without_collector():
        message, spans = read_net(read_file(path), report)
        state = caffe_pb2.NetState()
        state.CopyFrom(message.state)
        state.MergeFrom(caffe_pb2.NetState(phase=phase, level=level, stage=stages))
        net = assemble(message, spans, state, report, inputs, require_shapes, allow_python_layers)
    net.path = str(path)
    report.raise_errors()
    return net


def read_file(path: str | Path) -> Source:
    """The text of a net's or a solver's file.

    Raises: NetspecError where it can't be read; of a binary file it says what that is.
    """
    try:
        return read_source(path)
    except NetspecError:
        kind = file_kind(path)
        if kind not in FOREIGN_KINDS:
            raise
    raise NetspecError(f"'{path}' is {kind}, not a net or a solver", whole_file(path), FOREIGN_KINDS[kind]) from None


def read_net(source: Source, report: Report, block: Block | None = None) -> tuple[caffe_pb2.NetParameter, Spans]:
    """The message of a source (or of its tree where that is known), in today's format, and where its fields stand. Faults go to the report."""
    message = caffe_pb2.NetParameter()
    spans = bind_source(source, message, report, block)
    upgrade(message, spans, report)
    return message, spans


def assemble(
    message: caffe_pb2.NetParameter,
    spans: Spans,
    state: caffe_pb2.NetState,
    report: Report,
    inputs: Mapping[str, Shape] | None = None,
    require_shapes: bool = True,
    allow_python_layers: bool = False,
) -> Net:
    """The net of one state: filtered, joined, with shapes and cost. Faults go to the report."""
    layers = filter_state(message, spans, state, report)
    net = build_graph(message.name, caffe_pb2.Phase.Name(state.phase), layers, report, left_out(message, spans, layers))
    net.force_backward = message.force_backward
    infer_shapes(net, inputs, report, not require_shapes, allow_python_layers)
    count_cost(net)
    return net
