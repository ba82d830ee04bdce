"""Fields that caffe.proto does not have: proto2 extensions, known in texts by their short names.

Those of Caffe's forks stand in forks.proto, netspec's own in netspec.proto (forks.py). A layer type
from outside describes the message of its own parameters in Python (`fields` of its spec); the
message and the field of LayerParameter that holds it are made when a net first names the field.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor

from netspec.diagnostics import NetspecError
from netspec.plugins import Plugin, plugins
from netspec.schema import caffe_pb2
from netspec.schema.forks import fork_field

# where the extensions of caffe.proto begin; text alone names them, so that the numbers mean nothing
_FIRST_NUMBER = 10000
_KINDS = {
    "float": FieldDescriptor.TYPE_FLOAT,
    "int": FieldDescriptor.TYPE_INT32,
    "uint": FieldDescriptor.TYPE_UINT32,
    "bool": FieldDescriptor.TYPE_BOOL,
    "string": FieldDescriptor.TYPE_STRING,
}


class Field(NamedTuple):
    """A field of a layer type's own parameters.

    `kind` is float, int, uint, bool, string, a message of caffe.proto such as "FillerParameter", or
    a tuple of the names of an enum's values, the first of which is its default.
    """

    name: str
    kind: str | tuple[str, ...]
    default: float | int | bool | str | None = None
    repeated: bool = False
    doc: str = ""


class _Known(NamedTuple):
    """A made extension and the plugin that it is of."""

    descriptor: FieldDescriptor
    fields: tuple[Field, ...]
    plugin: Plugin


_made: dict[str, _Known] = {}  # by the name of the field of LayerParameter
_LAYER: Any = caffe_pb2.LayerParameter.DESCRIPTOR


def extension(owner: Any, name: str) -> FieldDescriptor | None:
    """The field of that name that is no field of the message in caffe.proto, or None.

    Raises: NetspecError.
    """
    return (_of_plugin(name) if owner.full_name == _LAYER.full_name else None) or fork_field(
        owner, name
    )


def _of_plugin(name: str) -> FieldDescriptor | None:
    if name in _made:
        return _made[name].descriptor
    for plugin in plugins():
        for spec in plugin.specs:
            if spec.param == name and spec.fields:
                _made[name] = _make(spec, plugin)
                return _made[name].descriptor
    return None


def extension_comments() -> dict[str, str]:
    """What the fields of extensions mean, by the full name of each."""
    comments = {}
    for known in _made.values():
        for field in known.fields:
            message: Any = known.descriptor.message_type
            comments[f"{message.full_name}.{field.name}"] = field.doc
    return comments


def find_field(owner: Any, name: str) -> FieldDescriptor:
    """The field of that name, of the schema or of an extension. Raises: KeyError."""
    found = owner.fields_by_name.get(name) or extension(owner, name)
    if found is None:
        raise KeyError(name)
    return found


def value_of(message: Any, field: FieldDescriptor) -> Any:
    """A field's value, also an extension's."""
    return message.Extensions[field] if field.is_extension else getattr(message, field.name)


def set_value(message: Any, field: FieldDescriptor, value: Any) -> None:
    """Gives a scalar field a value, also an extension; a repeated one gets one more."""
    if field.is_repeated:
        value_of(message, field).append(value)
    elif field.is_extension:
        message.Extensions[field] = value
    else:
        setattr(message, field.name, value)


def clear_value(message: Any, field: FieldDescriptor) -> None:
    """Takes a field's value away, also an extension's."""
    if field.is_extension:
        message.ClearExtension(field)
    else:
        message.ClearField(field.name)


def states(message: Any, field: FieldDescriptor) -> bool:
    """Whether a message states a field that is not repeated, also an extension's."""
    return bool(message.HasExtension(field) if field.is_extension else message.HasField(field.name))


def _make(spec: Any, plugin: Plugin) -> _Known:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.descriptor_pool import Default as default_pool

    fields = tuple(spec.fields)
    package = f"netspec_extension_{len(_made)}"
    file = FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto2", dependency=["caffe.proto"]
    )
    message = file.message_type.add(name="".join(part.title() for part in spec.param.split("_")))
    for number, field in enumerate(fields, 1):
        _add_field(message, number, field, plugin, spec)
    file.extension.add(
        name=spec.param,
        number=_FIRST_NUMBER + len(_made),
        type=FieldDescriptor.TYPE_MESSAGE,
        label=FieldDescriptor.LABEL_OPTIONAL,
        type_name=f".{package}.{message.name}",
        extendee=".caffe.LayerParameter",
    )
    pool = default_pool()
    try:
        pool.AddSerializedFile(file.SerializeToString())
    except TypeError as error:
        raise _fault(plugin, spec, f"its fields are not what protobuf takes: {error}") from None
    return _Known(pool.FindExtensionByName(f"{package}.{spec.param}"), fields, plugin)


def _add_field(message: Any, number: int, field: Field, plugin: Plugin, spec: Any) -> None:
    label = FieldDescriptor.LABEL_REPEATED if field.repeated else FieldDescriptor.LABEL_OPTIONAL
    made = message.field.add(name=field.name, number=number, label=label)
    if isinstance(field.kind, tuple):
        enum = message.enum_type.add(name="".join(part.title() for part in field.name.split("_")))
        for value, name in enumerate(field.kind):
            enum.value.add(name=name, number=value)
        made.type, made.type_name = FieldDescriptor.TYPE_ENUM, enum.name
    elif field.kind in _KINDS:
        made.type = _KINDS[field.kind]
    elif field.kind in caffe_pb2.DESCRIPTOR.message_types_by_name:
        made.type, made.type_name = FieldDescriptor.TYPE_MESSAGE, f".caffe.{field.kind}"
    else:
        kinds = ", ".join([*_KINDS, "a message of caffe.proto", "a tuple of names"])
        raise _fault(
            plugin, spec, f"its field '{field.name}' is of kind '{field.kind}', expected {kinds}"
        )
    if field.default is not None:
        made.default_value = (
            str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        )


def _fault(plugin: Plugin, spec: Any, what: str) -> NetspecError:
    return NetspecError(
        f"the plugin '{plugin.origin}' can't define layer type '{spec.type}': {what}"
    )
