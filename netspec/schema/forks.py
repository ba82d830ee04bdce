"""The fields of Caffe's forks (forks.proto) and netspec's own (netspec.proto).

They are extensions that texts know by their short names. A net that needs none of them does not
load their schema.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from google.protobuf.descriptor import FieldDescriptor


@cache
def fork_fields() -> dict[tuple[str, str], FieldDescriptor]:
    """Every field that a fork or netspec adds, by its message's full name and its short name."""
    from netspec.schema import forks_pb2, netspec_pb2

    found: dict[tuple[str, str], FieldDescriptor] = {}
    for file in (forks_pb2, netspec_pb2):
        for scope in file.DESCRIPTOR.message_types_by_name.values():
            for field in scope.extensions:
                owner: Any = field.containing_type
                found[owner.full_name, field.name] = field
    return found


def fork_field(owner: Any, name: str) -> FieldDescriptor | None:
    """The field of that name that a fork or netspec adds to a message of caffe.proto, or None."""
    return fork_fields().get((owner.full_name, name))


def fork_word(field: FieldDescriptor, word: str) -> FieldDescriptor | None:
    """The fork's field that takes a word which an enum of caffe.proto does not have, or None."""
    found: Any = fork_field(field.containing_type, field.name)
    return found if found is not None and word in found.enum_type.values_by_name else None


def is_fork_field(field: FieldDescriptor) -> bool:
    """Whether a stated field is one of a fork."""
    return field.is_extension and field.full_name.startswith("caffe.forks.")


def is_own_field(field: FieldDescriptor) -> bool:
    """Whether a stated field is one of netspec's own."""
    return field.is_extension and field.full_name.startswith("caffe.netspec.")


def stated(message: Any, name: str) -> Any:
    """The value of an extension that a message states, by its short name, or None."""
    return next(
        (
            value
            for field, value in message.ListFields()
            if field.is_extension and field.name == name
        ),
        None,
    )


def stated_word(message: Any, name: str) -> str | None:
    """The word of a fork's that stands in a field of caffe.proto's, or None."""
    for field, value in message.ListFields():
        if field.is_extension and field.name == name and field.enum_type is not None:
            return str(field.enum_type.values_by_number[value].name)
    return None


def states_any(message: Any, param: str, *fields: str) -> bool:
    """Whether a layer states one of these fields of a fork's parameters."""
    found = stated(message, param)
    return found is not None and any(found.HasField(field) for field in fields)


def plain_values(message: Any) -> SimpleNamespace:
    """A message's values as a module may hold them: a message itself can't be pickled.

    A message inside is None where it is not stated.
    """
    values = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            value = [plain_values(each) if field.message_type else each for each in value]
        elif field.message_type is not None:
            value = plain_values(value) if message.HasField(field.name) else None
        values[field.name] = value
    return SimpleNamespace(**values)
