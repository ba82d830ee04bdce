"""The settings of a layer that a picture shows, each a few words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf.message import Message

from netspec.graph import Layer, sizes_text
from netspec.syntax.scalar_value import float_text


class Setting(NamedTuple):
    """A field of a layer's own parameter message and how it reads.

    It is left out at its default unless `always`.
    """

    field: str
    text: str
    always: bool = False


OUTPUTS, NO_BIAS = Setting("num_output", "{} outputs", True), Setting("bias_term", "no bias")
POINT = (Setting("base", "base {}"), Setting("scale", "scale {}"), Setting("shift", "shift {}"))
AXES = (Setting("axis", "axis {}"), Setting("num_axes", "num_axes {}"))
IGNORED = (
    Setting("ignore_label", "ignores label {}"),
    Setting("normalization", "normalised by {}"),
)


def shown_settings(message: Message, rows: Iterable[Setting]) -> list[str]:
    """What the rows say of a layer's parameters."""
    shown = []
    for row in rows:
        if row.always or differs(message, row.field):
            value = value_text(message, row.field)
            shown.append(row.text.removesuffix("s" if value == "1" else "").format(value))
    return [text for text in shown if text]


def differs(message: Message, field: str) -> bool:
    """Whether a field says something else than its default.

    A label to ignore is never a default.
    """
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    value = getattr(message, field)
    if descriptor.is_repeated:
        return bool(value)
    return value != descriptor.default_value or (
        field == "ignore_label" and message.HasField(field)
    )


def value_text(message: Message, field: str) -> str:
    """The value of a field for people: with commas between several, an enum's as its name."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    value = getattr(message, field)
    values = value if descriptor.is_repeated else [value]
    if descriptor.enum_type is not None:
        return ", ".join(descriptor.enum_type.values_by_number[item].name for item in values)
    return ", ".join(float_text(item) if isinstance(item, float) else str(item) for item in values)


def spatial_axes(layer: Layer) -> int:
    """The number of axes a kernel runs over; 2 where the bottom's shape isn't known."""
    shape = layer.bottom_blobs[0].shape if layer.bottom_blobs else None
    return max(1, len(shape) - 2) if shape else 2


def window_sizes(message: Message, field: str, default: int, axes: int) -> tuple[int, ...]:
    """One size an axis, whether the file spells `field`, a list of it, or `field`_h, `field`_w."""
    stem = field.removesuffix("_size")
    across = [f"{stem}_h", f"{stem}_w"]
    if any(name in message.DESCRIPTOR.fields_by_name and message.HasField(name) for name in across):
        return tuple(getattr(message, name) for name in across)
    value = getattr(message, field, [])  # pooling has no dilation
    values = [value] if isinstance(value, int) else list(value)
    return tuple(values) if len(values) > 1 else tuple(values or [default]) * axes


def window_words(message: Message, axes: int) -> list[str]:
    """Stride, pad and dilation where they do something: 'stride 4', 'pad 1×0'."""
    shown = []
    for field, default in (("stride", 1), ("pad", 0), ("dilation", 1)):
        sizes = window_sizes(message, field, default, axes)
        if any(size != default for size in sizes):
            shown.append(f"{field} {sizes[0] if len(set(sizes)) == 1 else sizes_text(sizes)}")
    return shown
