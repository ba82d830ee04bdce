"""The whole way from a file to a checked net, on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import index
from os.path import exists
from pathlib import Path

from netspec.diagnostics import NetspecError, Report, Source, whole_file
from netspec.files.file_kind import FOREIGN_KINDS, file_kind
from netspec.graph import Net, Shape
from netspec.layers.spec import Probe
from netspec.passes.build_graph import build_graph
from netspec.passes.check_gradients import check_gradients
from netspec.passes.count_cost import count_cost
from netspec.passes.filter_state import filter_state, left_out
from netspec.passes.infer_shapes import infer_shapes
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

    Raises: NetspecError with every fault that was found.
    """
    load_plugins(plugins)
    source = path if isinstance(path, Source) else read_text_file(_checked_path(path))
    report = report or Report()
    given = caffe_pb2.NetState(
        phase=phase_of(phase), level=level, stage=[stages] if isinstance(stages, str) else stages
    )
    shapes = _checked_shapes(inputs)
    with without_collector():
        message, spans = read_net(source, report)
        state = caffe_pb2.NetState()
        state.CopyFrom(message.state)
        state.MergeFrom(given)
        net = assemble(message, spans, state, report, shapes, require_shapes, allow_python_layers)
    net.path = source.path
    report.raise_errors()
    return net


def loads(
    text: str,
    format: str = "prototxt",
    phase: str = "TEST",
    level: int = 0,
    stages: str | Iterable[str] = (),
    inputs: Mapping[str, Shape] | None = None,
    require_shapes: bool = True,
    report: Report | None = None,
    allow_python_layers: bool = False,
    plugins: Iterable[str | Path] = (),
) -> Net:
    """The net of a text: as `load`, which reads a file.

    Args: format: "prototxt" or "yaml".
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
    source = Source(_NAMES_OF_TEXTS[format], text.removeprefix("\ufeff"))
    return load(
        source, phase, level, stages, inputs, require_shapes, report, allow_python_layers, plugins
    )


def phase_of(phase: str) -> str:
    """TRAIN or TEST, of a word in any case. Raises: NetspecError."""
    name = str(phase).upper()
    if name not in ("TRAIN", "TEST"):
        raise NetspecError(f"a net's phase is TRAIN or TEST, got '{phase}'")
    return name


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

    Of its tree where that is known. Faults go to the report.
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
    inputs: Mapping[str, Shape] | None = None,
    require_shapes: bool = True,
    allow_python_layers: bool = False,
) -> Net:
    """The net of one state: filtered, joined, with shapes and cost. Faults go to the report."""
    layers = filter_state(message, spans, state, report)
    net = build_graph(
        message.name,
        caffe_pb2.Phase.Name(state.phase),
        layers,
        report,
        left_out(message, spans, layers),
    )
    net.force_backward = message.force_backward
    infer_shapes(net, inputs, report, _probe(net), not require_shapes, allow_python_layers)
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


def _checked_shapes(inputs: Mapping[str, Shape] | None) -> dict[str, Shape] | None:
    """The shapes that a caller gives, as tuples of ints. Raises: NetspecError."""
    if inputs is None:
        return None
    if not isinstance(inputs, Mapping):
        raise NetspecError(
            f"'inputs' takes shapes by blob, got {type(inputs).__name__}",
            None,
            'such as inputs={"data": (10, 3, 227, 227)}',
        )
    return {name: _checked_shape(name, shape) for name, shape in inputs.items()}


def _checked_shape(name: str, shape: Iterable[int]) -> Shape:
    try:
        return tuple(index(dim) for dim in shape)
    except TypeError:
        shown = (
            f"{shape!r}"
            if isinstance(shape, (tuple, list, int, str, type(None)))
            else type(shape).__name__
        )
        raise NetspecError(
            f"the shape given for '{name}' takes integers, such as (10, 3, 227, 227), got {shown}"
        ) from None
