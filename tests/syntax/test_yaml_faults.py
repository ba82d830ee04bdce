"""YAML: each fault at its place; no tags, no bombs, nothing constructed."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError, Report, Source
from netspec.schema import caffe_pb2
from netspec.syntax import yaml_text
from netspec.syntax.bind import bind
from netspec.syntax.read import parse_source, read_source
from tests.syntax.messages import faults, read


def reported(text: str) -> list[str]:
    return faults(text, caffe_pb2.NetParameter(), ".yaml")


# The text; line, column and message of its one fault.
ERRORS = {
    "unknown field": ("layer:\n- name: a\n  botom: b\n", "3:3: 'layer' has no field 'botom'"),
    "x- further down": ("layer:\n- x-name: a\n", "2:3: 'layer' has no field 'x-name'"),
    "not at top": ("layer: {x-a: &a 1, name: *a}", "1:9: 'layer' has no field 'x-a'"),
    "wrong type": (
        "layer:\n- name: a\n  pooling_param: {pad: x}\n",
        "3:24: 'pad' takes a whole number, got x",
    ),
    "a fraction": ("input_dim: [1, 2.0]", "1:16: 'input_dim' takes a whole number, got 2.0"),
    "leading zero": ("input_dim: 010", "1:12: 'input_dim' takes a whole number, got 010"),
    "leading zero of a float": (
        "layer: {loss_weight: 00.5}",
        "1:22: 'loss_weight' takes a number, got 00.5",
    ),
    "no": ("force_backward: no", "1:17: 'force_backward' takes true or false, got no"),
    "nothing for a text": (
        "name:\ninput_dim: 1",
        "1:6: 'name' takes a text in quotes, got nothing",
    ),
    "null for a text": ("name: null", "1:7: 'name' takes a text in quotes, got null"),
    "nothing for a number": ("input_dim:", "1:11: 'input_dim' takes a whole number, got nothing"),
    "nothing in a list": ("input_dim: [1, ~]", "1:16: 'input_dim' takes a whole number, got ~"),
    "quotes around a number": (
        'input_dim: "3"',
        "1:12: 'input_dim' takes a whole number, got \"3\"",
    ),
    "a number for a block": ("layer:\n- 5\n", "2:3: 'layer' takes a block of fields, got 5"),
    "a text for a block": ("layer: ''", "1:8: 'layer' takes a block of fields, got \"\""),
    "a block for a number": (
        "input_dim: {a: 1}",
        "1:1: 'input_dim' takes a whole number, not a block",
    ),
    "a list for one value": ("name: [a]", "1:1: 'name' takes one value, not a list"),
    "a list for one block": (
        "layer: {relu_param: [{}, {}]}",
        "1:9: 'relu_param' takes one value, not a list",
    ),
    "a key twice": ("name: a\ninput: b\nname: c\n", "3:1: the key 'name' stands twice"),
    "a key twice in a block": ("layer: {name: a, 'name': b}", "1:18: the key 'name' stands twice"),
    "a list in a list": (
        "input_dim: [1, [2]]",
        "1:16: a list within a list has no meaning in a net",
    ),
    "an aliased list in a list": (
        "x-a: &a [1]\ninput_dim: [*a]",
        "2:13: a list within a list has no meaning in a net",
    ),
    "a mapping as a key": ("? {a: 1}\n: 2\n", "1:3: a key must be a field's name"),
    "a list at top": ("- name: a\n", "1:1: expected fields such as 'name: AlexNet', got a list"),
    "a scalar at top": (
        "AlexNet\n",
        "1:1: expected fields such as 'name: AlexNet', got a single value",
    ),
    "two documents": (
        "name: a\n---\nname: b\n",
        "2:1: a second document begins here; a file holds one net",
    ),
    "an unknown anchor": ("name: *a\n", "1:7: no finished anchor '&a' stands above"),
    "an anchor below": ("name: *a\ninput: &a b\n", "1:7: no finished anchor '&a' stands above"),
    "an anchor in itself": ("layer: &a [*a]\n", "1:12: no finished anchor '&a' stands above"),
    "a merge of no mapping": (
        "layer: {<<: 5}\n",
        "1:9: '<<' merges mappings, got another value",
    ),
    "a merge of a list of numbers": (
        "layer: {<<: [5]}\n",
        "1:9: '<<' merges mappings, got another value",
    ),
    "a tag": ("name: !name a\n", "1:7: the tag '!name' has no meaning in a net"),
    "a tag that runs code": (
        "name: !!python/object/apply:os.system [ls]\n",
        "1:7: the tag '!!python/object/apply:os.system' has no meaning in a net",
    ),
    "a tag of YAML": ("name: !!binary aGk=\n", "1:7: the tag '!!binary' has no meaning in a net"),
    "a tab": (
        "layer:\n- name: a\n\ttype: b\n",
        "3:1: this is not valid YAML: found a tab character that violates indentation",
    ),
    "no end of a list": (
        "input_dim: [1, 2\nname: a\n",
        "2:5: this is not valid YAML: did not find expected ',' or ']'",
    ),
    "a colon too many": (
        "name: a: b\n",
        "1:8: this is not valid YAML: mapping values are not allowed in this context",
    ),
    "a prototxt": (
        'layer {\n  name: "a"\n}\n',
        "2:7: this is not valid YAML: mapping values are not allowed in this context",
    ),
    "a control character": (
        "é: 1\nname: a\x08\n",
        "2:8: this is not valid YAML: control characters are not allowed",
    ),
    "a surrogate": (
        'name: "\\ud800"\n',
        "1:10: this is not valid YAML: found invalid Unicode character escape code",
    ),
    "a wrong escape": (
        'name: "\\q"\n',
        "1:8: this is not valid YAML: found unknown escape character",
    ),
    "too deep": ("a: [" * 300, "1:401: blocks are nested deeper than 100"),
    "too deep by indent": (
        "".join(" " * i + "a:\n" for i in range(300)),
        "201:201: blocks are nested deeper than 100",
    ),
}


@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(text: str, message: str) -> None:
    assert reported(text) == [message]


def test_standard_tags_are_allowed() -> None:
    message = read(
        "!!map {name: !!str 5, input_dim: !!seq [!!int 1]}", caffe_pb2.NetParameter(), ".yaml"
    )
    assert message == caffe_pb2.NetParameter(name="5", input_dim=[1])


def test_a_fault_below_an_anchor_is_reported_once_and_there() -> None:
    report = Report()
    text = (
        "x-a: &a {kernel_sise: 3}\nlayer:\n- {convolution_param: *a}\n- {convolution_param: *a}\n"
        "- {pooling_param: {<<: *a}}\n"
    )
    bind(yaml_text.parse(Source("net.yaml", text)), caffe_pb2.NetParameter(), report)
    assert [(str(d.span), d.message) for d in report.in_order()] == [
        ("net.yaml:1:10", "'convolution_param' has no field 'kernel_sise'"),
        ("net.yaml:1:10", "'pooling_param' has no field 'kernel_sise'"),
    ]


def test_aliases_unfold_to_no_more_than_a_bound() -> None:
    text = "x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    text += "x-1: &a1 {" + ", ".join(f"k{i}: *a0" for i in range(10)) + "}\n"
    text += "".join(
        f"x-{n}: &a{n} {{" + ", ".join(f"k{i}: *a{n - 1}" for i in range(10)) + "}\n"
        for n in range(2, 12)
    )
    (message,) = reported(text)
    assert message.endswith(f"the aliases unfold to more than {yaml_text.MAX_COPIES} values")


def test_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_bytes(b"name: caf\xc3\xa9  # caf\xe9\n")
    message = caffe_pb2.NetParameter()
    bind(parse_source(read_source(path)), message, Report())
    assert message.name == "café"
    path.write_bytes(b"# \xe9\nname: caf\xe9\n")
    with pytest.raises(NetspecError, match="2:7: error: this text is not UTF-8"):
        parse_source(read_source(path))


def test_a_quoted_merge_key_is_a_field() -> None:
    assert reported("layer: {'<<': {name: a}}") == ["1:9: 'layer' has no field '<<'"]
