"""`netspec layers`: the layer types.

`netspec layers TYPE`: what one needs to know to write a layer of it.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from textwrap import fill
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from netspec.cli.state import configure_plugin
from netspec.diagnostics import NetspecError, Report, Source
from netspec.graph import Net, shape_text
from netspec.layers import all_specs, find_spec, rules_of, unknown_type
from netspec.layers.parameter_fields import parameter_fields
from netspec.layers.spec import Spec
from netspec.options import NetOptions
from netspec.pipeline import assemble, read_net
from netspec.schema import caffe_pb2
from netspec.schema.comments import schema_comments
from netspec.schema.extensions import extension_comments
from netspec.syntax.bind import bind
from netspec.syntax.prototxt import parse, print_tree

_WIDTH = 120
_WHOLE = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)
_FROM_ZERO = (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64)
_COMMON = "name, type, bottom, top, phase, loss_weight, param, propagate_down, include, exclude"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "type", nargs="?", help="a layer type, such as Pooling; without one all are listed"
    )
    configure_plugin(parser)
    parser.add_argument(
        "--format",
        choices=["text", "markdown"],
        default="text",
        help="of the list (default %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    if args.type is not None and find_spec(args.type) is None:
        message, hint = unknown_type(args.type)
        raise NetspecError(message, hint=hint or "`netspec layers` lists the types")
    if args.type is not None:
        sys.stdout.write(layer_page(args.type))
    else:
        sys.stdout.write(markdown_table() if args.format == "markdown" else type_list())
    return 0


def families() -> dict[str, list[Spec]]:
    """The layer types by family, each family in the order of its file."""
    found: dict[str, list[Spec]] = {}
    for spec in all_specs().values():
        found.setdefault(spec.family.replace("_", " "), []).append(spec)
    return found


def summary(spec: Spec) -> str:
    """The first line of a spec's docstring."""
    return (inspect.getdoc(type(spec)) or "").partition("\n")[0]


def type_list() -> str:
    """All types by family, a line each."""
    width = max(map(len, all_specs()))
    lines = []
    for family, specs in families().items():
        lines += [family, *(f"  {spec.name:<{width}}  {summary(spec)}" for spec in specs), ""]
    return "\n".join(
        [*lines, "`netspec layers TYPE` prints the settings of one, its shapes and an example", ""]
    )


def markdown_table() -> str:
    """The table of docs/layers.md."""
    from netspec.exporters.not_exported import NOT_IN_PYTHON
    from netspec.exporters.onnx_layers import emitters

    headings = ("Family", "Type", "Rule", "Bottoms", "Tops", "Computed", "ONNX", "`.py`", "Purpose")
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for family, specs in families().items():
        for i, spec in enumerate(specs):
            cells = [
                family if i == 0 else "",
                f"`{spec.type}`",
                spec.rule,
                _count(spec.bottoms),
                _count(spec.tops),
                "" if spec.not_computed else "yes",
                "yes" if spec.is_input or spec.name in emitters() else "",
                "" if spec.not_computed or spec.name in NOT_IN_PYTHON else "yes",
                summary(spec).replace("|", "\\|"),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def layer_page(type_name: str) -> str:
    """What one needs to know to write a layer of a type: a page for each rule of a fork's type."""
    own = all_specs().get(type_name)
    return "\n".join(rule_page(spec) for spec in ([own] if own else rules_of(type_name)))


def rule_page(spec: Spec) -> str:
    """What one needs to know to write a layer by one rule of its type."""
    parts = [f"{spec.name}\n" + _indented(inspect.getdoc(type(spec)) or "", 2)]
    if spec.rule:
        dialect = f", or by --dialect {spec.dialects[0]}" if spec.dialects else ""
        parts.append(_indented(f"This rule is meant by {spec.differs}{dialect}.", 2))
    rule = "the top has the bottom's" if type(spec).infer is Spec.infer else spec.example.shapes
    if rule and "Shapes:" not in parts[0]:
        parts.append(_indented(f"Shapes: {rule}.", 2))
    place = (
        "; a top may have its bottom's name, and is then computed in place" if spec.in_place else ""
    )
    parts.append(f"  bottoms: {_count(spec.bottoms)}, tops: {_count(spec.tops)}{place}")
    owners = parameter_fields(spec.name)
    parts += [_settings(owner.name, owner.message_type) for owner in owners]
    users = {
        field.message_type.name: field
        for owner in owners
        for field in owner.message_type.fields
        if field.message_type
    }
    parts += [_settings(field.name, field.message_type) for field in users.values()]
    parts.append(f"Every layer also takes {_COMMON}.")
    parts.append(_example(spec))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _settings(name: str, message: Any) -> str:
    comments, full = schema_comments() | extension_comments(), _full_name(message)
    lines = [f"{name} {{ … }}", *([_indented(comments[full], 2)] if full in comments else [])]
    for field in message.fields:
        default = f" (default {_default(field)})" if field.has_default_value else ""
        text = (
            re.sub(r"\s*Default \S+\.$", "", comments[f"{full}.{field.name}"])
            if default
            else comments[f"{full}.{field.name}"]
        )
        lines += ["", f"  {field.name}: {_type_words(field)}{default}", _indented(text, 6)]
        if field.enum_type is not None:
            enum = _full_name(field.enum_type)
            documented = [
                value for value in field.enum_type.values if f"{enum}.{value.name}" in comments
            ]
            lines += [
                _indented(f"{value.name}: {comments[f'{enum}.{value.name}']}", 8, 2)
                for value in documented
            ]
    return "\n".join(lines)


def _type_words(field: FieldDescriptor) -> str:
    many = ", may be repeated" if field.is_repeated else ""
    if field.enum_type is not None:
        return ", ".join(value.name for value in field.enum_type.values) + many
    if field.message_type is not None:
        return (
            "a filler { … }"
            if field.message_type.name == "FillerParameter"
            else "{ dim: … dim: … }"
        ) + many
    if field.type in _WHOLE:
        return f"a whole number{many}"
    if field.type in _FROM_ZERO:
        return f"a whole number, not negative{many}"
    words = {
        FieldDescriptor.TYPE_BOOL: "true or false",
        FieldDescriptor.TYPE_STRING: "a text in quotes",
    }
    return words.get(field.type, "a number") + many


def _default(field: FieldDescriptor) -> str:
    value = field.default_value
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _example(spec: Spec) -> str:
    example = spec.example
    *inputs, layer = example.text(spec.type).splitlines()
    tree = parse(Source("", layer))
    bind(tree, caffe_pb2.NetParameter(), Report())
    lines = ["Example", ""]
    if example.code:
        lines += [_indented_lines(example.code), ""]
    lines += [*(f"  {line}" for line in inputs), _indented_lines(print_tree(tree)), ""]
    if example.code:
        lines.append(
            "  It runs where --allow-python-layers, or "
            "allow_python_layers=True in Python, is given."
        )
        return "\n".join(lines)
    given = " ".join(
        f"--input {name}={','.join(map(str, shape))}" for name, shape in example.inputs.items()
    )
    if given:
        lines += [f"  Where its files do not exist yet: {given}", ""]
    made = example_net(spec.name).layers[-1]
    ends = [
        ", ".join(f"{blob.name} {shape_text(blob.shape)}" for blob in blobs)
        for blobs in (made.bottom_blobs, made.top_blobs)
    ]
    lines.append(f"  Shapes: {' → '.join(end for end in ends if end)}")
    if made.params:
        lines.append(f"  Params: {', '.join(shape_text(param.shape) for param in made.params)}")
    return "\n".join(lines)


def example_net(type_name: str) -> Net:
    """The net of a type's or a rule's example. Raises: NetspecError."""
    report = Report()
    spec = all_specs()[type_name]
    example, dialect = spec.example, next(iter(spec.dialects), "")
    source = Source(f"example of {type_name}", example.text(spec.type))
    message, spans = read_net(source, report)
    state = caffe_pb2.NetState(phase="TRAIN")
    net = assemble(
        message, spans, state, report, NetOptions(inputs=example.inputs, dialect=dialect)
    )
    report.raise_errors()
    return net


def _count(ends: tuple[int, int | None]) -> str:
    least, most = ends
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _full_name(descriptor: Any) -> str:
    return str(descriptor.full_name).removeprefix("caffe.")


def _indented(text: str, spaces: int, hanging: int = 0) -> str:
    """Paragraphs filled anew within the page's width."""
    indent = " " * spaces
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(
        fill(
            " ".join(p.split()),
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + " " * hanging,
        )
        for p in paragraphs
    )


def _indented_lines(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.rstrip().splitlines())
