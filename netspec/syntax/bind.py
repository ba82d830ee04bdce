"""Tree ↔ protobuf message: every field typed by the schema, every fault told with its span."""

from __future__ import annotations

import re
import struct
from functools import cache
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from netspec.diagnostics import Report, Span, note
from netspec.schema.extensions import extension, value_of
from netspec.schema.history import V1_TYPES
from netspec.syntax.tree import NULLS, PLAIN, STRING, WORD, Block, Field, Scalar

_INT32, _UINT32, _INT64, _UINT64 = (
    (-(2**31), 2**31 - 1),
    (0, 2**32 - 1),
    (-(2**63), 2**63 - 1),
    (0, 2**64 - 1),
)
_INTEGER_RANGES = {
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}
_INTEGER = re.compile(r"(-?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")
_FLOAT = re.compile(
    r"(-?)(?:(\.?inf(?:inity)?|\.?nan)|((?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fF]?)",
    re.IGNORECASE,
)
_LEADING_ZERO = re.compile(r"-?0[0-9]")
_MAX_DIGITS = 30  # more than any integer field holds; Python refuses to read thousands
# what the message of a whole file is called
_FILES = {"NetParameter": "a net", "SolverParameter": "a solver"}
_MAX_NAMES = 8  # of an enum, in a message

# The blocks around a field, the nearest last: what each is called, and its type.
Around = tuple[tuple[str, Descriptor, Block], ...]
_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}


class Spans:
    """Where a message's fields stand.

    A tree beside the message that moves with it when it is upgraded.
    """

    __slots__ = ("fields", "is_faulty", "name", "value")

    def __init__(self, name: Span | None, value: Span | None) -> None:
        self.name = name  # the field's name
        self.value = value  # the field's value; a block with its braces
        self.is_faulty = False  # was a fault found in it, wherever in the file its parts stand?
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

        A scalar's value, a block's name, or the nearest enclosing block's.
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
            owner = None if report.is_crowded else _owner_hint(field.name, around)
            report.error(what, field.name_span, owner or report.near(field.name, known))
            continue
        places = spans.fields.setdefault(field.name, [])
        if not descriptor.is_repeated and field.is_list:
            report.error(f"'{field.name}' takes one value, not a list", field.name_span)
            continue
        if not descriptor.is_repeated and places:
            first = note("the first one is here", places[0].name)
            report.error(f"'{field.name}' may stand only once here", field.name_span, notes=[first])
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
                    continue
            elif isinstance(value, Block):
                report.error(
                    f"'{field.name}' takes {_type_name(descriptor)}, not a block", field.name_span
                )
                continue
            else:
                typed = _typed(value, descriptor, report, field.name)
                if typed is None:
                    continue
                if descriptor.is_repeated:
                    value_of(message, descriptor).append(typed)
                else:  # extensions of the schema's own messages are messages
                    setattr(message, field.name, typed)
            places.append(place)
    for name in _required_of(message.DESCRIPTOR):
        if name not in spans.fields:
            report.error(f"'{name}' must be given in {around[-1][0]}", spans.name or spans.value)
    spans.is_faulty = len(report.diagnostics) > faults_before


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
        report.error(f"'{field.name}' takes a block of fields, got {_shown(value)}", value.span)
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


def _owner_hint(name: str, around: Around) -> str | None:
    """Where a field belongs that does not belong here.

    To a block inside, to one around, or to one beside it.
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


def _type_name(descriptor: FieldDescriptor) -> str:
    if descriptor.enum_type is not None:
        names = [value.name for value in descriptor.enum_type.values]
        others = f" and {len(names) - _MAX_NAMES} others" if len(names) > _MAX_NAMES else ""
        return f"one of {', '.join(names[:_MAX_NAMES])}{others}"
    if descriptor.type in _INTEGER_RANGES:
        return "a whole number"
    words = {
        FieldDescriptor.TYPE_BOOL: "true or false",
        FieldDescriptor.TYPE_STRING: "a text in quotes",
        FieldDescriptor.TYPE_BYTES: "bytes in quotes",
    }
    return words.get(descriptor.type, "a number")


def _shown(scalar: Scalar) -> str:
    """A scalar as a message tells it: on one line, not too long."""
    text = " ".join(scalar.text.split())
    if scalar.kind == STRING and text[:1] not in ("'", '"'):
        text = f'"{text}"'  # YAML's parser has taken the quotes off
    return (text if len(text) <= 60 else text[:60] + "…") or "nothing"


def _typed(scalar: Scalar, descriptor: FieldDescriptor, report: Report, name: str) -> object:
    """The scalar's value by the field's type, or None with a fault reported.

    The scalar is made printable.
    """
    kind = descriptor.type
    value: object = None
    hint = None
    if kind in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        value = _text_value(scalar, kind == FieldDescriptor.TYPE_BYTES)
        # the older form's word for a layer type
        meant = V1_TYPES.get(scalar.text, scalar.text) if name == "type" else scalar.text
        hint = (
            "the text is not UTF-8"
            if scalar.kind == STRING
            else f'write "{meant}"'
            if meant
            else 'write "" for an empty text'
        )
    elif scalar.kind == STRING:
        hint = (
            "without the quotes"
            if descriptor.enum_type is None
            else _quoted_enum_hint(scalar, descriptor.enum_type, report)
        )
    elif kind == FieldDescriptor.TYPE_BOOL:
        value = _bool_value(scalar)
    elif descriptor.enum_type is not None:
        value = _enum_value(scalar.text, descriptor.enum_type)
        hint = (
            report.near(scalar.text, descriptor.enum_type.values_by_name) if value is None else None
        )
    elif scalar.kind == PLAIN and _LEADING_ZERO.match(scalar.text):
        hint = (
            "leave out the leading zero: it makes a number octal to some "
            "readers of YAML, not to others"
        )
    elif kind in _INTEGER_RANGES:
        value = _integer_value(scalar.text)
        low, high = _INTEGER_RANGES[kind]
        if isinstance(value, int) and not low <= value <= high:
            report.error(
                f"'{name}' takes a whole number from {low} to {high}, got {_shown(scalar)}",
                scalar.span,
            )
            return None
    else:
        value = _float_value(scalar.text)
        hint = (
            "leave out the leading zero: it makes a number octal"
            if _LEADING_ZERO.match(scalar.text)
            else None
        )
    if value is None:
        report.error(
            f"'{name}' takes {_type_name(descriptor)}, got {_shown(scalar)}", scalar.span, hint
        )
        return None
    scalar.value = value
    scalar.kind, scalar.text = _printable(value, descriptor)
    return value


def _text_value(scalar: Scalar, as_bytes: bool) -> str | bytes | None:
    if scalar.kind == WORD or (scalar.kind == PLAIN and scalar.text in NULLS):
        return None
    raw = (
        scalar.value
        if isinstance(scalar.value, bytes)
        else scalar.text.encode(errors="surrogateescape")
    )
    if as_bytes:
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _quoted_enum_hint(scalar: Scalar, enum: EnumDescriptor, report: Report) -> str | None:
    text = scalar.value.decode(errors="replace") if isinstance(scalar.value, bytes) else scalar.text
    return (
        "without the quotes"
        if text in enum.values_by_name
        else report.near(text, enum.values_by_name)
    )


def _bool_value(scalar: Scalar) -> bool | None:
    """A word, or 0 or 1 in any form of a whole number, as protobuf's C++ parser takes them."""
    if scalar.text in _BOOLS:
        return _BOOLS[scalar.text]
    if scalar.text.startswith("-") or (scalar.kind == PLAIN and _LEADING_ZERO.match(scalar.text)):
        return None
    number = _integer_value(scalar.text)
    return bool(number) if number in (0, 1) else None


def _enum_value(text: str, enum: EnumDescriptor) -> int | None:
    if text in enum.values_by_name:
        return enum.values_by_name[text].number
    number = _integer_value(text)
    # compared as they are: protobuf's own look-up cuts a number to 32 bits
    return number if number in [value.number for value in enum.values] else None


def _integer_value(text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if not match:
        return None
    sign, hexadecimal, octal, decimal = match.groups()
    if len((hexadecimal or octal or decimal).lstrip("0")) > _MAX_DIGITS:
        number = 2**64  # outside every range
    else:
        number = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else int(decimal)
    return -number if sign else number


def _float_value(text: str) -> float | None:
    match = _FLOAT.fullmatch(text)
    if not match:
        return None
    sign, special, number = match.groups()
    value = float(special.lstrip(".") if special else number)
    return -value if sign else value


def float_text(value: float, double: bool = False) -> str:
    """The shortest decimal that reads back as the same float (32 bits, or 64 where `double`)."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if double:
        text = repr(value)
    else:
        try:
            stored = struct.pack("f", value)
            # nine digits of the double may read back as the float next to it
            (value,) = struct.unpack("f", stored)
        except OverflowError:  # beyond 32 bits: protobuf stores infinity
            return "inf" if value > 0 else "-inf"
        text = next(
            t
            for t in (f"{value:.{digits}g}" for digits in range(1, 10))
            if struct.pack("f", float(t)) == stored
        )
    return text.removesuffix(".0")


def _printable(value: Any, descriptor: FieldDescriptor) -> tuple[str, str]:
    if isinstance(value, (str, bytes)):
        return STRING, value if isinstance(value, str) else value.decode(errors="surrogateescape")
    if isinstance(value, bool):
        return WORD, str(value).lower()
    if descriptor.enum_type is not None:
        return WORD, descriptor.enum_type.values_by_number[value].name
    if isinstance(value, float):
        return WORD, float_text(value, descriptor.type == FieldDescriptor.TYPE_DOUBLE)
    return WORD, str(value)


def unbind(message: Message) -> Block:
    """The tree of a message, its fields in the order of their numbers: what a printer prints."""
    fields = []
    for descriptor, value in message.ListFields():
        values: list[Scalar | Block] = []
        for item in value if descriptor.is_repeated else [value]:
            if descriptor.message_type is not None:
                values.append(unbind(item))
            else:
                kind, text = _printable(item, descriptor)
                values.append(Scalar(kind, text, None, item))
        fields.append(Field(descriptor.name, None, values))
    return Block(fields, None)
