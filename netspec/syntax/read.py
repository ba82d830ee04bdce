"""A net or solver file to its message: the syntax by the file's suffix."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import Message

from netspec.diagnostics import NetspecError, Report, Source
from netspec.syntax import prototxt
from netspec.syntax.bind import Spans, bind
from netspec.syntax.tree import Block

YAML_SUFFIXES = (".yaml", ".yml")


def read_source(path: str | Path) -> Source:
    """The text of a file. Bytes that are no UTF-8 are kept, for they matter only inside texts.

    Raises: NetspecError where the file can't be read.
    """
    try:
        raw = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NetspecError(f"'{path}' can't be read: {reason}") from None
    return Source(str(path), raw.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape"))


def parse_source(source: Source) -> Block:
    """The tree of a source; its path's suffix says which syntax it is."""
    if source.path.endswith(YAML_SUFFIXES):
        from netspec.syntax import yaml_text  # yaml is imported only where a file is YAML

        return yaml_text.parse(source)
    return prototxt.parse(source)


def bind_source(source: Source, message: Message, report: Report) -> Spans:
    """Fills the message from a source. What a parser refuses goes to the report too."""
    try:
        return bind(parse_source(source), message, report)
    except NetspecError as error:
        report.diagnostics += error.diagnostics
        return Spans(None, None)
