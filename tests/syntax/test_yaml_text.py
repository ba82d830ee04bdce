"""YAML: the schema's field names, typed by the schema.

Anchors and merges; faults at their place; comments kept both ways.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import Report, Source
from netspec.schema import caffe_pb2
from netspec.syntax import prototxt
from netspec.syntax.bind import bind, unbind
from netspec.syntax.print_yaml import print_yaml
from netspec.syntax.read import file_kind, parse_source, read_source
from tests.conftest import REFERENCE, ROOT
from tests.syntax.messages import Writer, messages, oracle, read, same

FILES = sorted(
    [
        *REFERENCE.rglob("*.prototxt"),
        *ROOT.glob("models/**/*.prototxt"),
        *ROOT.glob("models/**/*.yaml"),
    ]
)
STABLE = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def net(text: str) -> caffe_pb2.NetParameter:
    message = read(text, caffe_pb2.NetParameter(), ".yaml")
    assert isinstance(message, caffe_pb2.NetParameter)
    return message


def rewritten(text: str, kind: type[Message], suffix: str) -> str:
    """The text in the other syntax, as `netspec convert` writes it."""
    block = parse_source(Source("net" + suffix, text))
    bind(block, kind(), Report())
    return (
        print_yaml(block, kind.DESCRIPTOR) if suffix == ".prototxt" else prototxt.print_tree(block)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_there_and_back(path: Path) -> None:
    """prototxt → YAML → prototxt → YAML: the message stays the same, no comment is lost."""
    source = read_source(path)
    kind = file_kind(parse_source(source))
    message = read(source.text, kind(), path.suffix)
    there = rewritten(source.text, kind, path.suffix)
    back = rewritten(there, kind, ".yaml" if path.suffix == ".prototxt" else ".prototxt")
    for text, suffix in (
        (there, ".prototxt" if path.suffix == ".yaml" else ".yaml"),
        (back, path.suffix),
    ):
        assert read(text, kind(), suffix) == message
        # the comments of x- keys go with these
        assert text.count("#") == source.text.count("#") or "\nx-" in source.text


@STABLE
@given(
    st.sampled_from([caffe_pb2.NetParameter, caffe_pb2.SolverParameter]).flatmap(messages),
    st.integers(0, 2**32),
)
def test_there_and_back_for_any_message(message: Message, seed: int) -> None:
    kind = type(message)
    in_yaml = rewritten(Writer(seed).text(message), kind, ".prototxt")
    assert same(read(in_yaml, kind(), ".yaml"), message)
    assert same(oracle(rewritten(in_yaml, kind, ".yaml"), kind()), message)
    assert same(read(print_yaml(unbind(message), kind.DESCRIPTOR), kind(), ".yaml"), message)


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
name: "LeNet" input: "data" input: "label" input_shape { dim: 64 dim: 1 dim: 28 dim: 28 } \
input_shape { dim: 64 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } \
param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 20 kernel_size: 5 kernel_size: 3 \
weight_filler { type: "xavier" } engine: CAFFE } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" propagate_down: true }
"""
    assert net(text) == oracle(same_net, caffe_pb2.NetParameter())


def test_solver_files() -> None:
    text = (
        "net: a.prototxt\nbase_lr: 1e-3\nlr_policy: step\nstepvalue: [10, 20]\ntest_iter: 5\n"
        "test_state: {stage: a}\nsolver_mode: GPU\n"
    )
    expected = caffe_pb2.SolverParameter(
        net="a.prototxt",
        base_lr=1e-3,
        lr_policy="step",
        stepvalue=[10, 20],
        test_iter=[5],
        solver_mode="GPU",
    )
    expected.test_state.add(stage=["a"])
    assert read(text, caffe_pb2.SolverParameter(), ".yaml") == expected


# What a field's value is written as; what it is. The schema gives the type, never YAML.
TYPED = {
    "exponent": (
        "force_backward: true\ninput_dim: 3\nlayer: {loss_weight: 1e-3}",
        "loss_weight",
        [pytest.approx(1e-3)],
    ),
    "exponents": (
        "layer: {loss_weight: [1E3, .5, 5., -1.5, 1f, .inf, -.inf, inf]}",
        "loss_weight",
        [1e3, 0.5, 5, -1.5, 1, *[float("inf"), -float("inf"), float("inf")]],
    ),
    "no": ("layer: {name: no}", "name", "no"),
    "yes, on, y": ("layer: {bottom: [yes, on, y, Off]}", "bottom", ["yes", "on", "y", "Off"]),
    "numbers as texts": (
        "layer: {bottom: [1, 010, 1e-3, 1_000, 0x1F, 12:30]}",
        "bottom",
        ["1", "010", "1e-3", "1_000", "0x1F", "12:30"],
    ),
    "words as texts": (
        "layer: {bottom: [true, .nan, 2001-01-01, 'null', \"~\"]}",
        "bottom",
        ["true", ".nan", "2001-01-01", "null", "~"],
    ),
    "booleans": (
        "layer: {propagate_down: [true, True, false, 1, 0]}",
        "propagate_down",
        [True, True, False, True, False],
    ),
    "enum by name": ("layer: {phase: TEST}", "phase", caffe_pb2.TEST),
    "enum by number": ("layer: {phase: 1}", "phase", caffe_pb2.TEST),
    "quoted": ('layer: {name: "a\\tb\\u00e9"}', "name", "a\tbé"),
    "literal": (
        "layer:\n  name: |\n    one # no comment\n    two\n",
        "name",
        "one # no comment\ntwo\n",
    ),
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


@pytest.mark.parametrize(
    "text", ["", "\n", "# only a comment\n", "---\n", "--- {}\n", "~", "null", "---\n...\n"]
)
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
    message = net(
        "x-a: &a 1\nname: *a\ninput_dim: [*a, 2]\nforce_backward: *a\nlayer: {loss_weight: *a}\n"
    )
    assert (
        message.name,
        list(message.input_dim),
        message.force_backward,
        list(message.layer[0].loss_weight),
    ) == ("1", [1, 2], True, [1.0])


MERGES = {
    "one": ("<<: *conv", {"num_output": 1, "pad": [1], "stride": [1]}),
    "what stands here wins": (
        "num_output: 9\n      <<: *conv",
        {"num_output": 9, "pad": [1], "stride": [1]},
    ),
    "what stands below wins": (
        "<<: *conv\n      num_output: 9",
        {"num_output": 9, "pad": [1], "stride": [1]},
    ),
    "of a list the first wins": (
        "<<: [*other, *conv]",
        {"num_output": 2, "pad": [2], "stride": [1], "group": 2},
    ),
    "of a list the first wins, other way round": (
        "<<: [*conv, *other]",
        {"num_output": 1, "pad": [1], "stride": [1], "group": 2},
    ),
    "of several keys the first wins": (
        "<<: *conv\n      <<: *other",
        {"num_output": 1, "pad": [1], "stride": [1], "group": 2},
    ),
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
    text = (
        "x: 1\n".replace("x", "x-x")
        + "x-l: &l {bottom: [a, b], relu_param: {negative_slope: 1, engine: CAFFE}}\n"
    )
    message = net(text + "layer:\n- {<<: *l, bottom: c, relu_param: {negative_slope: 2}}\n")
    assert list(message.layer[0].bottom) == ["c"]
    assert not message.layer[0].relu_param.HasField("engine")


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
        '# the head of the file\nname: "a"  # behind a value\n# above a list\n# above an item\n'
        'layer {\n  name: "b"  # behind, with {\n'
        '  type: "# none"\n  # above a field\n  bottom: "x"\n  bottom: "y"  # behind a list\n}\n'
        'layer {\n  name: "c"\n'
        "  relu_param {\n    # at the top of a block\n    negative_slope: 1\n  }  # behind a key\n"
        "}\n# at the end\n"
    )


def test_comments_come_from_prototxt() -> None:
    text = """# head
name: "a"  # behind
layer {  # behind a brace
  # above
  bottom: "conv1"  # first
  bottom: "conv2"  # second
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
    bottom: [conv1, conv2]  # first; second
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
    printed = print_yaml(block, caffe_pb2.NetParameter.DESCRIPTOR)
    assert list(net(printed).input) == texts
    assert "conv1/3x3, data set," in printed


def test_an_empty_list_of_blocks_stays_empty() -> None:
    assert rewritten("layer: []", caffe_pb2.NetParameter, ".prototxt") == "layer: []\n"
    assert net("layer: []\n") == caffe_pb2.NetParameter()
