"""caffe_pb2 as scripts import it: Caffe's messages with the fields of its forks among their own.

In netspec's schema the forks' fields are extensions (schema/forks.proto); scripts of SSD and others
write `layer.prior_box_param.min_size`, and merge texts by protobuf's text format, which does not
know extensions by their short names. Numbers of the forks' fields are netspec's own: text is what
goes in and out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from netspec.schema import caffe_pb2 as _caffe
from netspec.schema import forks_pb2 as _forks

_FILE = "netspec/pycaffe/caffe.proto"
_OWN, _FORKS = ".caffe.", ".caffe.forks."


def _joined() -> FileDescriptorProto:
    """caffe.proto with the forks' messages, and their fields where these extend Caffe's own."""
    joined, forks = FileDescriptorProto(), FileDescriptorProto()
    _caffe.DESCRIPTOR.CopyToProto(joined)
    _forks.DESCRIPTOR.CopyToProto(forks)
    joined.name = _FILE
    known = {message.name: message for message in joined.message_type}
    for message in joined.message_type:
        del message.extension_range[:]
    extending = [message for message in forks.message_type if message.extension]
    for message in forks.message_type:
        if message.name not in known:
            joined.message_type.add().CopyFrom(message)
            del joined.message_type[-1].extension[:]
    enums = {enum.name for enum in joined.enum_type}
    joined.enum_type.extend(enum for enum in forks.enum_type if enum.name not in enums)
    for message in extending:
        _extend(known, message)
    for field in _fields(joined.message_type):
        if field.type_name:
            field.type_name = field.type_name.replace(_FORKS, _OWN)
    return joined


def _extend(known: dict[str, DescriptorProto], fields: DescriptorProto) -> None:
    """Adds a message of extensions to the messages that they extend.

    An extension that has the name of a field holds words that a fork adds to the field's enum.
    """
    for field in fields.extension:
        owner = known[field.extendee.rpartition(".")[2]]
        field.ClearField("extendee")
        own = next((each for each in owner.field if each.name == field.name), None)
        if own is None:
            owner.field.append(field)
        elif own.type == FieldDescriptorProto.TYPE_ENUM:
            _add_words(_enum(owner, own), _enum(fields, field))


def _enum(message: DescriptorProto, field: FieldDescriptorProto) -> EnumDescriptorProto | None:
    """A message's own enum of a field's type; None where it stands elsewhere."""
    name = field.type_name.rpartition(".")[2]
    return next((enum for enum in message.enum_type if enum.name == name), None)


def _add_words(own: EnumDescriptorProto | None, more: EnumDescriptorProto | None) -> None:
    if own is None or more is None:
        return
    words = {value.name for value in own.value}
    number = max(value.number for value in own.value)
    for value in more.value:
        if value.name not in words:
            number += 1
            own.value.add(name=value.name, number=number)


def _fields(messages: Any) -> Iterator[FieldDescriptorProto]:
    for message in messages:
        yield from message.field
        yield from _fields(message.nested_type)


def _names(file: Any) -> dict[str, Any]:
    """What the module has: messages, enums and their values, by their names in caffe.proto."""
    names: dict[str, Any] = {"DESCRIPTOR": file}
    for name, message in file.message_types_by_name.items():
        names[name] = message_factory.GetMessageClass(message)
    for name, enum in file.enum_types_by_name.items():
        names[name] = EnumTypeWrapper(enum)
        names |= {value.name: value.number for value in enum.values}
    return names


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_joined())
_NAMES = _names(_POOL.FindFileByName(_FILE))
globals().update(_NAMES)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"caffe.proto has no '{name}'")
