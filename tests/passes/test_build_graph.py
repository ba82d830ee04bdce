"""The graph: who reads which version of a blob, inputs and outputs, faults of joining layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from tests.nets import input_text

INPUT = input_text("data", (2, 3)) + "\n"


def layer(name: str, kind: str, bottoms: str, tops: str, rest: str = "") -> str:
    joined = " ".join(
        [f'bottom: "{b}"' for b in bottoms.split()] + [f'top: "{t}"' for t in tops.split()]
    )
    return f'layer {{ name: "{name}" type: "{kind}" {joined} {rest} }}\n'


CHAIN = INPUT + "".join(
    [
        layer("fc", "InnerProduct", "data", "fc", "inner_product_param { num_output: 4 }"),
        layer("early", "Silence", "fc", ""),
        layer("relu", "ReLU", "fc", "fc"),
        layer("drop", "Dropout", "fc", "fc"),
        layer("out", "Softmax", "fc", "prob"),
    ]
)


def test_each_write_in_place_is_a_version(load_text: Callable[..., Net]) -> None:
    net = load_text(CHAIN)
    fc, early, relu, drop, out = net.layers[1:]
    assert [blob.version for blob in (fc.top_blobs[0], relu.top_blobs[0], drop.top_blobs[0])] == [
        0,
        1,
        2,
    ]
    assert early.bottom_blobs == fc.top_blobs
    assert relu.bottom_blobs == fc.top_blobs
    assert drop.bottom_blobs == relu.top_blobs
    assert out.bottom_blobs == drop.top_blobs
    assert net.blobs["fc"] is drop.top_blobs[0]
    assert [(reader.name, i) for reader, i in fc.top_blobs[0].consumers] == [
        ("early", 0),
        ("relu", 0),
    ]
    assert fc.top_blobs[0].producer is fc
    assert net.outputs == ["prob"]


def test_an_unread_version_makes_an_output(load_text: Callable[..., Net]) -> None:
    assert load_text(INPUT + layer("relu", "ReLU", "data", "data")).outputs == ["data"]


def test_outputs_stand_in_byte_order(load_text: Callable[..., Net]) -> None:
    names = ["a", "z", "B", "é", "_", "10", "9", "a/b", "Z", "\uffff", "\U0001f600"]
    net = load_text(
        INPUT + "".join(layer(f"l{i}", "ReLU", "data", name) for i, name in enumerate(names))
    )
    assert net.outputs == sorted(names, key=str.encode)
    assert net.outputs[:4] == ["10", "9", "B", "Z"]


def test_inputs_stand_in_the_order_of_the_file(load_text: Callable[..., Net]) -> None:
    shape = "input_param { shape { dim: 2 } }"
    dummy = "dummy_data_param { shape { dim: 1 } }"
    net = load_text(
        layer("i", "Input", "", "z a", shape)
        + layer("d", "DummyData", "", "y b", dummy)
        + layer("s", "Silence", "z y", "")
        + layer("j", "Input", "", "m", shape)
    )
    assert net.inputs == ["z", "a", "m"]
    assert net.sources == ["y", "b"]
    assert net.outputs == ["a", "b", "m"]


def test_loss_weights(load_text: Callable[..., Net]) -> None:
    shape = layer("i", "Input", "", "x label", "input_param { shape { dim: 2 } shape { dim: 2 } }")
    net = load_text(
        shape
        + layer("fc", "InnerProduct", "x", "fc", "inner_product_param { num_output: 4 axis: 0 }")
        + layer("own", "ReLU", "x", "own", "loss_weight: 0.5")
        + layer("none", "ReLU", "x", "none", "loss_weight: 0")
    )
    assert net.loss_weights == {"own": 0.5}
    net = load_text(
        layer(
            "i", "Input", "", "x label", "input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } }"
        )
        + layer("one", "SoftmaxWithLoss", "x label", "one")
        + layer("two", "SoftmaxWithLoss", "x label", "two", "loss_weight: 3")
        + layer("off", "SoftmaxWithLoss", "x label", "off", "loss_weight: 0")
        + layer("auto", "SoftmaxWithLoss", "x label", "")
        + layer("acc", "Accuracy", "x label", "acc")
    )
    assert net.loss_weights == {"one": 1.0, "two": 3.0, "(automatic)": 1.0}
    assert net.outputs == ["acc", "off", "one", "two"]
    assert net.layer("auto").tops == ["(automatic)"]


# What stands below INPUT, and the faults: message, hint, notes.
FAULTS = {
    "unknown bottom": (
        layer("r", "ReLU", "nowhere", "r"),
        ["layer 'r' reads blob 'nowhere', which no earlier layer makes"],
    ),
    "unknown bottom with a near one": (
        layer("r", "ReLU", "dat", "r"),
        [
            "layer 'r' reads blob 'dat', which no earlier layer makes",
            "did you mean 'data'?",
            "'data' is made here",
        ],
    ),
    "quotes in a blob's name": (
        layer("q", "ReLU", "data", "it's") + layer("r", "ReLU", "its", "r"),
        [
            "layer 'r' reads blob 'its', which no earlier layer makes",
            "did you mean 'it's'?",
            "'it's' is made here",
        ],
    ),
    "made below": (
        layer("r", "ReLU", "later", "r") + layer("s", "ReLU", "data", "later"),
        ["layer 'r' reads blob 'later', which no earlier layer makes"],
    ),
    "its own top": (
        layer("r", "ReLU", "r", "r"),
        ["layer 'r' reads blob 'r', which no earlier layer makes"],
    ),
    "a second time": (
        layer("r", "ReLU", "data", "r") + layer("s", "ReLU", "data", "r"),
        [
            "layer 's' makes blob 'r' a second time",
            (
                "a layer may write over a blob only in place: "
                "as the bottom and the top of the same position"
            ),
            "'r' is made here",
        ],
    ),
    "twice in one layer": (
        layer("s", "Split", "data", "a a"),
        [
            "layer 's' makes blob 'a' a second time",
            (
                "a layer may write over a blob only in place: "
                "as the bottom and the top of the same position"
            ),
            "'a' is made here",
        ],
    ),
    "in place at another position": (
        layer("a", "ReLU", "data", "a") + layer("e", "Eltwise", "data a", "a"),
        [
            "layer 'e' makes blob 'a' a second time",
            (
                "a layer may write over a blob only in place: "
                "as the bottom and the top of the same position"
            ),
            "'a' is made here",
        ],
    ),
    "in place where the layer needs its input": (
        layer("f", "InnerProduct", "data", "data", "inner_product_param { num_output: 3 }"),
        [
            "layer 'f' can't write over its bottom 'data'",
            "give its top a name of its own; InnerProduct needs its input unchanged",
        ],
    ),
    "no type": ('layer { name: "x" }', ["layer 'x' has no 'type'", 'such as type: "Convolution"']),
    "no type and no name": (
        "layer { }",
        ["this layer has no 'type'", 'such as type: "Convolution"'],
    ),
    "unknown type": (
        layer("r", "Relu", "data", "r"),
        ["layer 'r': there is no layer type 'Relu'", "did you mean 'ReLU'?"],
    ),
    "abbreviated type": (
        layer("r", "SoftmaxLoss", "data", "r"),
        ["layer 'r': there is no layer type 'SoftmaxLoss'", "did you mean 'SoftmaxWithLoss'?"],
    ),
    "too few bottoms": (
        layer("e", "Eltwise", "data", "e"),
        ["layer 'e' of type Eltwise takes at least 2 bottoms, got 1"],
    ),
    "no bottoms": (layer("r", "ReLU", "", "r"), ["layer 'r' of type ReLU takes 1 bottom, got 0"]),
    "too many bottoms": (
        layer("a", "Accuracy", "data data data", "a"),
        ["layer 'a' of type Accuracy takes 2 bottoms, got 3"],
    ),
    "too many tops": (
        layer("r", "ReLU", "data", "r s"),
        ["layer 'r' of type ReLU takes 1 top, got 2"],
    ),
    "without a name": (
        'layer { type: "ReLU" bottom: "data" top: "a" top: "b" }',
        ["this layer of type ReLU takes 1 top, got 2"],
    ),
    "too many loss weights": (
        layer("r", "ReLU", "data", "r", "loss_weight: [1, 2]"),
        ["layer 'r' has 1 top, but 2 'loss_weight'", "give one for each top"],
    ),
    "too few loss weights": (
        layer("s", "Split", "data", "r t", "loss_weight: 1"),
        ["layer 's' has 2 tops, but 1 'loss_weight'", "give one for each top"],
    ),
    "propagate_down": (
        layer("r", "ReLU", "data", "r", "propagate_down: [true, false]"),
        ["layer 'r' has 1 bottom, but 2 'propagate_down'", "give one for each bottom"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.values(), ids=FAULTS)
def test_faults(load_text: Callable[..., Net], text: str, expected: list[str]) -> None:
    with pytest.raises(NetspecError) as caught:
        load_text(INPUT + text)
    (fault,) = caught.value.diagnostics
    assert [
        fault.message,
        *([str(fault.hint)] if fault.hint else []),
        *(note.message for note in fault.notes),
    ] == expected
    assert fault.span is not None
    assert fault.span.line > 1


def test_each_fault_is_reported_at_the_word(load_text: Callable[..., Net]) -> None:
    with pytest.raises(NetspecError) as caught:
        load_text(
            INPUT
            + (
                'layer {\n  name: "e"\n  type: "Eltwise"\n  bottom: "data"\n  bottom: "dta"\n'
                '  top: "data"\n  loss_weight: [1,\n    2]\n}'
            )
        )
    assert [str(d.span).rsplit(":", 2)[1:] for d in caught.value.diagnostics] == [
        ["6", "11"],
        ["7", "8"],
        ["9", "5"],
    ]


def test_an_unknown_type_is_reported_before_what_is_wrong_with_its_fields(
    load_text: Callable[..., Net],
) -> None:
    with pytest.raises(NetspecError) as caught:
        load_text(
            INPUT
            + (
                'layer {\n  name: "n"\n  nrom_param { eps: 1 }\n  bottom: "data"\n  top: "n"\n'
                '  type: "Norm"\n}'
            )
        )
    assert [d.message for d in caught.value.diagnostics] == [
        "layer 'n': there is no layer type 'Norm'",
        "'layer' has no field 'nrom_param'",
    ]


def test_a_name_that_stands_twice_is_a_warning(load_text: Callable[..., Net]) -> None:
    report = Report()
    load_text(INPUT + layer("a", "ReLU", "data", "a") + layer("a", "ReLU", "a", "b"), report=report)
    (warning,) = report.diagnostics
    assert (warning.severity, warning.message) == (
        "warning",
        "two layers are named 'a'; weights are saved and loaded by name",
    )


BROKEN = {
    "a field": 'layer { name: "a" type: "ReLU" bottom: "data" topp: "a" }',
    "a value": 'layer { name: "a" type: "ReLU" bottom: "data" top: a }',
    "one of two tops": 'layer { name: "a" type: "Split" bottom: "data" top: "b" topp: "a" }',
    "the type": 'layer { name: "a" type: Relu bottom: "data" top: "a" }',
    "a parameter": (
        'layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" '
        "inner_product_param { num_outputs: 3 } }"
    ),
    "the name of the block": (
        'layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" '
        "inner_product { num_output: 3 } }"
    ),
    "a rule": 'layer { name: "a" type: "ReLU" bottom: "data" top: "a" include { phase: TRIAN } }',
    "a rule's block": (
        'layer { name: "a" type: "ReLU" bottom: "data" top: "a" inclde { phase: TRAIN } }'
    ),
    "both rules": (
        'layer { name: "a" type: "ReLU" bottom: "data" top: "a" '
        "include { phase: TEST } exclude { phase: TRAIN } }"
    ),
    "an unknown type": layer("a", "Nonsense", "data", "a"),
    "a shape": layer(
        "a", "InnerProduct", "data", "a", "inner_product_param { num_output: 3 axis: 5 }"
    ),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_follows_from_a_fault_is_not_reported(
    load_text: Callable[..., Net], text: str
) -> None:
    behind = layer("r", "ReLU", "a", "r") + layer(
        "f", "InnerProduct", "r", "f", "inner_product_param { num_output: 3 }"
    )
    with pytest.raises(NetspecError) as caught:
        load_text(INPUT + text + behind)
    assert len(caught.value.diagnostics) == 1


def test_a_layer_kept_by_a_wrong_rule_does_not_make_its_blob_a_second_time(
    load_text: Callable[..., Net],
) -> None:
    pair = INPUT.replace("shape {", "shape: {") + INPUT.replace(
        "top:", "include { phase: TRIAN } top:"
    )
    with pytest.raises(NetspecError) as caught:
        load_text(pair)
    assert [d.message for d in caught.value.diagnostics] == [
        "'phase' takes one of TRAIN, TEST, got TRIAN"
    ]


def test_independent_faults_are_all_reported(load_text: Callable[..., Net]) -> None:
    names = ["a field", "an unknown type", "a shape"]
    faults = [BROKEN[name].strip().replace('"a"', f'"a{i}"') for i, name in enumerate(names)]
    with pytest.raises(NetspecError) as caught:
        load_text(INPUT + "\n".join([*faults, layer("z", "ReLU", "norm9", "z")]))
    assert [d.span.line for d in caught.value.diagnostics if d.span] == [2, 3, 4, 5]
