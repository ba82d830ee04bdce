"""The tree that both syntaxes parse into: blocks of fields, each with its span and its comments."""

from __future__ import annotations

import re

from netspec.diagnostics import Span

# What kind of text a scalar was written as. A YAML plain scalar may turn out to be any of them.
STRING, WORD, PLAIN = "string", "word", "plain"
NULLS = ("", "~", "null")  # plain scalars by which YAML says nothing
# words, numbers and signs of a text: about 60,000 layers; reading so many takes some ten seconds
MAX_PARTS = 1_500_000
NOT_UTF8 = re.compile("[\\udc80-\\udcff]")  # how read_source keeps such bytes
MAX_DEPTH = 100  # blocks within blocks; as in protobuf's own text format


class Scalar:
    """One value: its kind, its text (a string's bytes are decoded in `value`), its span.

    `value` is a string's bytes from the parser; binding replaces it by the typed value of the
    field.
    """

    __slots__ = ("kind", "span", "text", "value")

    def __init__(self, kind: str, text: str, span: Span | None, value: object = None) -> None:
        self.kind = kind
        self.text = text
        self.span = span
        self.value = value


class Field:
    """`name: value`, `name { … }` or `name: [v, …]`; a list holds more values than one, or none."""

    __slots__ = ("comments", "is_list", "name", "name_span", "trailing", "values")

    def __init__(
        self, name: str, name_span: Span | None, values: list[Scalar | Block], is_list: bool = False
    ) -> None:
        self.name = name
        self.name_span = name_span
        self.values = values
        self.is_list = is_list
        self.comments: list[str] = []  # lines above the field
        self.trailing: str | None = None  # behind the value, on its line


class Block:
    """The fields between two braces, or of a whole file."""

    __slots__ = ("dangling", "fields", "span")

    def __init__(self, fields: list[Field], span: Span | None) -> None:
        self.fields = fields
        self.span = span
        self.dangling: list[str] = []  # comments behind the last field
