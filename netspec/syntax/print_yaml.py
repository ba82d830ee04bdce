"""A tree as YAML with the schema's field names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from netspec.diagnostics import NetspecError
from netspec.schema.extensions import find_field
from netspec.syntax.tree import NOT_UTF8, STRING, Block, Field, Scalar

_SAFE_TEXT = re.compile(r"[A-Za-z_/][\w./+-]*(?: [\w./+-]+)*", re.ASCII)
_RESERVED = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}
_SPECIAL_FLOATS = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}


def print_yaml(block: Block, descriptor: Descriptor) -> str:
    """The YAML of a bound tree.

    Block style, lists of scalars on one line, comments where they stood. What the schema does not
    know is written as it stands.

    Raises: NetspecError for a string of an unknown field that is not UTF-8.
    """
    return "".join(line + "\n" for line in _lines(block, descriptor)) or "{}\n"


def _lines(block: Block, descriptor: Descriptor | None) -> Iterator[str]:
    """The lines of a block's fields; without a descriptor, those of an unknown field's block."""
    groups: dict[str, list[Field]] = {}
    for field in block.fields:
        groups.setdefault(field.name, []).append(field)
    for name, fields in groups.items():
        schema = _schema_of(descriptor, name)
        inner = schema.message_type if schema is not None else None
        values = [value for field in fields for value in field.values]
        if all(isinstance(value, Scalar) for value in values) and inner is None:
            yield from _scalar_lines(name, fields)
        elif len(values) == 1 and not (schema is not None and schema.is_repeated):
            yield from _block_lines(name, fields[0], inner)
        else:
            yield from _list_lines(name, fields, inner)
    yield from _comment_lines(block.dangling, "")


def _schema_of(descriptor: Descriptor | None, name: str) -> FieldDescriptor | None:
    try:
        return find_field(descriptor, name) if descriptor is not None else None
    except KeyError:
        return None


def _block_lines(name: str, field: Field, descriptor: Descriptor | None) -> Iterator[str]:
    yield from _comment_lines(field.comments, "")
    value = field.values[0]
    if isinstance(value, Scalar):  # where a block was expected
        yield f"{name}: {_scalar_text(value)}"
        return
    inner = list(_lines(value, descriptor))
    yield (
        f"{name}:" + ("" if inner else " {}") + (f"  # {field.trailing}" if field.trailing else "")
    )
    yield from ("  " + line for line in inner)


def _list_lines(name: str, fields: list[Field], descriptor: Descriptor | None) -> Iterator[str]:
    yield f"{name}:" if any(field.values for field in fields) else f"{name}: []"
    for field in fields:
        yield from _comment_lines([*field.comments, *filter(None, [field.trailing])], "  ")
        for value in field.values:
            inner = (
                [_scalar_text(value)]
                if isinstance(value, Scalar)
                else list(_lines(value, descriptor)) or ["{}"]
            )
            yield from (("    " if i else "  - ") + line for i, line in enumerate(inner))


def _scalar_lines(name: str, fields: list[Field]) -> Iterator[str]:
    for field in fields:
        yield from _comment_lines(field.comments, "")
    texts = [
        _scalar_text(value)
        for field in fields
        for value in field.values
        if isinstance(value, Scalar)
    ]
    trailing = [field.trailing for field in fields if field.trailing]
    value = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    yield f"{name}: {value}" + (f"  # {'; '.join(trailing)}" if trailing else "")


def _comment_lines(comments: list[str], indent: str) -> Iterator[str]:
    return (f"{indent}# {comment}".rstrip() for comment in comments)


def _scalar_text(scalar: Scalar) -> str:
    if scalar.kind != STRING:
        return _SPECIAL_FLOATS.get(scalar.text, scalar.text)
    is_typed = not isinstance(scalar.value, bytes)  # else a word would be no string any more
    if is_typed and _SAFE_TEXT.fullmatch(scalar.text) and scalar.text.lower() not in _RESERVED:
        return scalar.text
    if NOT_UTF8.search(scalar.text):
        raise NetspecError("this text is not UTF-8, which YAML can't hold", scalar.span)
    return '"' + "".join(_escaped(char) for char in scalar.text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08X}"
