"""Scalars of a text as values of a field's type, and values as text."""

from __future__ import annotations

import re
import struct
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from netspec.diagnostics import Report
from netspec.hint import Hint
from netspec.schema.history import V1_TYPES
from netspec.syntax.tree import NULLS, PLAIN, STRING, WORD, Scalar

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
    r"(-?)(?:(\.?inf(?:inity)?|\.?nan)|"
    r"((?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fF]?)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# how YAML writes them
_SPECIAL_FLOATS = {".inf": "inf", "-.inf": "-inf", "+.inf": "inf", ".nan": "nan", "-.nan": "nan"}
_LEADING_ZERO = re.compile(r"-?0[0-9]")
_PLAIN = 1e7  # whole numbers below it are written without an exponent
_MAX_DIGITS = 30  # more than any integer field holds; Python refuses to read thousands
_MAX_NAMES = 8  # of an enum, in a message
_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}


def type_name(descriptor: FieldDescriptor) -> str:
    """What a field takes, in words."""
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


def shown_text(scalar: Scalar) -> str:
    """A scalar as a message tells it: on one line, not too long."""
    text = " ".join(scalar.text.split())
    if scalar.kind == STRING and text[:1] not in ("'", '"'):
        text = f'"{text}"'  # YAML's parser has taken the quotes off
    return (text if len(text) <= 60 else text[:60] + "…") or "nothing"


def typed_value(scalar: Scalar, descriptor: FieldDescriptor, report: Report, name: str) -> object:
    """The scalar's value by the field's type, or None with a fault reported.

    The scalar is made printable.
    """
    kind = descriptor.type
    value: object = None
    hint: Hint | str | None = None
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
            Hint("without the quotes")
            if descriptor.enum_type is None
            else _quoted_enum_hint(scalar, descriptor.enum_type, report)
        )
    elif kind == FieldDescriptor.TYPE_BOOL:
        value = _bool_value(scalar)
    elif descriptor.enum_type is not None:
        value = enum_value(scalar.text, descriptor.enum_type)
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
                f"'{name}' takes a whole number from {low} to {high}, got {shown_text(scalar)}",
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
        is_word = descriptor.enum_type is not None and scalar.kind != STRING
        tell = report.unknown if is_word and scalar.text.isidentifier() else report.error
        tell(f"'{name}' takes {type_name(descriptor)}, got {shown_text(scalar)}", scalar.span, hint)
        return None
    scalar.value = value
    scalar.kind, scalar.text = printable(value, descriptor)
    return value


def untyped(scalar: Scalar, is_text: bool = False) -> None:
    """Makes a scalar printable whose field is not known, so that its type is not either.

    A string's `value` stays bytes: by that the printer of YAML knows that it needs its quotes.
    """
    if scalar.kind == PLAIN:
        text = _SPECIAL_FLOATS.get(scalar.text.lower(), scalar.text)
        forms = (_WORD, _FLOAT, _INTEGER)
        is_word = not is_text and any(form.fullmatch(text) for form in forms)
        scalar.kind, scalar.text = (WORD, text) if is_word else (STRING, scalar.text)
    if scalar.kind == STRING:
        if not isinstance(scalar.value, bytes):
            scalar.value = scalar.text.encode(errors="surrogateescape")
        scalar.text = scalar.value.decode(errors="surrogateescape")


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


def _quoted_enum_hint(scalar: Scalar, enum: EnumDescriptor, report: Report) -> Hint | None:
    text = scalar.value.decode(errors="replace") if isinstance(scalar.value, bytes) else scalar.text
    return (
        Hint("without the quotes")
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


def enum_value(text: str, enum: EnumDescriptor) -> int | None:
    """The number of an enum's word, or of its number in digits; None where it has neither."""
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
        if "e+" in text and abs(value) < _PLAIN:  # 100, not 1e+02
            text = f"{float(text):.0f}"
    return text.removesuffix(".0")


def printable(value: Any, descriptor: FieldDescriptor) -> tuple[str, str]:
    """The kind and the text of a scalar that binds to a value."""
    if isinstance(value, (str, bytes)):
        return STRING, value if isinstance(value, str) else value.decode(errors="surrogateescape")
    if isinstance(value, bool):
        return WORD, str(value).lower()
    if descriptor.enum_type is not None:
        return WORD, descriptor.enum_type.values_by_number[value].name
    if isinstance(value, float):
        return WORD, float_text(value, descriptor.type == FieldDescriptor.TYPE_DOUBLE)
    return WORD, str(value)
