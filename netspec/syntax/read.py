"""A net or solver file to its message: the syntax by the file's suffix."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.message import Message

from netspec.diagnostics import NetspecError, Report, Source, unreadable, whole_file
from netspec.read_file import MIB, read_file
from netspec.schema import caffe_pb2
from netspec.syntax import prototxt
from netspec.syntax.bind import Spans, bind
from netspec.syntax.layer_forms import mend_layer_forms
from netspec.syntax.other_texts import kind_of_text, message_of_fields
from netspec.syntax.tree import Block

YAML_SUFFIXES = (".yaml", ".yml")
# of a text, over a hundred times the largest net in use: its tree takes up to 200 bytes for each
MAX_BYTES = 16 * MIB
FileKind = type[caffe_pb2.NetParameter] | type[caffe_pb2.SolverParameter]
# Top-level fields that only a net has, whatever else stands beside them.
_NET_FIELDS = {"layer", "layers", "input", "input_dim", "input_shape", "force_backward"}


def read_source(path: str | Path) -> Source:
    """The text of a file. Bytes that are no UTF-8 are kept, for they matter only inside texts.

    Raises: NetspecError where the file can't be read, is no text or is too large.
    """
    try:
        raw = read_file(path, MAX_BYTES, "a net or solver file")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    return source_of(raw, path)


def source_of(raw: bytes, path: str | Path) -> Source:
    """The text that a file holds. Raises: NetspecError where the bytes are no text."""
    if b"\0" in raw:
        raise NetspecError(
            f"'{path}' is not text: a prototxt or a YAML file is expected", whole_file(path)
        )
    return Source(str(path), raw.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape"))


def parse_source(source: Source) -> Block:
    """The tree of a source; its path's suffix says which syntax it is.

    Raises: NetspecError at the first place that is not of that syntax.
    """
    try:
        if source.path.endswith(YAML_SUFFIXES):
            from netspec.syntax import yaml_text  # yaml is imported only where a file is YAML

            return yaml_text.parse(source)
        return prototxt.parse(source)
    except NetspecError:
        kind = kind_of_text(source.text)
        if kind is None:
            raise
    raise NetspecError(f"'{source.path}' is {kind}, not a net or a solver", whole_file(source.path))


def file_kind(block: Block) -> FileKind:
    """Whether a file is a net or a solver, by its top-level fields; one without any is a net."""
    has_net_fields, net, solver = _known_fields(block)
    return caffe_pb2.NetParameter if has_net_fields or net >= solver else caffe_pb2.SolverParameter


def _known_fields(block: Block) -> tuple[bool, int, int]:
    """Whether any field is a net's alone, how many a net may have, and how many a solver."""
    names = {field.name for field in block.fields}
    net, solver = (
        sum(name in kind.DESCRIPTOR.fields_by_name for name in names)
        for kind in (caffe_pb2.NetParameter, caffe_pb2.SolverParameter)
    )
    return bool(names & _NET_FIELDS), net, solver


def is_net_or_solver(block: Block) -> bool:
    """Whether a tree looks like one of them.

    It has a field that nets alone have, or none but what nets have, or none but what solvers have.
    """
    has_net_fields, net, solver = _known_fields(block)
    count = len({field.name for field in block.fields})
    return has_net_fields or (count > 0 and count in (net, solver))


def require_kind(block: Block, path: str, wanted: FileKind) -> None:
    """Raises NetspecError where a net is given for a solver, or a solver for a net.

    Each of its fields would be a fault.
    """
    if not block.fields:
        raise NetspecError(
            f"'{path}' is empty: {'a net' if wanted is caffe_pb2.NetParameter else 'a solver'} "
            "is expected",
            whole_file(path),
        )
    message = message_of_fields({field.name for field in block.fields})
    if message is not None:
        raise NetspecError(
            f"'{path}' is {message[0]}, not a net or a solver",
            block.fields[0].name_span,
            message[1],
        )
    has_net_fields, net, solver = _known_fields(block)
    if wanted is caffe_pb2.SolverParameter and net > solver and has_net_fields:
        hint = 'a solver file names the net, net: "train_val.prototxt", and says how to train it'
        raise NetspecError(f"'{path}' is a net, not a solver", whole_file(path), hint)
    if wanted is caffe_pb2.NetParameter and solver > net and not has_net_fields:
        places = (
            value.span
            for field in block.fields
            if field.name in ("net", "train_net")
            for value in field.values
        )
        named = next(places, None)
        meant = "give the net that it names" if named else None
        raise NetspecError(f"'{path}' is a solver, not a net", named, meant)


def bind_source(
    source: Source, message: Message, report: Report, block: Block | None = None
) -> Spans:
    """Fills the message from a source, or from its tree where that is known.

    What a parser refuses goes to the report too.
    """
    try:
        with without_collector():
            block = block or parse_source(source)
            if isinstance(message, caffe_pb2.NetParameter):
                require_kind(block, source.path, caffe_pb2.NetParameter)
                mend_layer_forms(block, report)
            return bind(block, message, report)
    except NetspecError as error:
        report.diagnostics += error.diagnostics
        return Spans(None, None)


@contextmanager
def without_collector() -> Iterator[None]:
    """Pauses the collector: a hundred thousand tokens, fields and spans are all still in use.

    Looking through them takes longer than parsing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
