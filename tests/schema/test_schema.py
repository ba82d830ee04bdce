"""caffe.proto and its module say what Caffe's wire format says, and explain every line of it."""

import csv
import struct
from ast import literal_eval
from pathlib import Path

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from netspec.schema import caffe_pb2

TABLE = Path(__file__).parents[1] / "reference" / "schema.tsv"
PROTO = Path(caffe_pb2.__file__).with_name("caffe.proto")


def table_rows():
    """Every row of the table as a tuple.

    A default is a Python value, or None where none is declared.
    """
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    enums = {row["scope"] for row in rows if row["kind"] == "enum"}
    for row in rows:
        if row["kind"] == "enum":
            yield "enum", row["scope"], row["name"], int(row["number"])
            continue
        default = row["default"] or None
        if default is not None and row["type"] not in enums:
            default = literal_eval(default)
        yield field_row(
            row["scope"],
            row["name"],
            row["number"],
            row["label"],
            row["type"],
            default,
            row["packed"],
        )


def field_row(scope, name, number, label, type_name, default, packed):
    if isinstance(default, float):
        default = struct.unpack("f", struct.pack("f", default))[0]
    return "field", scope, name, int(number), label, type_name, default, bool(packed)


def module_rows(file):
    """The same rows from a generated module's file descriptor."""
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    for enum in proto.enum_type:
        yield from enum_rows("", enum)
    for message in proto.message_type:
        yield from message_rows("", message, file.message_types_by_name[message.name])


def enum_rows(prefix, enum):
    for value in enum.value:
        yield "enum", prefix + enum.name, value.name, value.number


def message_rows(prefix, message, descriptor):
    scope = prefix + message.name
    for enum in message.enum_type:
        yield from enum_rows(scope + ".", enum)
    for nested in message.nested_type:
        yield from message_rows(scope + ".", nested, descriptor.nested_types_by_name[nested.name])
    for field in message.field:
        label = FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower()
        type_name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        if field.type_name:
            type_name = field.type_name.removeprefix(".caffe.")
        default = default_of(descriptor.fields_by_name[field.name])
        yield field_row(
            scope, field.name, field.number, label, type_name, default, field.options.packed
        )


def default_of(field):
    # protobuf gives every scalar a default; only has_default_value says whether one is declared.
    if not field.has_default_value:
        return None
    if field.enum_type is not None:
        return field.enum_type.values_by_number[field.default_value].name
    return field.default_value


def proto_declarations():
    """Every declaration of caffe.proto with the line above it.

    (line number, statement, scope, line above).
    """
    scope, above = [], ""
    for number, line in enumerate(PROTO.read_text().splitlines(), 1):
        statement = line.strip()
        if statement == "}":
            scope.pop()
        elif statement.startswith("//"):
            pass
        elif statement.endswith("{"):
            yield number, statement, tuple(scope), above
            scope.append(statement.split()[1])
        elif scope and statement.endswith(";") and not statement.startswith("extensions "):
            yield number, statement, tuple(scope), above
        above = statement


def test_module_matches_table():
    expected, found = set(table_rows()), set(module_rows(caffe_pb2.DESCRIPTOR))
    assert sorted(map(repr, expected - found)) == [], "in the table, not in the module"
    assert sorted(map(repr, found - expected)) == [], "in the module, not in the table"


def test_table_has_no_duplicates_and_every_message():
    rows = list(table_rows())
    assert len(rows) == len(set(rows))
    # a message without fields would show up nowhere in the rows above
    assert {row[1] for row in rows if row[0] == "field"} == set(
        caffe_pb2.DESCRIPTOR.message_types_by_name
    )


def test_module_is_proto2_in_package_caffe():
    proto = FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(proto)
    assert (proto.name, proto.package, proto.syntax) == ("caffe.proto", "caffe", "")  # "" is proto2


def test_module_is_made_from_the_proto_beside_it():
    """Names and numbers agree. If they do not, run tools/regenerate_schema.sh."""
    written = []
    for _, statement, scope, _ in proto_declarations():
        if statement.endswith(";"):
            name, number = statement.rstrip(";").split(" [")[0].split(" = ")
            written.append((".".join(scope), name.split()[-1], int(number)))
    generated = [row[1:4] for row in module_rows(caffe_pb2.DESCRIPTOR)]
    assert sorted(written) == sorted(generated)


def test_every_declaration_has_a_comment():
    missing = [
        f"caffe.proto:{number}: {statement}"
        for number, statement, _, above in proto_declarations()
        if not above.startswith("// ")
    ]
    assert missing == []


def test_layout_of_the_proto():
    for number, line in enumerate(PROTO.read_text().splitlines(), 1):
        assert len(line) <= 110, f"caffe.proto:{number}"
        assert line == line.rstrip().replace("\t", " "), f"caffe.proto:{number}"
