"""Fields that move from one message to another, with their spans."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from netspec.schema.extensions import clear_value, find_field, set_value, value_of
from netspec.syntax.bind import Spans


def move_field(
    source: Message,
    source_spans: Spans,
    name: str,
    target: Message,
    target_spans: Spans,
    new_name: str,
) -> None:
    """Moves a field that is set from one message to another, with its spans."""
    old, new = find_field(source.DESCRIPTOR, name), find_field(target.DESCRIPTOR, new_name)
    value = value_of(source, old)
    if new.is_repeated:
        value_of(target, new).extend(value if old.is_repeated else [value])
    elif new.message_type is not None:
        value_of(target, new).CopyFrom(value)
    else:
        set_value(target, new, value)
    clear_value(source, old)
    if name in source_spans.fields:
        target_spans.fields.setdefault(new_name, []).extend(source_spans.fields.pop(name))


def copied(message: Any) -> Any:
    """A copy of a message, which outlives the repeated field that holds the message."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def child_spans(spans: Spans, name: str) -> Spans:
    """The spans of a message field, made at its owner's place where the file does not write it."""
    return spans.fields.setdefault(name, [Spans(spans.name, spans.value)])[0]
