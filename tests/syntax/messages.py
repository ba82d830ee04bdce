"""Random messages of the schema, and random ways to write them as text format."""

from __future__ import annotations

import struct
import warnings
from random import Random
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from netspec.diagnostics import NetspecError, Report, Source
from netspec.syntax.bind import bind
from netspec.syntax.read import parse_source

M = TypeVar("M", bound=Message)
_INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}


def read(text: str, message: M, suffix: str = ".prototxt") -> M:
    """What netspec reads. Raises: NetspecError."""
    report = Report()
    bind(parse_source(Source("net" + suffix, text)), message, report)
    report.raise_errors()
    return message


def faults(text: str, message: Message, suffix: str = ".prototxt") -> list[str]:
    """Line, column and message of each fault that netspec finds."""
    try:
        read(text, message, suffix)
    except NetspecError as error:
        return [
            ":".join(str(d.span).rsplit(":", 2)[1:]) + ": " + d.message for d in error.diagnostics
        ]
    return []


def oracle(text: str, message: Message) -> Message:
    """What protobuf's own parser reads. Raises: text_format.ParseError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it reads unknown escapes with a warning
        text_format.Parse(text, message)
    if not message.IsInitialized():  # its C++ parser looks after required fields by itself
        raise text_format.ParseError("a required field is missing")
    return message


def same(a: Message, b: Message) -> bool:
    """Equality by bytes, so that a NaN equals itself."""
    return a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True)


def _scalars(field: FieldDescriptor) -> st.SearchStrategy:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type in _INTEGERS:
        low, high = _INTEGERS[field.type]
        return st.integers(low, high) | st.sampled_from(
            [n for n in (0, 1, 2, 7, -1, low, high) if low <= n <= high]
        )
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(max_size=8) | st.sampled_from(
            [
                "conv1",
                "no",
                "null",
                "~",
                "1e-3",
                "010",
                "a: b",
                "# x",
                "\x00\x07\n\t\\\"'",
                "x-1",
                "é\u2028\ufeff",
            ]
        )
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=8)
    # only one NaN: text has no word for the others
    return st.floats(
        width=32 if field.type == FieldDescriptor.TYPE_FLOAT else 64, allow_nan=False
    ) | st.just(float("nan"))


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], depth: int = 3, most: int = 4) -> Message:
    """A message with some of its fields set, blocks within blocks up to a depth.

    Fields of bytes stay unset.
    """
    message = kind()
    _fill(draw, message, depth, most)
    return message


def _fill(draw: st.DrawFn, message: Message, depth: int, most: int) -> None:
    fields = [
        f
        for f in message.DESCRIPTOR.fields
        if f.type != FieldDescriptor.TYPE_BYTES and (depth or f.message_type is None)
    ]
    if not fields:
        return
    chosen = draw(st.lists(st.sampled_from(fields), max_size=most, unique_by=lambda f: f.name))
    for field in [*chosen, *(f for f in fields if f.is_required and f not in chosen)]:
        count = draw(st.integers(0, 3)) if field.is_repeated else 1
        for _ in range(count):
            if field.message_type is not None:
                child = getattr(message, field.name)
                if field.is_repeated:
                    child = child.add()
                else:
                    child.SetInParent()
                _fill(draw, child, depth - 1, most)
            elif field.is_repeated:
                getattr(message, field.name).append(draw(_scalars(field)))
            else:
                setattr(message, field.name, draw(_scalars(field)))


class Writer:
    """Writes a message in one of the many ways that text format allows, chosen by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def text(self, message: Message) -> str:
        parts = [self._field(field, value) for field, value in message.ListFields()]
        self.random.shuffle(parts)
        return self._gap(0).join(["", *parts, ""])

    def _gap(self, least: int = 1) -> str:
        gaps = ["", " ", "\n", "\t", "  ", "\r\n", " # a comment: { \" '\n", "\n#\n", "\v\f"]
        return self.random.choice(gaps[1 if least else 0 :])

    def _field(self, field: FieldDescriptor, value: object) -> str:
        values = list(value) if field.is_repeated else [value]
        if field.is_repeated and self.random.random() < 0.3:
            colon = ":" if field.message_type is None or self.random.random() < 0.5 else ""
            items = (self._gap(0) + "," + self._gap(0)).join(self._value(field, v) for v in values)
            return (
                self._gap()
                + field.name
                + self._gap(0)
                + colon
                + self._gap(0)
                + "["
                + items
                + "]"
                + self._end()
            )
        return "".join(
            self._gap() + field.name + self._gap(0) + self._bare(field, v) + self._end()
            for v in values
        )

    def _end(self) -> str:
        return self._gap(0) + self.random.choice(["", "", ";", ","]) + self._gap()

    def _bare(self, field: FieldDescriptor, value: object) -> str:
        colon = ":" if field.message_type is None or self.random.random() < 0.3 else ""
        return colon + self._gap(0) + self._value(field, value)

    def _value(self, field: FieldDescriptor, value: object) -> str:
        if isinstance(value, Message):
            opening, closing = self.random.choice([("{", "}"), ("<", ">")])
            return opening + self._gap(0) + self.text(value) + self._gap(0) + closing
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, bool):
            return self.random.choice(
                ["true", "True", "t", "1"] if value else ["false", "False", "f", "0"]
            )
        if field.enum_type is not None:
            return self.random.choice(
                [field.enum_type.values_by_number[value].name, str(value), hex(value)]
            )
        if isinstance(value, int):
            octal = ("-" if value < 0 else "") + "0" + oct(abs(value))[2:]
            return self.random.choice([str(value), str(value), hex(value), octal])
        return self._float(field, value)

    def _float(self, field: FieldDescriptor, value: object) -> str:
        assert isinstance(value, float)
        if value != value or value in (float("inf"), float("-inf")):
            text = str(value)
            return self.random.choice([text, text.upper(), text.replace("inf", "Infinity")])
        texts = [repr(value), f"{value:.17e}", repr(value) + "f"]
        if value == int(value) and abs(value) < 1e9:
            texts += [f"{value:.0f}", f"{value:.0f}.", f"{value:.0f}.f", f"{value:.0f}F"]
        return self.random.choice(texts)

    def _string(self, value: str) -> str:
        cut = self.random.randint(0, len(value)) if self.random.random() < 0.3 else len(value)
        pieces = [value[:cut], value[cut:]] if cut < len(value) else [value]
        return self._gap(0).join(self._quoted(piece) for piece in pieces)

    def _quoted(self, piece: str) -> str:
        quote = self.random.choice("\"'")
        return quote + "".join(self._char(char, quote) for char in piece) + quote

    def _char(self, char: str, quote: str) -> str:
        named = {
            "\n": "\\n",
            "\t": "\\t",
            "\r": "\\r",
            "\a": "\\a",
            "\b": "\\b",
            "\f": "\\f",
            "\v": "\\v",
            "\\": "\\\\",
        }
        code, raw = ord(char), char.encode()
        escapes = [
            "".join(f"\\{byte:03o}" for byte in raw),
            "".join(f"\\x{byte:02x}" for byte in raw),
        ]
        if char != "\\":  # text_format reads \u005c as the beginning of another escape
            escapes += (
                [f"\\u{code:04X}", f"\\U{code:08x}"] if code < 0x10000 else [f"\\U{code:08x}"]
            )
        escapes += [named[char]] if char in named else [f"\\{char}"] if char in "\"'" else []
        if char in ("\n", "\\", quote):
            return self.random.choice(escapes)
        return char if self.random.random() < 0.8 else self.random.choice(escapes)


def float32(value: float) -> float:
    """The nearest value that a float field can hold."""
    return struct.unpack("f", struct.pack("f", value))[0]


def fields_below(descriptor: Descriptor) -> set[str]:
    """The names of all fields that may stand somewhere in a message."""
    names: set[str] = set()
    todo, seen = [descriptor], set()
    while todo:
        here = todo.pop()
        if here.full_name in seen:
            continue
        seen.add(here.full_name)
        names.update(field.name for field in here.fields)
        todo += [field.message_type for field in here.fields if field.message_type]
    return names
