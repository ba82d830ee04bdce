"""Binding: every fault of a file at its place, in one run, with a hint.

The hint is the nearest name, or the place where a field belongs.
"""

from __future__ import annotations

from random import Random

import pytest
from google.protobuf.message import Message

from netspec.diagnostics import Report, Source
from netspec.schema import caffe_pb2
from netspec.syntax.bind import Spans, bind, unbind
from netspec.syntax.prototxt import print_tree
from netspec.syntax.read import parse_source
from netspec.syntax.scalar_value import float_text


def report_of(text: str, message: Message | None = None, suffix: str = ".prototxt") -> Report:
    report = Report()
    bind(parse_source(Source("net" + suffix, text)), message or caffe_pb2.NetParameter(), report)
    return report


def bind_text(text: str, message: Message) -> Message:
    bind(parse_source(Source("net.prototxt", text)), message, Report())
    return message


def reported(
    text: str, message: Message | None = None, suffix: str = ".prototxt"
) -> list[tuple[str, str | None]]:
    """Each fault's line, column and message, and its hint."""
    found = report_of(text, message, suffix).in_order()
    return [
        (f"{str(d.span).partition(':')[2]}: {d.message}", str(d.hint) if d.hint else None)
        for d in found
    ]


# The text, the fault, the hint.
UNKNOWN = {
    "nearest name": ('nme: "a"', "1:1: a net has no field 'nme'", "did you mean 'name'?"),
    "other case": ('Name: "a"', "1:1: a net has no field 'Name'", "did you mean 'name'?"),
    "nothing near": ("layer { quux: 1 }", "1:9: 'layer' has no field 'quux'", None),
    "nearest name in a block": (
        "layer { convolution_param { kernal_size: 3 } }",
        "1:29: 'convolution_param' has no field 'kernal_size'",
        "did you mean 'kernel_size'?",
    ),
    "one block too high": (
        "layer { kernel_size: 3 }",
        "1:9: 'layer' has no field 'kernel_size'",
        "'kernel_size' belongs inside 'convolution_param' or 'pooling_param'",
    ),
    "one block too deep": (
        'layer { relu_param { bottom: "a" } }',
        "1:22: 'relu_param' has no field 'bottom'",
        "'bottom' belongs to 'layer', outside 'relu_param'",
    ),
    "two blocks too deep": (
        "layer { convolution_param { weight_filler { num_output: 3 } } }",
        "1:45: 'weight_filler' has no field 'num_output'",
        "'num_output' belongs to 'convolution_param', outside 'weight_filler'",
    ),
    "the block beside": (
        "layer { type: 'Pooling' convolution_param { pool: MAX } }",
        "1:45: 'convolution_param' has no field 'pool'",
        "'pool' belongs inside 'pooling_param' or 'spp_param'",
    ),
    "a dimension without its shape": (
        "layer { input_param { dim: 3 } }",
        "1:23: 'input_param' has no field 'dim'",
        "'dim' belongs inside 'shape'",
    ),
    "a layer's field in the net": (
        "state { } top: 'a'",
        "1:11: a net has no field 'top'",
        "'top' belongs inside 'layer' or 'layers'",
    ),
    "many owners": (
        "layer { axis: 1 }",
        "1:9: 'layer' has no field 'axis'",
        "'axis' belongs inside 'accuracy_param' or 'argmax_param' or 'bias_param' or others",
    ),
    "an abbreviation": (
        "layer { conv_param { } }",
        "1:9: 'layer' has no field 'conv_param'",
        "did you mean 'convolution_param'?",
    ),
}


@pytest.mark.parametrize(("text", "message", "hint"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_fields(text: str, message: str, hint: str | None) -> None:
    assert reported(text) == [(message, hint)]


def test_unknown_field_of_a_solver() -> None:
    assert reported("momentun: 0.9", caffe_pb2.SolverParameter()) == [
        ("1:1: a solver has no field 'momentun'", "did you mean 'momentum'?")
    ]


FILLERS = "layer { convolution_param { weight_filler { "
VALUES = {
    "a text for a number": (
        'input_dim: "3"',
        "1:12: 'input_dim' takes a whole number, got \"3\"",
        "without the quotes",
    ),
    "a fraction": ("input_dim: 3.5", "1:12: 'input_dim' takes a whole number, got 3.5", None),
    "a fraction that is whole": (
        "input_dim: 3.",
        "1:12: 'input_dim' takes a whole number, got 3.",
        None,
    ),
    "an exponent": ("input_dim: 1e3", "1:12: 'input_dim' takes a whole number, got 1e3", None),
    "a word for a number": (
        "input_dim: three",
        "1:12: 'input_dim' takes a whole number, got three",
        None,
    ),
    "no octal number": ("input_dim: 08", "1:12: 'input_dim' takes a whole number, got 08", None),
    "beyond 32 bits": (
        "input_dim: 2147483648",
        "1:12: 'input_dim' takes a whole number from -2147483648 to 2147483647, got 2147483648",
        None,
    ),
    "below 32 bits": (
        "input_dim: -2147483649",
        "1:12: 'input_dim' takes a whole number from -2147483648 to 2147483647, got -2147483649",
        None,
    ),
    "far beyond": (
        "input_dim: " + "9" * 5000,
        f"1:12: 'input_dim' takes a whole number from -2147483648 to 2147483647, got {'9' * 60}…",
        None,
    ),
    "hex beyond": (
        "input_dim: 0x80000000",
        "1:12: 'input_dim' takes a whole number from -2147483648 to 2147483647, got 0x80000000",
        None,
    ),
    "negative for unsigned": (
        "layer { pooling_param { pad: -1 } }",
        "1:30: 'pad' takes a whole number from 0 to 4294967295, got -1",
        None,
    ),
    "beyond 64 bits": (
        "layer { reshape_param { shape { dim: 9223372036854775808 } } }",
        (
            "1:38: 'dim' takes a whole number from -9223372036854775808 to 9223372036854775807, "
            "got 9223372036854775808"
        ),
        None,
    ),
    "a word for a float": (
        FILLERS + "std: small } } }",
        "1:50: 'std' takes a number, got small",
        None,
    ),
    "hex for a float": (FILLERS + "std: 0x10 } } }", "1:50: 'std' takes a number, got 0x10", None),
    "octal for a float": (
        FILLERS + "std: 010 } } }",
        "1:50: 'std' takes a number, got 010",
        "leave out the leading zero: it makes a number octal",
    ),
    "a text for a float": (
        FILLERS + "std: '0.1' } } }",
        "1:50: 'std' takes a number, got '0.1'",
        "without the quotes",
    ),
    "yes for a boolean": (
        "force_backward: yes",
        "1:17: 'force_backward' takes true or false, got yes",
        None,
    ),
    "2 for a boolean": (
        "force_backward: 2",
        "1:17: 'force_backward' takes true or false, got 2",
        None,
    ),
    "a text for a boolean": (
        "force_backward: 'true'",
        "1:17: 'force_backward' takes true or false, got 'true'",
        "without the quotes",
    ),
    "a word for a text": (
        "name: AlexNet",
        "1:7: 'name' takes a text in quotes, got AlexNet",
        'write "AlexNet"',
    ),
    "a number for a text": ("name: 5", "1:7: 'name' takes a text in quotes, got 5", 'write "5"'),
    "an enum value": (
        "layer { phase: TRIAN }",
        "1:16: 'phase' takes one of TRAIN, TEST, got TRIAN",
        "did you mean 'TRAIN'?",
    ),
    "an enum value in lower case": (
        "layer { phase: test }",
        "1:16: 'phase' takes one of TRAIN, TEST, got test",
        "did you mean 'TEST'?",
    ),
    "an enum value in quotes": (
        "layer { phase: 'TEST' }",
        "1:16: 'phase' takes one of TRAIN, TEST, got 'TEST'",
        "without the quotes",
    ),
    "an enum number": ("layer { phase: 2 }", "1:16: 'phase' takes one of TRAIN, TEST, got 2", None),
    "an enum number beyond 32 bits": (
        "layer { phase: 4294967297 }",
        "1:16: 'phase' takes one of TRAIN, TEST, got 4294967297",
        None,
    ),
    "one of many": (
        "layers { type: CONVOLUTOIN }",
        (
            "1:16: 'type' takes one of NONE, ABSVAL, ACCURACY, ARGMAX, BNLL, CONCAT, "
            "CONTRASTIVE_LOSS, CONVOLUTION and 32 others, got CONVOLUTOIN"
        ),
        "did you mean 'CONVOLUTION'?",
    ),
    "a block for a number": (
        "input_dim: { }",
        "1:1: 'input_dim' takes a whole number, not a block",
        None,
    ),
    "a number for a block": ("layer: 5", "1:8: 'layer' takes a block of fields, got 5", None),
    "a text for a block": (
        "layer: 'conv1'",
        "1:8: 'layer' takes a block of fields, got 'conv1'",
        None,
    ),
    "a list for one value": ("name: ['a']", "1:1: 'name' takes one value, not a list", None),
    "a list for one block": (
        "layer { relu_param: [{ }, { }] }",
        "1:9: 'relu_param' takes one value, not a list",
        None,
    ),
    "texts on two lines": (
        "input_dim: '1'\n '2'",
        "1:12: 'input_dim' takes a whole number, got '1' '2'",
        "without the quotes",
    ),
    "a missing field": (
        "layer { clip_param { min: 0 } }",
        "1:9: 'max' must be given in 'clip_param'",
        None,
    ),
}


@pytest.mark.parametrize(("text", "message", "hint"), VALUES.values(), ids=VALUES)
def test_wrong_values(text: str, message: str, hint: str | None) -> None:
    assert reported(text) == [(message, hint)]


# As protobuf's C++ parser, which the original uses, takes them; its Python parser knows 0 and 1
# alone.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x1", True),
        ("0X0", False),
        ("01", True),
        ("00", False),
        ("1", True),
        ("0x2", None),
        ("-0", None),
        ("1.", None),
        ("TRUE", None),
    ],
)
def test_booleans_as_numbers(text: str, value: bool | None) -> None:
    message = caffe_pb2.NetParameter()
    report = Report()
    bind(parse_source(Source("net.prototxt", f"force_backward: {text}")), message, report)
    assert (message.force_backward if message.HasField("force_backward") else None) is value
    assert report.failed == (value is None)


@pytest.mark.parametrize("text", ["name: 'a' name: 'b'", "layer { relu_param { } relu_param { } }"])
def test_a_field_that_stands_twice(text: str) -> None:
    (fault,) = report_of(text).diagnostics
    name = "name" if text.startswith("name") else "relu_param"
    assert fault.message == f"'{name}' may stand only once here"
    assert fault.span is not None
    assert fault.span.start == text.rindex(name)
    (first,) = fault.notes
    assert first.span is not None
    assert (first.message, first.span.start) == ("the first one is here", text.index(name))


def test_all_faults_in_the_order_of_the_file() -> None:
    message = caffe_pb2.NetParameter()
    text = (
        'nme: "a"\nlayer {\n  name: conv1\n  convolution_param {\n    pad: -1\n'
        "    kernel_size: 3\n    strid: 2\n  }\n"
        "  phase: BOTH\n}\nforce_backward: yes\nname: 'b'\nname: 'c'\ninput_dim: [1, x, 3, y]\n"
    )
    assert [fault.split(": ")[0] for fault, _ in reported(text, message)] == [
        "1:1",
        "3:9",
        "5:10",
        "7:5",
        "9:10",
        "11:17",
        "13:1",
        "14:16",
        "14:22",
    ]
    # what is right is bound all the same
    assert message.name == "b"
    assert list(message.layer[0].convolution_param.kernel_size) == [3]
    assert list(message.input_dim) == [1, 3]


def test_a_crowded_report_gives_no_more_hints() -> None:
    faults = reported("".join(f"nme: '{i}'\n" for i in range(150)))
    assert len(faults) == 150
    assert [hint for _, hint in faults].count("did you mean 'name'?") == 100


def spans_of(text: str, suffix: str = ".prototxt") -> Spans:
    return bind(parse_source(Source("net" + suffix, text)), caffe_pb2.NetParameter(), Report())


NET = """layer { name: "a" }
layer {
  name: "b"
  bottom: ["x", "y"]
  convolution_param { kernel_size: 3 kernel_size: 5 weight_filler { type: "xavier" } }
}
"""


def test_spans_of_fields() -> None:
    spans = spans_of(NET)
    places = {
        ("layer", 1, "name"): '"b"',
        ("layer", -1, "bottom", 1): '"y"',
        ("layer", 1, "convolution_param", "kernel_size", 1): "5",
        ("layer", 1, "convolution_param", "weight_filler", "type"): '"xavier"',
        ("layer", 1, "convolution_param"): "convolution_param",  # a block is shown by its name
        # what is not there, by what is around it
        ("layer", 1, "convolution_param", "pad"): "convolution_param",
        ("layer", 1, "pooling_param", "pad"): "layer",
        ("layer", 0, "name"): '"a"',
    }
    for path, text in places.items():
        span = spans.at(*path)
        assert span is not None
        assert span.text == text
    whole = spans.find("layer", 1).whole()
    assert whole is not None
    assert (whole.line, whole.text[:7], whole.text[-1]) == (2, "layer {", "}")


def test_spans_of_the_items_of_a_list() -> None:
    for text, suffix in (
        ('layer: [ { name: "a" },\n { nme: "b" } ]', ".prototxt"),
        ("layer:\n- name: a\n- nme: b\n  x: 1\n", ".yaml"),
    ):
        spans = spans_of(text, suffix)
        wholes = [place.whole() for place in spans.fields["layer"]]
        assert ["a" in whole.text for whole in wholes if whole] == [True, False]
        assert [place.is_faulty for place in spans.fields["layer"]] == [False, True]


def test_faulty_blocks_are_marked_up_to_the_file() -> None:
    spans = spans_of("layer { relu_param { } } layer { relu_param { slope: 1 } }")
    assert [place.is_faulty for place in spans.fields["layer"]] == [False, True]
    assert spans.is_faulty
    assert spans.find("layer", 1, "relu_param").is_faulty
    assert not spans_of(NET).is_faulty


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1"),
        (-0.0, "-0"),
        (1e-3, "0.001"),
        (1e20, "1e+20"),
        (0.3333333432674408, "0.33333334"),
        (16777216.0, "16777216"),
        (float("inf"), "inf"),
    ],
)
def test_shortest_float(value: float, text: str) -> None:
    assert float_text(value) == text


def test_a_number_of_many_digits_prints_as_the_float_it_is() -> None:
    random = Random(8)
    texts = ["113.865383184"] + [
        f"{random.uniform(-10, 10) * 10 ** random.randint(-40, 37):.{random.randint(9, 17)}g}"
        for _ in range(5000)
    ]
    message = caffe_pb2.TransformationParameter()
    block = parse_source(Source("net.prototxt", " ".join(f"mean_value: {text}" for text in texts)))
    bind(block, message, Report())
    again = bind_text(print_tree(block), caffe_pb2.TransformationParameter())
    assert again.SerializeToString() == message.SerializeToString()


def test_doubles_keep_all_digits() -> None:
    assert float_text(0.1 + 0.2, double=True) == "0.30000000000000004"


def test_tree_of_a_message_is_in_the_order_of_the_fields_numbers() -> None:
    message = caffe_pb2.NetParameter(name="n", force_backward=True, input_dim=[1, 2])
    message.layer.add(name="a")
    assert [field.name for field in unbind(message).fields] == [
        "name",
        "input_dim",
        "force_backward",
        "layer",
    ]
