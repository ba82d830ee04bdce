"""YAML: the schema's field names, typed by the schema; anchors and merges; faults at their place; comments kept both ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import NetspecError, Report, Source
from netspec.schema import caffe_pb2
from netspec.syntax import prototxt, yaml_text
from netspec.syntax.bind import bind, unbind
from netspec.syntax.read import file_kind, parse_source, read_source
from tests.conftest import REFERENCE, ROOT
from tests.syntax.messages import Writer, faults, messages, oracle, read, same

FILES = sorted([*REFERENCE.rglob("*.prototxt"), *ROOT.glob("models/**/*.prototxt"), *ROOT.glob("models/**/*.yaml")])
STABLE = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def net(text: str) -> caffe_pb2.NetParameter:
    message = read(text, caffe_pb2.NetParameter(), ".yaml")
    assert isinstance(message, caffe_pb2.NetParameter)
    return message


def told(text: str) -> list[str]:
    return faults(text, caffe_pb2.NetParameter(), ".yaml")


def rewritten(text: str, kind: type[Message], suffix: str) -> str:
    """The text in the other syntax, as `netspec convert` writes it."""
    block = parse_source(Source("net" + suffix, text))
    bind(block, kind(), Report())
    return yaml_text.print_tree(block, kind.DESCRIPTOR) if suffix == ".prototxt" else prototxt.print_tree(block)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_there_and_back(path: Path) -> None:
    """prototxt → YAML → prototxt → YAML: the message stays the same, no comment is lost."""
    source = read_source(path)
    kind = file_kind(parse_source(source))
    message = read(source.text, kind(), path.suffix)
    there = rewritten(source.text, kind, path.suffix)
    back = rewritten(there, kind, ".yaml" if path.suffix == ".prototxt" else ".prototxt")
    for text, suffix in ((there, ".prototxt" if path.suffix == ".yaml" else ".yaml"), (back, path.suffix)):
        assert read(text, kind(), suffix) == message
        assert text.count("#") == source.text.count("#")


@STABLE
@given(st.sampled_from([caffe_pb2.NetParameter, caffe_pb2.SolverParameter]).flatmap(messages), st.integers(0, 2**32))
def test_there_and_back_for_any_message(message: Message, seed: int) -> None:
    kind = type(message)
    in_yaml = rewritten(Writer(seed).text(message), kind, ".prototxt")
    assert same(read(in_yaml, kind(), ".yaml"), message)
    assert same(oracle(rewritten(in_yaml, kind, ".yaml"), kind()), message)
    assert same(read(yaml_text.print_tree(unbind(message), kind.DESCRIPTOR), kind(), ".yaml"), message)


def test_the_same_field_names() -> None:
    text = """
name: LeNet
input: [data, label]
input_shape:
- dim: [64, 1, 28, 28]
- {dim: 64}
layer:
- name: conv1
  type: Convolution
  bottom: data
  top: conv1
  param: [{lr_mult: 1}, {lr_mult: 2, decay_mult: 0}]
  convolution_param:
    num_output: 20
    kernel_size: [5, 3]
    weight_filler: {type: xavier}
    engine: CAFFE
- {name: relu1, type: ReLU, bottom: conv1, top: conv1, propagate_down: [true]}
"""
    same_net = """
name: "LeNet" input: "data" input: "label" input_shape { dim: 64 dim: 1 dim: 28 dim: 28 } input_shape { dim: 64 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 20 kernel_size: 5 kernel_size: 3 weight_filler { type: "xavier" } engine: CAFFE } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" propagate_down: true }
"""
    assert net(text) == oracle(same_net, caffe_pb2.NetParameter())


def test_solver_files() -> None:
    text = "net: a.prototxt\nbase_lr: 1e-3\nlr_policy: step\nstepvalue: [10, 20]\ntest_iter: 5\ntest_state: {stage: a}\nsolver_mode: GPU\n"
    expected = caffe_pb2.SolverParameter(net="a.prototxt", base_lr=1e-3, lr_policy="step", stepvalue=[10, 20], test_iter=[5], solver_mode="GPU")
    expected.test_state.add(stage=["a"])
    assert read(text, caffe_pb2.SolverParameter(), ".yaml") == expected


# What a field's value is written as; what it is. The schema gives the type, never YAML.
TYPED = {
    "exponent": ("force_backward: true\ninput_dim: 3\nlayer: {loss_weight: 1e-3}", "loss_weight", [pytest.approx(1e-3)]),
    "exponents": (
        "layer: {loss_weight: [1E3, .5, 5., -1.5, 1f, .inf, -.inf, inf]}",
        "loss_weight",
        [1e3, 0.5, 5, -1.5, 1, *[float("inf"), -float("inf"), float("inf")]],
    ),
    "no": ("layer: {name: no}", "name", "no"),
    "yes, on, y": ("layer: {bottom: [yes, on, y, Off]}", "bottom", ["yes", "on", "y", "Off"]),
    "numbers as texts": ("layer: {bottom: [1, 010, 1e-3, 1_000, 0x1F, 12:30]}", "bottom", ["1", "010", "1e-3", "1_000", "0x1F", "12:30"]),
    "words as texts": ("layer: {bottom: [true, .nan, 2001-01-01, 'null', \"~\"]}", "bottom", ["true", ".nan", "2001-01-01", "null", "~"]),
    "booleans": ("layer: {propagate_down: [true, True, false, 1, 0]}", "propagate_down", [True, True, False, True, False]),
    "enum by name": ("layer: {phase: TEST}", "phase", caffe_pb2.TEST),
    "enum by number": ("layer: {phase: 1}", "phase", caffe_pb2.TEST),
    "quoted": ('layer: {name: "a\\tb\\u00e9"}', "name", "a\tbé"),
    "literal": ("layer:\n  name: |\n    one # no comment\n    two\n", "name", "one # no comment\ntwo\n"),
    "folded": ("layer:\n  name: >-\n    one\n    two\n", "name", "one two"),
    "a plain text on two lines": ("layer:\n  name: one\n    two\n", "name", "one two"),
    "a scalar for a list of one": ("layer: {bottom: data}", "bottom", ["data"]),
    "an empty list": ("layer: {bottom: []}", "bottom", []),
}


@pytest.mark.parametrize(("text", "field", "value"), TYPED.values(), ids=TYPED)
def test_values_are_typed_by_the_schema(text: str, field: str, value: object) -> None:
    found = getattr(net(text).layer[0], field)
    assert (list(found) if isinstance(value, list) else found) == value


def test_a_block_for_a_list_of_one() -> None:
    assert len(net("layer: {name: a}").layer) == 1
    assert net("layer: {name: a}") == net("layer: [{name: a}]") == net("layer:\n- name: a\n")


@pytest.mark.parametrize("nothing", ["", " ~", " null", " {}"])
def test_nothing_is_an_empty_block(nothing: str) -> None:
    message = net(f"layer:\n- relu_param:{nothing}\n")
    assert message.layer[0].HasField("relu_param")
    assert len(net(f"layer:{nothing}").layer) == 1


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "--- {}\n", "~", "null", "---\n...\n"])
def test_an_empty_file(text: str) -> None:
    assert net(text) == caffe_pb2.NetParameter()


def test_anchors_and_aliases() -> None:
    text = """
x-fillers:
  weights: &weights {type: gaussian, std: 0.01}
x-name: &name conv
x-list: &list [3, 5]
x-layer: &relu {type: ReLU}
layer:
- name: *name
  convolution_param: &conv {weight_filler: *weights, kernel_size: *list}
- {name: b, convolution_param: *conv}
- *relu
"""
    message = net(text)
    assert [layer.name for layer in message.layer] == ["conv", "b", ""]
    assert message.layer[0].convolution_param == message.layer[1].convolution_param
    assert list(message.layer[1].convolution_param.kernel_size) == [3, 5]
    assert message.layer[1].convolution_param.weight_filler.std == pytest.approx(0.01)
    assert message.layer[2].type == "ReLU"


def test_an_alias_is_a_copy() -> None:
    """What one use of an anchor is typed as does not reach the others."""
    message = net("x-a: &a 1\nname: *a\ninput_dim: [*a, 2]\nforce_backward: *a\nlayer: {loss_weight: *a}\n")
    assert (message.name, list(message.input_dim), message.force_backward, list(message.layer[0].loss_weight)) == ("1", [1, 2], True, [1.0])


MERGES = {
    "one": ("<<: *conv", {"num_output": 1, "pad": [1], "stride": [1]}),
    "what stands here wins": ("num_output: 9\n      <<: *conv", {"num_output": 9, "pad": [1], "stride": [1]}),
    "what stands below wins": ("<<: *conv\n      num_output: 9", {"num_output": 9, "pad": [1], "stride": [1]}),
    "of a list the first wins": ("<<: [*other, *conv]", {"num_output": 2, "pad": [2], "stride": [1], "group": 2}),
    "of a list the first wins, other way round": ("<<: [*conv, *other]", {"num_output": 1, "pad": [1], "stride": [1], "group": 2}),
    "of several keys the first wins": ("<<: *conv\n      <<: *other", {"num_output": 1, "pad": [1], "stride": [1], "group": 2}),
    "a mapping as it is": ("<<: {pad: 7}", {"pad": [7]}),
    "of a merged merge": ("<<: *chain", {"num_output": 3, "pad": [1], "stride": [1]}),
    "nothing": ("<<: []", {}),
}


@pytest.mark.parametrize(("inside", "expected"), MERGES.values(), ids=MERGES)
def test_merge_keys(inside: str, expected: dict[str, object]) -> None:
    text = f"""
x-conv: &conv {{num_output: 1, pad: 1, stride: 1}}
x-other: &other {{num_output: 2, pad: 2, group: 2}}
x-chain: &chain {{num_output: 3, <<: *conv}}
layer:
- convolution_param:
      {inside}
"""
    assert net(text).layer[0].convolution_param == caffe_pb2.ConvolutionParameter(**expected)


def test_a_merge_replaces_lists_and_blocks_as_a_whole() -> None:
    text = "x: 1\n".replace("x", "x-x") + "x-l: &l {bottom: [a, b], relu_param: {negative_slope: 1, engine: CAFFE}}\n"
    message = net(text + "layer:\n- {<<: *l, bottom: c, relu_param: {negative_slope: 2}}\n")
    assert list(message.layer[0].bottom) == ["c"]
    assert not message.layer[0].relu_param.HasField("engine")


def test_a_quoted_merge_key_is_a_field() -> None:
    assert told("layer: {'<<': {name: a}}") == ["1:9: 'layer' has no field '<<'"]


# The text; line, column and message of its one fault.
ERRORS = {
    "unknown field": ("layer:\n- name: a\n  botom: b\n", "3:3: 'layer' has no field 'botom'"),
    "x- further down": ("layer:\n- x-name: a\n", "2:3: 'layer' has no field 'x-name'"),
    "not at top": ("layer: {x-a: &a 1, name: *a}", "1:9: 'layer' has no field 'x-a'"),
    "wrong type": ("layer:\n- name: a\n  pooling_param: {pad: x}\n", "3:24: 'pad' takes a whole number, got x"),
    "a fraction": ("input_dim: [1, 2.0]", "1:16: 'input_dim' takes a whole number, got 2.0"),
    "leading zero": ("input_dim: 010", "1:12: 'input_dim' takes a whole number, got 010"),
    "leading zero of a float": ("layer: {loss_weight: 00.5}", "1:22: 'loss_weight' takes a number, got 00.5"),
    "no": ("force_backward: no", "1:17: 'force_backward' takes true or false, got no"),
    "nothing for a text": ("name:\ninput_dim: 1", "1:6: 'name' takes a text in quotes, got nothing"),
    "null for a text": ("name: null", "1:7: 'name' takes a text in quotes, got null"),
    "nothing for a number": ("input_dim:", "1:11: 'input_dim' takes a whole number, got nothing"),
    "nothing in a list": ("input_dim: [1, ~]", "1:16: 'input_dim' takes a whole number, got ~"),
    "quotes around a number": ('input_dim: "3"', "1:12: 'input_dim' takes a whole number, got \"3\""),
    "a number for a block": ("layer:\n- 5\n", "2:3: 'layer' takes a block of fields, got 5"),
    "a text for a block": ("layer: ''", "1:8: 'layer' takes a block of fields, got \"\""),
    "a block for a number": ("input_dim: {a: 1}", "1:1: 'input_dim' takes a whole number, not a block"),
    "a list for one value": ("name: [a]", "1:1: 'name' takes one value, not a list"),
    "a list for one block": ("layer: {relu_param: [{}, {}]}", "1:9: 'relu_param' takes one value, not a list"),
    "a key twice": ("name: a\ninput: b\nname: c\n", "3:1: the key 'name' stands twice"),
    "a key twice in a block": ("layer: {name: a, 'name': b}", "1:18: the key 'name' stands twice"),
    "a list in a list": ("input_dim: [1, [2]]", "1:16: a list within a list has no meaning in a net"),
    "an aliased list in a list": ("x-a: &a [1]\ninput_dim: [*a]", "2:13: a list within a list has no meaning in a net"),
    "a mapping as a key": ("? {a: 1}\n: 2\n", "1:3: a key must be a field's name"),
    "a list at top": ("- name: a\n", "1:1: expected fields such as 'name: AlexNet', got a list or a single value"),
    "a scalar at top": ("AlexNet\n", "1:1: expected fields such as 'name: AlexNet', got a list or a single value"),
    "two documents": ("name: a\n---\nname: b\n", "2:1: a second document begins here; a file holds one net"),
    "an unknown anchor": ("name: *a\n", "1:7: no finished anchor '&a' stands above"),
    "an anchor below": ("name: *a\ninput: &a b\n", "1:7: no finished anchor '&a' stands above"),
    "an anchor in itself": ("layer: &a [*a]\n", "1:12: no finished anchor '&a' stands above"),
    "a merge of no mapping": ("layer: {<<: 5}\n", "1:9: '<<' merges mappings; this is none"),
    "a merge of a list of numbers": ("layer: {<<: [5]}\n", "1:9: '<<' merges mappings; this is none"),
    "a tag": ("name: !name a\n", "1:7: the tag '!name' has no meaning in a net"),
    "a tag that runs code": (
        "name: !!python/object/apply:os.system [ls]\n",
        "1:7: the tag '!!python/object/apply:os.system' has no meaning in a net",
    ),
    "a tag of YAML": ("name: !!binary aGk=\n", "1:7: the tag '!!binary' has no meaning in a net"),
    "a tab": ("layer:\n- name: a\n\ttype: b\n", "3:1: this is no YAML: found a tab character that violates indentation"),
    "no end of a list": ("input_dim: [1, 2\nname: a\n", "2:5: this is no YAML: did not find expected ',' or ']'"),
    "a colon too many": ("name: a: b\n", "1:8: this is no YAML: mapping values are not allowed in this context"),
    "a prototxt": ('layer {\n  name: "a"\n}\n', "2:7: this is no YAML: mapping values are not allowed in this context"),
    "a control character": ("é: 1\nname: a\x08\n", "2:8: this is no YAML: control characters are not allowed"),
    "a surrogate": ('name: "\\ud800"\n', "1:10: this is no YAML: found invalid Unicode character escape code"),
    "a wrong escape": ('name: "\\q"\n', "1:8: this is no YAML: found unknown escape character"),
    "too deep": ("a: [" * 300, "1:401: blocks are nested deeper than 100"),
    "too deep by indent": ("".join(" " * i + "a:\n" for i in range(300)), "202:202: blocks are nested deeper than 100"),
}


@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(text: str, message: str) -> None:
    assert told(text) == [message]


def test_standard_tags_are_allowed() -> None:
    assert net("!!map {name: !!str 5, input_dim: !!seq [!!int 1]}").name == "5"


def test_a_fault_below_an_anchor_is_told_once_and_there() -> None:
    report = Report()
    text = "x-a: &a {kernel_sise: 3}\nlayer:\n- {convolution_param: *a}\n- {convolution_param: *a}\n- {pooling_param: {<<: *a}}\n"
    bind(yaml_text.parse(Source("net.yaml", text)), caffe_pb2.NetParameter(), report)
    assert [(str(d.span), d.message) for d in report.in_order()] == [
        ("net.yaml:1:10", "'convolution_param' has no field 'kernel_sise'"),
        ("net.yaml:1:10", "'pooling_param' has no field 'kernel_sise'"),
    ]


def test_aliases_unfold_to_no_more_than_a_bound() -> None:
    text = "x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    text += "x-1: &a1 {" + ", ".join(f"k{i}: *a0" for i in range(10)) + "}\n"
    text += "".join(f"x-{n}: &a{n} {{" + ", ".join(f"k{i}: *a{n - 1}" for i in range(10)) + "}\n" for n in range(2, 12))
    (message,) = told(text)
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


COMMENTED = """# the head of the file

name: a  # behind a value
# above a list
layer:
# above an item
- name: b  # behind, with {
  type: "# none"
  # above a field
  bottom: [x, y]  # behind a list
- name: c
  relu_param:  # behind a key
    # at the top of a block
    negative_slope: 1
# at the end
"""


def test_comments_go_to_prototxt() -> None:
    assert rewritten(COMMENTED, caffe_pb2.NetParameter, ".yaml") == (
        '# the head of the file\nname: "a"  # behind a value\n# above a list\n# above an item\nlayer {\n  name: "b"  # behind, with {\n'
        '  type: "# none"\n  # above a field\n  bottom: "x"\n  bottom: "y"  # behind a list\n}\nlayer {\n  name: "c"\n'
        "  relu_param {\n    # at the top of a block\n    negative_slope: 1\n  }  # behind a key\n}\n# at the end\n"
    )


def test_comments_come_from_prototxt() -> None:
    text = """# head
name: "a"  # behind
layer {  # behind a brace
  # above
  bottom: "x"  # first
  bottom: "y"  # second
  param { lr_mult: 1 }  # behind a block
  relu_param { # in a block
  }  # behind it
  # last in the layer
}  # behind the layer
# tail
"""
    expected = """# head
name: a  # behind
layer:
  # behind the layer
  - # behind a brace
    # above
    bottom: [x, y]  # first; second
    param:
      # behind a block
      - lr_mult: 1
    relu_param:  # behind it
      # in a block
    # last in the layer
# tail
"""
    assert rewritten(text, caffe_pb2.NetParameter, ".prototxt") == expected
    assert net(expected) == oracle(text, caffe_pb2.NetParameter())


def test_printed_texts_need_quotes_where_yaml_would_read_something_else() -> None:
    texts = [
        "no",
        "null",
        "~",
        "1",
        "1e-3",
        "a: b",
        "a #b",
        "- a",
        "[a]",
        "{a}",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "'a",
        '"a',
        "a\n",
        " a",
        "a ",
        "",
    ]
    texts += [
        "é",
        "\x00\x85\u2028\ufeff\uffff",
        "😀",
        "true",
        "Yes",
        "<<",
        "=",
        "?",
        "|",
        ">",
        "a\tb",
        "x-a",
        "conv1/3x3",
        "data set",
        "2001-01-01",
        "\\n",
    ]
    block = unbind(caffe_pb2.NetParameter(input=texts))
    printed = yaml_text.print_tree(block, caffe_pb2.NetParameter.DESCRIPTOR)
    assert list(net(printed).input) == texts
    assert "conv1/3x3, data set," in printed


def test_an_empty_list_of_blocks_stays_empty() -> None:
    assert rewritten("layer: []", caffe_pb2.NetParameter, ".prototxt") == "layer: []\n"
    assert net("layer: []\n") == caffe_pb2.NetParameter()
