"""The whole way from a file to a checked net, on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os.path import exists
from pathlib import Path
from typing import Any

from netspec.diagnostics import NetspecError, Report, Source, as_warnings, whole_file
from netspec.files.file_kind import FOREIGN_KINDS, file_kind
from netspec.graph import Net, Shape
from netspec.layers.layer_context import Probe
from netspec.options import NetOptions, net_options
from netspec.passes.build_graph import build_graph
from netspec.passes.check_fork_fields import check_fork_fields
from netspec.passes.check_gradients import check_gradients
from netspec.passes.count_cost import count_cost
from netspec.passes.dialect_of import dialect_of
from netspec.passes.filter_state import filter_state, left_out
from netspec.passes.infer_shapes import infer_shapes
from netspec.passes.pass_down import pass_down
from netspec.passes.upgrade import upgrade
from netspec.plugins import load_plugins
from netspec.schema import caffe_pb2
from netspec.syntax.bind import Spans
from netspec.syntax.read import bind_source, read_source, without_collector
from netspec.syntax.tree import Block

# what messages call a text that stands in no file
_NAMES_OF_TEXTS = {"prototxt": "<text>", "yaml": "<text>.yaml"}


def load(
    path: str | Path | Source,
    phase: str = "TEST",
    level: int = 0,
    stages: str | Iterable[str] = (),
    inputs: Mapping[str, Shape] | None = None,
    require_shapes: bool = True,
    report: Report | None = None,
    allow_python_layers: bool = False,
    plugins: Iterable[str | Path] = (),
    dialect: str | None = None,
    allow_unknown: bool = False,
    blob_counts: Mapping[str, int] | None = None,
) -> Net:
    """Reads a net for one phase, checks it and infers every shape.

    The file is prototxt, or YAML by its suffix.

    Args:
        phase: "TRAIN" or "TEST", in any case.
        level, stages: the rest of the state that the layers' include and exclude rules are held
            against.
        inputs: shapes by top that stand in for those of Input and data layers.
        require_shapes: False lets a data layer of unknown size pass; shapes below it are then None.
        report: takes the warnings; errors are raised.
        allow_python_layers: run the Python code that layers of type Python name; it can do
            anything.
        plugins: Python files that define layer types; they are run, and known from then on in this
            process.
        dialect: the fork of Caffe that the net is written for ("ssd", "segnet", …), where a layer
            type has several rules; None asks the file, whose comment may say `# netspec: dialect
            ssd`.
        allow_unknown: fields and layer types that netspec does not know are warnings, not errors;
            the shapes behind such a layer may be None.
        blob_counts: how many blobs a file of weights has of each layer, by which rules are
            distinguished; `netspec.compile` looks into its weights.

    Raises: NetspecError with every fault that was found.
    """
    load_plugins(plugins)
    options = net_options(
        phase,
        level,
        stages,
        inputs,
        require_shapes,
        allow_python_layers,
        allow_unknown,
        dialect,
        blob_counts=blob_counts,
    )
    source = path if isinstance(path, Source) else read_text_file(_checked_path(path))
    return load_source(source, options, report or Report())


def loads(text: str, format: str = "prototxt", **options: Any) -> Net:
    """The net of a text.

    Args:
        format: "prototxt" or "yaml".
        options: those of `load`, which reads a file.

    Raises: NetspecError with every fault that was found.
    """
    if not isinstance(text, str):
        raise NetspecError(
            f"expected the text of a net, got {type(text).__name__}",
            None,
            "netspec.load takes a path",
        )
    if format not in _NAMES_OF_TEXTS:
        raise NetspecError(f"'format' is prototxt or yaml, got '{format}'")
    return load(Source(_NAMES_OF_TEXTS[format], text.removeprefix("\ufeff")), **options)


def load_source(source: Source, options: NetOptions, report: Report) -> Net:
    """The net of a source. Raises: NetspecError with every fault that was found."""
    report.allow_unknown |= options.allow_unknown
    with without_collector():
        message, spans = read_net(source, report)
        state = caffe_pb2.NetState()
        state.CopyFrom(message.state)
        state.MergeFrom(options.state)
        net = assemble(message, spans, state, report, options)
    net.path = source.path
    report.raise_errors(options.strict)
    return net


def load_with_faults(source: Source, options: NetOptions, report: Report) -> Net:
    """The net of a source, whatever is wrong in it but its syntax: what shows a net needs no more.

    Its errors go to the report as warnings.

    Raises: NetspecError where the text can't be parsed, or nothing of it is a net.
    """
    found = Report(allow_unknown=True)
    with without_collector():
        message, spans = read_net(source, found)
        if spans.value is None:
            found.raise_errors()
        state = caffe_pb2.NetState()
        state.CopyFrom(message.state)
        state.MergeFrom(options.state)
        net = assemble(message, spans, state, found, options)
    net.path = source.path
    report.diagnostics += as_warnings(found.diagnostics)
    return net


def read_text_file(path: str | Path) -> Source:
    """The text of a net's or a solver's file.

    Raises: NetspecError where it can't be read; of a binary file it says what that is.
    """
    try:
        return read_source(path)
    except NetspecError:
        kind = file_kind(path)
        if kind not in FOREIGN_KINDS:
            raise
    raise NetspecError(
        f"'{path}' is {kind}, not a net or a solver", whole_file(path), FOREIGN_KINDS[kind]
    ) from None


def read_net(
    source: Source, report: Report, block: Block | None = None
) -> tuple[caffe_pb2.NetParameter, Spans]:
    """The message of a source, in today's format, and where its fields stand.

    `block` is the source's tree where it is parsed already. Faults go to the report.
    """
    message = caffe_pb2.NetParameter()
    spans = bind_source(source, message, report, block)
    upgrade(message, spans, report)
    return message, spans


def assemble(
    message: caffe_pb2.NetParameter,
    spans: Spans,
    state: caffe_pb2.NetState,
    report: Report,
    options: NetOptions | None = None,
) -> Net:
    """The net of one state: filtered, joined, with shapes and cost. Faults go to the report."""
    options = options or NetOptions()
    layers = filter_state(message, spans, state, report)
    left = left_out(message, spans, layers)
    pass_down(message, layers)
    options = replace(options, dialect=options.dialect or dialect_of(spans, report))
    phase = caffe_pb2.Phase.Name(state.phase)
    net = build_graph(message.name, phase, layers, report, left, options)
    net.force_backward, net.debug_info = message.force_backward, message.debug_info
    check_fork_fields(message, spans, net, report)
    infer_shapes(net, options, report, _probe(net))
    count_cost(net)
    check_gradients(net, report)
    return net


def _probe(net: Net) -> Probe | None:
    """What looks into the net's data; imported only where a data layer may name some."""
    if not net.sources:
        return None
    from netspec.readers import probe

    return probe


def _checked_path(path: object) -> str | Path:
    """Raises NetspecError where a net's text is given for its path, or neither of them."""
    if not isinstance(path, (str, Path)):
        raise NetspecError(
            f"expected the path of a net, got {type(path).__name__}",
            None,
            "netspec.loads takes the text of a net",
        )
    if any(mark in str(path) for mark in "\n{") and not exists(path):
        raise NetspecError(
            "expected the path of a net, got a text",
            None,
            "netspec.loads(text) takes the text of a net",
        )
    return path
