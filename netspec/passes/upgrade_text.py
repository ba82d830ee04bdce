"""A text of an older format as one of today's, checked to say what its upgraded message says."""

from __future__ import annotations

from google.protobuf.message import Message

from netspec.diagnostics import Report, Source
from netspec.passes.upgrade_tree import upgrade_tree
from netspec.syntax.bind import bind
from netspec.syntax.layout import internal_error
from netspec.syntax.print_as import print_as
from netspec.syntax.read import file_kind, parse_source


def upgrade_text(source: Source, report: Report) -> tuple[Source, list[str]]:
    """The source in today's format, in its own syntax, and what of it was older.

    The source as it is where nothing was. Warnings go to the report. Comments go along with their
    fields; anchors of YAML are written out.

    Raises: NetspecError where the text can't be parsed or is wrong.
    """
    block = parse_source(source)
    message = file_kind(block)()
    spans = bind(block, message, report)
    report.raise_errors()
    block, old = upgrade_tree(block, message, spans, report)
    report.raise_errors()
    if not old:
        return source, []
    text = print_as(source.path, block, type(message)).decode(errors="surrogateescape")
    upgraded = Source(source.path, text)
    if _bytes_of(_message(upgraded, message)) != _bytes_of(message):
        raise internal_error(source.path)
    return upgraded, old


def _message(source: Source, like: Message) -> Message:
    message = type(like)()
    bind(parse_source(source), message, Report(allow_unknown=True))
    return message


def _bytes_of(message: Message) -> bytes:
    """A message as bytes, in which one nan equals another."""
    return message.SerializePartialToString(deterministic=True)
