"""A net or solver file to its message: the syntax by the file's suffix."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.message import Message

from netspec.diagnostics import NetspecError, Report, Source, os_reason, whole_file
from netspec.read_file import MIB, read_file, unreadable
from netspec.schema import caffe_pb2
from netspec.syntax import prototxt
from netspec.syntax.bind import Spans, bind
from netspec.syntax.layer_forms import mend_layer_forms
from netspec.syntax.other_texts import kind_of_text, message_of_fields
from netspec.syntax.tree import Block

YAML_SUFFIXES = (".yaml", ".yml")
# of a text, over a hundred times the largest net in use: its tree takes up to 200 bytes for each
MAX_BYTES = 16 * MIB
WHAT = "a net or solver file"
FileKind = type[caffe_pb2.NetParameter] | type[caffe_pb2.SolverParameter]
# Top-level fields that only a net has, whatever else stands beside them.
_NET_FIELDS = {"layer", "layers", "input", "input_dim", "input_shape", "force_backward"}
# Of a solver, one of which each has.
_SOLVER_FIELDS = {"net", "net_param", "train_net", "train_net_param", "base_lr", "lr_policy"}
_YAML_FIELD = re.compile(rf"^(?:{'|'.join(sorted(_NET_FIELDS | _SOLVER_FIELDS))}):", re.MULTILINE)


def read_source(path: str | Path) -> Source:
    """The text of a file. Bytes that are no UTF-8 are kept, for they matter only inside texts.

    Raises: NetspecError where the file can't be read, is no text or is too large.
    """
    try:
        raw = read_file(path, MAX_BYTES, WHAT)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    return source_of(raw, path)


def read_stdin(name: str) -> Source:
    """The text on the standard input, under a name whose suffix says its syntax.

    Raises: NetspecError where it is closed, is no text or is too large.
    """
    if sys.stdin is None:
        raise NetspecError("the standard input is closed", whole_file(name))
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = os_reason(error)
        raise NetspecError(
            f"the standard input can't be read: {reason}", whole_file(name)
        ) from None
    if len(raw) > MAX_BYTES:
        most = f"the {MAX_BYTES // MIB} MiB that {WHAT} may have"
        raise NetspecError(f"the standard input has more than {most}", whole_file(name))
    return source_of(raw, name)


def source_of(raw: bytes, path: str | Path) -> Source:
    """The text that some bytes are, under the name that messages call it by.

    Raises: NetspecError where they are no text.
    """
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


def is_net_or_solver(block: Block) -> bool:
    """Whether a file that nobody named is meant for a net or a solver: other files have its suffix.

    Half of its fields are then those of a net or of a solver.
    """
    names = {field.name for field in block.fields}
    has_net_fields, net, solver = _known_fields(block)
    return (
        (has_net_fields or bool(names & _SOLVER_FIELDS))
        and 2 * max(net, solver) >= len(names)
        and message_of_fields(names) is None
    )


def may_be_net_or_solver(source: Source) -> bool:
    """The same of a file that can't be parsed, by its text."""
    is_yaml = source.path.endswith(YAML_SUFFIXES)
    return kind_of_text(source.text) is None and (
        not is_yaml or _YAML_FIELD.search(source.text) is not None
    )


def _known_fields(block: Block) -> tuple[bool, int, int]:
    """Whether any field is a net's alone, how many a net may have, and how many a solver."""
    names = {field.name for field in block.fields}
    net, solver = (
        sum(name in kind.DESCRIPTOR.fields_by_name for name in names)
        for kind in (caffe_pb2.NetParameter, caffe_pb2.SolverParameter)
    )
    return bool(names & _NET_FIELDS), net, solver


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
