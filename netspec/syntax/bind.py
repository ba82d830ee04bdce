"""Tree ↔ protobuf message: every field typed by the schema, every fault told with its span."""

from __future__ import annotations

from functools import cache
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from netspec.diagnostics import ERROR, Diagnostic, Report, Span, note
from netspec.schema.extensions import extension, set_value, value_of
from netspec.schema.forks import fork_word
from netspec.schema.known_names import origin_of_field
from netspec.syntax.scalar_value import (
    enum_value,
    printable,
    shown_text,
    type_name,
    typed_value,
    untyped,
)
from netspec.syntax.tree import NULLS, PLAIN, STRING, Block, Field, Scalar

# what the message of a whole file is called
_FILES = {"NetParameter": "a net", "SolverParameter": "a solver"}

# The blocks around a field, the nearest last: what each is called, and its type.
Around = tuple[tuple[str, Descriptor, Block], ...]


class Spans:
    """Where a message's fields stand.

    It is a tree beside the message that moves with it when it is upgraded.
    """

    __slots__ = ("fields", "is_faulty", "name", "unknown", "value")

    def __init__(self, name: Span | None, value: Span | None) -> None:
        self.name = name  # the field's name
        self.value = value  # the field's value; a block with its braces
        self.is_faulty = False  # was a fault found in it, wherever in the file its parts stand?
        # what of it netspec does not know, where that is allowed: what computes can't do without
        self.unknown: Diagnostic | None = None
        self.fields: dict[str, list[Spans]] = {}

    def find(self, *path: str | int) -> Spans:
        """The deepest known place on a path such as ("convolution_param", "kernel_size", 1)."""
        here = self
        for i, step in enumerate(path):
            if isinstance(step, int):
                continue
            following = path[i + 1] if i + 1 < len(path) else 0
            index = following if isinstance(following, int) else 0
            found = here.fields.get(step, ())
            if not -len(found) <= index < len(found):
                return here
            here = found[index]
        return here

    def at(self, *path: str | int) -> Span | None:
        """The span to show for a path.

        It is that of a scalar's value, of a block's name, or of the nearest enclosing block.
        """
        here = self.find(*path)
        return here.name if here.fields and here.name else here.value

    def whole(self) -> Span | None:
        """From the field's name to the end of its value."""
        if self.name is None or self.value is None:
            return self.value
        return Span(self.name.source, self.name.start, self.value.end)


@cache
def _fields_of(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    return dict(descriptor.fields_by_name)


@cache
def _required_of(descriptor: Descriptor) -> tuple[str, ...]:
    return tuple(field.name for field in descriptor.fields if field.is_required)


def bind(block: Block, message: Message, report: Report) -> Spans:
    """Fills the message from the tree and returns where each field stands.

    Every fault goes to the report. Scalars of the tree are typed on the way, so that it can be
    printed.
    """
    spans = Spans(None, block.span)
    kind = cast(Descriptor, message.DESCRIPTOR)
    _bind_block(
        block, message, spans, report, ((_FILES.get(kind.name, f"'{kind.name}'"), kind, block),)
    )
    return spans


def _bind_block(
    block: Block, message: Message, spans: Spans, report: Report, around: Around
) -> None:
    known = _fields_of(message.DESCRIPTOR)
    faults_before = len(report.diagnostics)
    for field in block.fields:
        descriptor = known.get(field.name) or extension(message.DESCRIPTOR, field.name)
        if descriptor is None:
            what = f"{around[-1][0]} has no field '{field.name}'"
            hint = None if report.is_crowded else _field_hint(field.name, around)
            report.unknown(what, field.name_span, hint or report.near(field.name, known))
            spans.unknown = spans.unknown or Diagnostic(ERROR, what, field.name_span)
            keep_as_written(field.values)
            continue
        places = spans.fields.setdefault(field.name, [])
        if not descriptor.is_repeated and field.is_list:
            report.error(f"'{field.name}' takes one value, not a list", field.name_span)
            keep_as_written(field.values, _is_text(descriptor))
            continue
        if not descriptor.is_repeated and places:
            first = note("the first one is here", places[0].name)
            report.error(f"'{field.name}' may stand only once here", field.name_span, notes=[first])
            keep_as_written(field.values, _is_text(descriptor))
            continue
        is_message = descriptor.message_type is not None
        for i, value in enumerate(field.values):
            if (
                is_message
                and isinstance(value, Scalar)
                and value.kind == PLAIN
                and value.text in NULLS
            ):
                field.values[i] = value = Block([], value.span)
            place = Spans(
                _first_line(value)
                if field.is_list and isinstance(value, Block)
                else field.name_span,
                value.span,
            )
            if is_message:
                if not _bind_message(field, value, descriptor, message, place, report, around):
                    keep_as_written([value])
                    continue
                spans.unknown = spans.unknown or place.unknown
            elif isinstance(value, Block):
                report.error(
                    f"'{field.name}' takes {type_name(descriptor)}, not a block", field.name_span
                )
                keep_as_written([value])
                continue
            else:
                target = _taker(value, descriptor)
                typed = typed_value(value, target, report, field.name)
                if typed is None:
                    keep_as_written([value])
                    if report.allow_unknown and descriptor.enum_type is not None:
                        places.append(place)  # its text is all that is known of it
                        what = f"'{field.name}' is {shown_text(value)}, which netspec does not know"
                        spans.unknown = spans.unknown or Diagnostic(ERROR, what, value.span)
                    continue
                set_value(message, target, typed)
            places.append(place)
    for name in _required_of(message.DESCRIPTOR):
        if name not in spans.fields:
            report.error(f"'{name}' must be given in {around[-1][0]}", spans.name or spans.value)
    spans.is_faulty = any(d.severity == ERROR for d in report.diagnostics[faults_before:])


def _taker(scalar: Scalar, field: FieldDescriptor) -> FieldDescriptor:
    """The field that takes a scalar.

    It is a fork's of the same name, where the scalar is a word that only that one has.
    """
    if (
        field.enum_type is None
        or scalar.kind == STRING
        or not scalar.text.isidentifier()
        or enum_value(scalar.text, field.enum_type) is not None
    ):
        return field
    return fork_word(field, scalar.text) or field


def _is_text(descriptor: FieldDescriptor) -> bool:
    return descriptor.type == FieldDescriptor.TYPE_STRING


def keep_as_written(values: list[Scalar | Block], is_text: bool = False) -> None:
    """Makes values that no field of the schema takes printable in either syntax.

    A string stays one; what YAML writes plainly is a number or a word, or else a string: always
    one where `is_text`.
    """
    for i, value in enumerate(values):
        if isinstance(value, Block):
            for field in value.fields:
                keep_as_written(field.values)
        elif value.kind == PLAIN and value.text in NULLS:
            values[i] = Block([], value.span)
        else:
            untyped(value, is_text)


def _first_line(item: Block) -> Span | None:
    """What stands for the name of a list's item, which has none of its own."""
    if item.span is None:
        return None
    line_end = item.span.source.text.find("\n", item.span.start, item.span.end)
    return Span(item.span.source, item.span.start, line_end if line_end >= 0 else item.span.end)


def _bind_message(
    field: Field,
    value: Scalar | Block,
    descriptor: FieldDescriptor,
    message: Message,
    place: Spans,
    report: Report,
    around: Around,
) -> bool:
    if isinstance(value, Scalar):
        report.error(f"'{field.name}' takes a block of fields, got {shown_text(value)}", value.span)
        return False
    child = value_of(message, descriptor)
    if descriptor.is_repeated:
        child = child.add()
    else:
        child.SetInParent()
    _bind_block(
        value, child, place, report, (*around, (f"'{field.name}'", child.DESCRIPTOR, value))
    )
    return True


def _field_hint(name: str, around: Around) -> str | None:
    """Whose field it is that is not known here: a fork's, or another block's."""
    return origin_of_field(around[-1][1].name, name) or _owner_hint(name, around)


def _owner_hint(name: str, around: Around) -> str | None:
    """Where a field belongs that does not belong here.

    It may belong to a block inside, to one around, or to one beside it.
    """
    here = around[-1][0]
    for i in range(len(around) - 1, -1, -1):
        outer, descriptor, block = around[i]
        if i < len(around) - 1 and name in _fields_of(descriptor):
            return f"'{name}' belongs to {outer}, outside {here}"
        owners = [
            f.name
            for f in descriptor.fields
            if f.message_type and name in _fields_of(f.message_type)
        ]
        owners = [
            owner for owner in owners if any(field.name == owner for field in block.fields)
        ] or owners
        if owners:
            shown = " or ".join(f"'{owner}'" for owner in owners[:3])
            return f"'{name}' belongs inside {shown}{' or others' if len(owners) > 3 else ''}"
    return None


def unbind(message: Message) -> Block:
    """The tree of a message, its fields in the order of their numbers: what a printer prints."""
    fields = []
    for descriptor, value in message.ListFields():
        values: list[Scalar | Block] = []
        for item in value if descriptor.is_repeated else [value]:
            if descriptor.message_type is not None:
                values.append(unbind(item))
            else:
                kind, text = printable(item, descriptor)
                values.append(Scalar(kind, text, None, item))
        fields.append(Field(descriptor.name, None, values))
    return Block(fields, None)
