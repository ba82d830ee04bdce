"""The fields in which two messages differ, each with its place in both files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from netspec.schema.extensions import states, value_of
from netspec.syntax.bind import Spans, unbind
from netspec.syntax.prototxt import scalar_text
from netspec.syntax.scalar_value import printable
from netspec.syntax.tree import Block, Scalar

JsonValue = int | float | bool | str | list[Any]
NOWHERE = Spans(None, None)


class Value(NamedTuple):
    """A field's value: as prototxt has it, and as JSON."""

    text: str
    json: JsonValue


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that two files state differently; None where one of them does not state it."""

    path: str  # such as convolution_param.num_output or param[0].lr_mult
    old: Value | None
    new: Value | None
    old_line: int | None = None
    new_line: int | None = None
    note: str = ""


def compare_fields(
    old: Message,
    new: Message,
    old_place: Spans = NOWHERE,
    new_place: Spans = NOWHERE,
    skip: Sequence[str] = (),
    prefix: str = "",
) -> list[FieldChange]:
    """What differs, in the order of the fields' numbers.

    A field that states its default is the same as one that is left out; where the schema declares
    none, it matters whether it is stated (`phase` of a rule, `use_global_stats`).

    Args: skip: fields of the messages themselves that are not compared.
    """
    changes: list[FieldChange] = []
    fields = {field.number: field for message in (old, new) for field, _ in message.ListFields()}
    for field in (fields[number] for number in sorted(fields) if fields[number].name not in skip):
        one, other = value_of(old, field), value_of(new, field)
        places = [place.fields.get(field.name, []) for place in (old_place, new_place)]
        path = prefix + field.name
        if field.is_repeated and field.message_type is not None:
            changes += _compare_blocks(path, one, other, places)
        elif field.message_type is not None:
            inner = [place[0] if place else NOWHERE for place in places]
            changes += compare_fields(one, other, inner[0], inner[1], prefix=f"{path}.")
        elif field.is_repeated:
            if not _are_same(list(one), list(other)):
                at = _first_difference(one, other)
                shown = [_list_value(value, field) if value else None for value in (one, other)]
                changes.append(_change(path, shown, places, at))
        elif not _are_same([one], [other]) or (
            states(old, field) != states(new, field) and not field.has_default_value
        ):
            stated = [(states(old, field), one), (states(new, field), other)]
            shown = [_value(value, field) if is_stated else None for is_stated, value in stated]
            changes.append(_change(path, shown, places, 0))
    return changes


def _change(
    path: str, values: list[Value | None], places: list[list[Spans]], index: int
) -> FieldChange:
    lines = [
        line_of(place, index) if value is not None else None
        for place, value in zip(places, values, strict=True)
    ]
    return FieldChange(path, values[0], values[1], lines[0], lines[1])


def _compare_blocks(
    path: str, old: Sequence[Message], new: Sequence[Message], places: list[list[Spans]]
) -> list[FieldChange]:
    """What differs between two lists of blocks, item by item."""
    changes: list[FieldChange] = []
    for i, (one, other) in enumerate(zip_longest(old, new)):
        inner = [place[i] if i < len(place) else NOWHERE for place in places]
        here = f"{path}[{i}]"
        if one is not None and other is not None:
            changes += compare_fields(one, other, inner[0], inner[1], prefix=f"{here}.")
        else:
            changes.append(_change(here, [_block_value(one), _block_value(other)], places, i))
    return changes


def _block_value(message: Message | None) -> Value | None:
    if message is None:
        return None
    text = block_text(unbind(message))
    return Value(text, text)


def _are_same(old: list[Any], new: list[Any]) -> bool:
    """Whether values are equal; two nan are."""
    return len(old) == len(new) and all(
        a == b or (a != a and b != b) for a, b in zip(old, new, strict=True)
    )


def _first_difference(old: Sequence[Any], new: Sequence[Any]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))


def _value(value: Any, field: FieldDescriptor) -> Value:
    kind, text = printable(value, field)
    shown = scalar_text(Scalar(kind, text, None, value))
    is_plain = field.enum_type is None and not isinstance(value, (float, bytes))
    return Value(shown, value if is_plain else _float(text) if isinstance(value, float) else text)


def _float(text: str) -> float | str:
    """The number that a text shows; JSON has no word for inf and nan."""
    return text if text.lstrip("-") in ("inf", "nan") else float(text)


def _list_value(values: Sequence[Any], field: FieldDescriptor) -> Value:
    each = [_value(value, field) for value in values]
    text = each[0].text if len(each) == 1 else f"[{', '.join(value.text for value in each)}]"
    return Value(text, [value.json for value in each])


def block_text(block: Block) -> str:
    """A block on one line, without its comments."""
    fields = [
        f"{field.name} {block_text(value)}"
        if isinstance(value, Block)
        else f"{field.name}: {scalar_text(value)}"
        for field in block.fields
        for value in field.values
    ]
    return f"{{ {' '.join(fields)} }}" if fields else "{}"


def line_of(places: list[Spans], index: int) -> int | None:
    """The line of a field's value, of the last one where it has not so many."""
    if not places:
        return None
    span = places[min(index, len(places) - 1)].at()
    return span.line if span is not None else None
