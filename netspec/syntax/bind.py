"""Tree ↔ protobuf message: every field typed by the schema, every fault told with its span."""

from __future__ import annotations

import re
import struct
from functools import cache

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from netspec.diagnostics import Report, Span, did_you_mean, note
from netspec.syntax.tree import PLAIN, STRING, WORD, Block, Field, Scalar

_INTEGER_RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
_INTEGER = re.compile(r"(-?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")
_FLOAT = re.compile(r"(-?)(?:(\.?inf(?:inity)?|\.?nan)|((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fF]?)", re.IGNORECASE)
_BOOLS = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False, "0": False}


class Spans:
    """Where a message's fields stand: a tree beside the message that moves with it when it is upgraded."""

    __slots__ = ("fields", "name", "value")

    def __init__(self, name: Span | None, value: Span | None) -> None:
        self.name = name  # the field's name
        self.value = value  # the field's value; a block with its braces
        self.fields: dict[str, list[Spans]] = {}

    def find(self, *path: str | int) -> Spans:
        """The deepest known place on a path such as ("convolution_param", "kernel_size", 1)."""
        here = self
        for i, step in enumerate(path):
            if isinstance(step, int):
                continue
            index = path[i + 1] if i + 1 < len(path) and isinstance(path[i + 1], int) else 0
            found = here.fields.get(step, ())
            if not -len(found) <= index < len(found):
                return here
            here = found[index]
        return here

    def at(self, *path: str | int) -> Span | None:
        """The span to show for a path: a scalar's value, a block's name, or the nearest enclosing block's."""
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


def bind(block: Block, message: Message, report: Report) -> Spans:
    """Fills the message from the tree and returns where each field stands.

    Every fault goes to the report. Scalars of the tree are typed on the way, so that it can be printed.
    """
    spans = Spans(None, block.span)
    _bind_block(block, message, spans, report)
    return spans


def _bind_block(block: Block, message: Message, spans: Spans, report: Report) -> None:
    known = _fields_of(message.DESCRIPTOR)
    for field in block.fields:
        descriptor = known.get(field.name)
        if descriptor is None:
            _report_unknown(field, message.DESCRIPTOR, report)
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
            if is_message and isinstance(value, Scalar) and value.kind == PLAIN and value.text in ("", "~", "null"):
                field.values[i] = value = Block([], value.span)  # YAML's empty value
            place = Spans(field.name_span, value.span)
            if is_message:
                if not _bind_message(field, value, descriptor, message, place, report):
                    continue
            elif isinstance(value, Block):
                report.error(f"'{field.name}' takes {_type_name(descriptor)}, not a block", field.name_span)
                continue
            else:
                typed = _typed(value, descriptor, report, field.name)
                if typed is None:
                    continue
                if descriptor.is_repeated:
                    getattr(message, field.name).append(typed)
                else:
                    setattr(message, field.name, typed)
            places.append(place)


def _bind_message(field: Field, value: Scalar | Block, descriptor: FieldDescriptor, message: Message, place: Spans, report: Report) -> bool:
    if isinstance(value, Scalar):
        report.error(f"'{field.name}' takes a block of fields, got {value.text}", value.span)
        return False
    child = getattr(message, field.name)
    if descriptor.is_repeated:
        child = child.add()
    else:
        child.SetInParent()
    _bind_block(value, child, place, report)
    return True


def _report_unknown(field: Field, descriptor: Descriptor, report: Report) -> None:
    hint = did_you_mean(field.name, descriptor.fields_by_name)
    owners = [f.name for f in descriptor.fields if f.message_type and field.name in f.message_type.fields_by_name]
    if owners and (hint is None or f"'{field.name}'" in hint):
        hint = f"'{field.name}' belongs inside {' or '.join(owners[:3])}"
    report.error(f"{descriptor.name} has no field '{field.name}'", field.name_span, hint)


def _type_name(descriptor: FieldDescriptor) -> str:
    if descriptor.enum_type is not None:
        return "one of " + ", ".join(value.name for value in descriptor.enum_type.values)
    if descriptor.type in _INTEGER_RANGES:
        return "a whole number"
    names = {FieldDescriptor.TYPE_BOOL: "true or false", FieldDescriptor.TYPE_STRING: "a text in quotes", FieldDescriptor.TYPE_BYTES: "bytes in quotes"}
    return names.get(descriptor.type, "a number")


def _typed(scalar: Scalar, descriptor: FieldDescriptor, report: Report, name: str) -> object:
    """The scalar's value by the field's type, or None with a fault reported. The scalar is made printable."""
    kind = descriptor.type
    value: object = None
    hint = None
    if kind in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        value = _text_value(scalar, kind == FieldDescriptor.TYPE_BYTES)
        if scalar.kind == STRING and value is None:
            hint = "the text is not UTF-8"
    elif scalar.kind == STRING:
        hint = "without the quotes"
    elif kind == FieldDescriptor.TYPE_BOOL:
        value = _BOOLS.get(scalar.text)
    elif descriptor.enum_type is not None:
        value = _enum_value(scalar.text, descriptor.enum_type)
        hint = did_you_mean(scalar.text, descriptor.enum_type.values_by_name) if value is None else None
    elif kind in _INTEGER_RANGES:
        value = _integer_value(scalar.text)
        low, high = _INTEGER_RANGES[kind]
        if isinstance(value, int) and not low <= value <= high:
            report.error(f"'{name}' takes {low} to {high}, got {scalar.text}", scalar.span)
            return None
    else:
        value = _float_value(scalar.text)
    if value is None:
        report.error(f"'{name}' takes {_type_name(descriptor)}, got {scalar.text or 'nothing'}", scalar.span, hint)
        return None
    scalar.value = value
    scalar.kind, scalar.text = _printable(value, descriptor)
    return value


def _text_value(scalar: Scalar, as_bytes: bool) -> str | bytes | None:
    if scalar.kind == WORD:
        return None
    raw = scalar.value if isinstance(scalar.value, bytes) else scalar.text.encode(errors="surrogateescape")
    if as_bytes:
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _enum_value(text: str, enum: EnumDescriptor) -> int | None:
    if text in enum.values_by_name:
        return enum.values_by_name[text].number
    number = _integer_value(text)
    return number if number in enum.values_by_number else None


def _integer_value(text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if not match or len(text) > 30:
        return None
    sign, hexadecimal, octal, decimal = match.groups()
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
        except OverflowError:  # beyond 32 bits: protobuf stores infinity
            return "inf" if value > 0 else "-inf"
        text = next(t for t in (f"{value:.{digits}g}" for digits in range(1, 10)) if struct.pack("f", float(t)) == stored)
    return text.removesuffix(".0")


def _printable(value: object, descriptor: FieldDescriptor) -> tuple[str, str]:
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
