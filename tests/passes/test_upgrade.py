"""Older formats: what the original makes of them, and their faults at the old text's lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import text_format

from netspec.diagnostics import WARNING, NetspecError, Report, Source
from netspec.graph import Net
from netspec.passes.upgrade import upgrade_solver
from netspec.pipeline import read_net
from netspec.schema import caffe_pb2
from netspec.schema.history import V0_FIELDS, V0_TYPES, V1_TYPES
from netspec.schema.solver_types import OLD_SOLVER_TYPES
from netspec.syntax.bind import Spans
from netspec.syntax.read import bind_source, read_source
from tests.conftest import REFERENCE

UPGRADED = REFERENCE / "upgrade"
V1_ENUMS = [name for name, _ in caffe_pb2.V1LayerParameter.LayerType.items() if name != "NONE"]


def upgraded(text: str) -> tuple[caffe_pb2.NetParameter, Spans, list[str]]:
    """The net, its spans, and each fault with its line and column."""
    report = Report()
    message, spans = read_net(Source("net.prototxt", text), report)
    faults = [
        (
            f"{str(d.span).removeprefix('net.prototxt:')}: "
            f"{'warning: ' * (d.severity == WARNING)}{d.message}"
        )
        for d in report.in_order()
    ]
    return message, spans, faults


def text_at(spans: Spans, *path: str | int) -> str:
    span = spans.at(*path)
    assert span is not None
    return span.text


@pytest.mark.parametrize("name", ["v0_small", "v1_small", "v2_inputs"])
def test_nets_become_what_the_original_makes_of_them(name: str) -> None:
    report = Report()
    message, spans = read_net(read_source(UPGRADED / f"{name}.prototxt"), report)
    expected = text_format.Parse(
        (UPGRADED / f"{name}.upgraded.prototxt").read_text(), caffe_pb2.NetParameter()
    )
    assert message == expected
    assert not report.diagnostics
    assert len(spans.fields["layer"]) == len(message.layer)


@pytest.mark.parametrize(
    "path", sorted(UPGRADED.glob("v*.upgraded.prototxt")), ids=lambda path: path.name
)
def test_todays_format_stays_as_it_is(path: Path) -> None:
    message, _ = read_net(read_source(path), Report())
    assert message == text_format.Parse(path.read_text(), caffe_pb2.NetParameter())


def test_solver_becomes_what_the_original_makes_of_it() -> None:
    message, report = caffe_pb2.SolverParameter(), Report()
    spans = bind_source(read_source(UPGRADED / "old_solver.prototxt"), message, report)
    upgrade_solver(message, spans, report)
    assert message == text_format.Parse(
        (UPGRADED / "old_solver.upgraded.prototxt").read_text(), caffe_pb2.SolverParameter()
    )
    assert text_at(spans, "type") == "RMSPROP"


@pytest.mark.parametrize(("old", "new"), OLD_SOLVER_TYPES.items())
def test_solver_types(old: str, new: str) -> None:
    message = caffe_pb2.SolverParameter(solver_type=old)
    upgrade_solver(message, Spans(None, None), Report())
    assert message == caffe_pb2.SolverParameter(type=new)


def test_nets_within_a_solver_become_todays() -> None:
    message, report = caffe_pb2.SolverParameter(), Report()
    text = (
        "net_param { input: 'a' input_dim: [1, 2, 3, 4] }\n"
        + "test_net_param { layers { type: RELU } }\n" * 2
    )
    spans = bind_source(Source("s.prototxt", text), message, report)
    for _ in range(2):  # each net of the file may be brought up again when it is built
        upgrade_solver(message, spans, report)
    assert message.net_param.layer[0].type == "Input"
    assert [net.layer[0].type for net in message.test_net_param] == ["ReLU", "ReLU"]
    assert text_at(spans, "test_net_param", 1, "layer", 0, "type") == "RELU"
    assert not report.diagnostics


def test_both_types_of_a_solver() -> None:
    message, report = caffe_pb2.SolverParameter(), Report()
    spans = bind_source(Source("s.prototxt", 'type: "Adam"\nsolver_type: ADAM\n'), message, report)
    upgrade_solver(message, spans, report)
    (fault,) = report.diagnostics
    assert fault.render() == (
        "s.prototxt:2:14: error: 'solver_type' is the older form of 'type'; give one of them\n"
        "  solver_type: ADAM\n               ^^^^\ns.prototxt:1:7: note: 'type' is given here"
    )


@pytest.mark.parametrize("enum", V1_ENUMS)
def test_every_v1_type(enum: str) -> None:
    message, spans, faults = upgraded(f"layers {{ type: {enum} }}")
    assert message.layer[0].type == V1_TYPES[enum]
    assert text_at(spans, "layer", 0, "type") == enum
    assert not faults


@pytest.mark.parametrize("kind", V0_TYPES)
def test_every_v0_type(kind: str) -> None:
    message, spans, faults = upgraded(f'layers {{ layer {{ name: "a" type: "{kind}" }} }}')
    assert message.layer[0].type == V1_TYPES[V0_TYPES[kind]]
    assert text_at(spans, "layer", 0, "type") == f'"{kind}"'
    assert not faults


@pytest.mark.parametrize(
    ("field", "kind", "owner"),
    [(name, kind, owner) for name, (_, owners) in V0_FIELDS.items() for kind, owner in owners],
)
def test_every_v0_field(field: str, kind: str, owner: str) -> None:
    old = caffe_pb2.V0LayerParameter.DESCRIPTOR.fields_by_name[field]
    values = {
        old.TYPE_STRING: '"x"',
        old.TYPE_MESSAGE: '{ type: "x" }',
        old.TYPE_BOOL: "true",
        old.TYPE_ENUM: "AVE",
    }
    value = values.get(old.type, "3")
    message, spans, faults = upgraded(f'layers {{ layer {{ type: "{kind}" {field}: {value} }} }}')
    assert not faults
    new_name = V0_FIELDS[field][0]
    param = getattr(message.layer[0], owner)
    found = getattr(param, new_name)
    assert (found[0] if param.DESCRIPTOR.fields_by_name[new_name].is_repeated else found) in (
        3,
        "x",
        True,
        1,
    ) or found.type == "x"
    span = spans.find("layer", 0, owner, new_name).value
    assert span is not None
    assert span.text == value


V0_FAULTS = {
    "unknown type": (
        'layers { layer { type: "convv" } }',
        ["1:24: 'convv' is not a V0 layer type"],
    ),
    "no type": ('layers { layer { name: "a" } }', ["1:10: this V0 layer has no 'type'"]),
    "a field of another type": (
        'layers { layer { type: "relu"\n kernelsize: 3 } }',
        ["2:14: warning: a V0 layer of type 'relu' has no field 'kernelsize', which has no effect"],
    ),
    "a field without meaning": (
        'layers { layer { type: "data"\n new_num: 3 } }',
        ["2:11: warning: the V0 field 'new_num' has no effect any more"],
    ),
    "V1 beside V0": (
        'layers { layer { type: "relu" } }\nlayers { type: RELU }',
        ["2:1: this is a V1 layer among V0 layers, which hold a 'layer' of their own"],
    ),
    "padding before a neuron": (
        (
            'layers { layer { type: "padding" pad: 1 } bottom: "x" top: "p" }\n'
            'layers { layer { name: "r" type: "relu" }\nbottom: "p" top: "r" }'
        ),
        ["3:9: a padding layer feeds layer 'r', which is neither conv nor pool"],
    ),
    "padding of two": (
        (
            'layers { layer { name: "p" type: "padding" } bottom: "x" bottom: "y" top: "p" }\n'
            'layers { layer { type: "conv" } bottom: "p" }'
        ),
        ["1:10: a padding layer has one bottom and one top"],
    ),
    "layer beside layers": (
        'layers { type: RELU }\nlayer { type: "ReLU" bottom: "nowhere" }',
        ["2:1: a net holds either 'layer' or the older 'layers', not both"],
    ),
    "a shape without input": (
        "input_shape { dim: 1 }",
        ["1:1: warning: 'input_shape' has no effect without an 'input'"],
    ),
    "dimensions without input": (
        "input_dim: 1",
        ["1:12: warning: 'input_dim' has no effect without an 'input'"],
    ),
    "input without shape": (
        'input: "a" layer { bottom: "a" }',
        ["1:8: 1 input takes 1 'input_shape', got 0"],
    ),
    "input without shape that nothing reads": (
        'input: "a"',
        ["1:8: warning: 'input' has no effect without a shape: 'input_shape' or 'input_dim'"],
    ),
    "input without shape beside an Input layer": (
        'input: "a"\nlayer { type: "Input" top: "a" } layer { bottom: "a" }',
        ["1:8: warning: 'input' has no effect without a shape: 'input_shape' or 'input_dim'"],
    ),
    "too many shapes": (
        'input: "a" input_shape { } input_shape { }',
        ["1:40: warning: 1 input takes 1 'input_shape', got 2; the rest has no effect"],
    ),
    "too many dimensions": (
        'input: "a" input_dim: [1, 2, 3, 4, 5]',
        ["1:36: warning: 1 input takes 4 'input_dim', got 5; the rest has no effect"],
    ),
    "too few shapes": (
        'input: "a" input: "b" input_shape { }',
        ["1:8: 2 inputs take 2 'input_shape', got 1"],
    ),
    "too few dimensions": (
        'input: "a" input_dim: [1, 2, 3]',
        ["1:8: 1 input takes 4 'input_dim', got 3"],
    ),
    "dimensions for one of two": (
        'input: "a" input: "b" input_dim: [1, 2, 3, 4]',
        ["1:8: 2 inputs take 8 'input_dim', got 4"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), V0_FAULTS.values(), ids=V0_FAULTS)
def test_faults(text: str, expected: list[str]) -> None:
    message, spans, faults = upgraded(text)
    assert faults == expected
    assert len(spans.fields.get("layer", [])) == len(message.layer)
    assert not message.layers


@pytest.mark.parametrize(
    "text",
    [  # what the original takes, leaving out what has no place
        (
            'input_dim: [1, 3, 2, 2] layer { type: "Input" top: "x" '
            'input_param { shape { dim: [2, 3] } } } layer { type: "ReLU" bottom: "x" top: "y" }'
        ),
        (
            'input_shape { dim: 1 } layer { type: "Input" top: "x" '
            'input_param { shape { dim: [2, 3] } } } layer { type: "ReLU" bottom: "x" top: "y" }'
        ),
        (
            'input: "x" layer { type: "Input" top: "x" input_param { shape { dim: [2, 3] } } } '
            'layer { type: "ReLU" bottom: "x" top: "y" }'
        ),
        (
            'input: "x" input_shape { dim: [2, 3] } input_shape { dim: 7 } '
            'layer { type: "ReLU" bottom: "x" top: "y" }'
        ),
        (
            'input: "x" input_dim: [2, 3, 1, 1] layers { layer { name: "r" type: "relu" stride: 2 '
            'new_num: 3 } bottom: "x" top: "y" }'
        ),
    ],
)
def test_fields_without_effect_load(load_text: Callable[..., Net], text: str) -> None:
    net = load_text(text)
    assert net.blobs["y"].shape in ((2, 3), (2, 3, 1, 1))


def test_padding_is_folded_into_what_reads_it() -> None:
    message, spans, faults = upgraded(
        'layers { layer { name: "p" type: "padding" pad: 2 } bottom: "data" top: "p" }\n'
        'layers { layer { name: "c" type: "conv" } bottom: "p" top: "c" }\n'
        'layers { layer { name: "s" type: "pool" } bottom: "p" top: "s" }\n'
    )
    assert not faults
    assert [(layer.name, list(layer.bottom)) for layer in message.layer] == [
        ("c", ["data"]),
        ("s", ["data"]),
    ]
    assert list(message.layer[0].convolution_param.pad) == [2]
    assert message.layer[1].pooling_param.pad == 2
    span = spans.at("layer", 1, "pooling_param", "pad")
    assert span is not None
    assert str(span) == "net.prototxt:1:49"


def test_v1_param_specs() -> None:
    text = (
        'layers { type: CONVOLUTION blobs_lr: 1 blobs_lr: 2 weight_decay: 0.5 param: "w" '
        'param: "b" param: "c"\n'
        "blob_share_mode: [STRICT, PERMISSIVE] }"
    )
    message, spans, faults = upgraded(text)
    assert not faults
    expected = caffe_pb2.LayerParameter(type="Convolution")
    expected.param.add(name="w", lr_mult=1, decay_mult=0.5, share_mode="STRICT")
    expected.param.add(name="b", lr_mult=2, share_mode="PERMISSIVE")
    expected.param.add(name="c")
    assert message.layer[0] == expected
    places = {
        ("lr_mult", 1): "2",
        ("decay_mult", 0): "0.5",
        ("name", 2): '"c"',
        ("share_mode", 1): "PERMISSIVE",
    }
    assert {key: text_at(spans, "layer", 0, "param", key[1], key[0]) for key in places} == places


@pytest.mark.parametrize("kind", ["DATA", "IMAGE_DATA", "WINDOW_DATA"])
def test_v1_data_settings(kind: str) -> None:
    owner = kind.lower() + "_param"
    message, spans, _ = upgraded(
        f"layers {{ type: {kind} {owner} {{ batch_size: 4 scale: 0.5 mirror: true crop_size: 7 "
        "mean_file: 'm' } }"
    )
    transform = message.layer[0].transform_param
    assert (transform.scale, transform.mirror, transform.crop_size, transform.mean_file) == (
        0.5,
        True,
        7,
        "m",
    )
    assert getattr(message.layer[0], owner).batch_size == 4
    assert text_at(spans, "layer", 0, "transform_param", "crop_size") == "7"
    assert text_at(spans, "layer", 0, owner, "batch_size") == "4"


def test_input_dimensions_go_by_four() -> None:
    message, spans, faults = upgraded(
        'input: "a" input: "b"\ninput_dim: [1, 3, 8, 9]\ninput_dim: [2, 4, 5, 6]\n'
        'layer { name: "x" }'
    )
    assert not faults
    (layer, other) = message.layer
    assert (layer.name, layer.type, list(layer.top), other.name) == (
        "input",
        "Input",
        ["a", "b"],
        "x",
    )
    assert [list(shape.dim) for shape in layer.input_param.shape] == [[1, 3, 8, 9], [2, 4, 5, 6]]
    assert text_at(spans, "layer", 0, "input_param", "shape", 1, "dim", 3) == "6"
    assert text_at(spans, "layer", 0, "top", 1) == '"b"'
    assert not message.input
    assert not message.input_dim


def test_shapes_win_over_dimensions() -> None:
    message, _, _ = upgraded('input: "a" input_dim: [1, 1, 1, 1] input_shape { dim: 7 }')
    assert [list(shape.dim) for shape in message.layer[0].input_param.shape] == [[7]]


def test_three_params_of_batch_norm_are_not_decayed() -> None:
    message, _, _ = upgraded(
        'layer { type: "BatchNorm" param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } }'
    )
    assert [(param.lr_mult, param.decay_mult) for param in message.layer[0].param] == [(0, 0)] * 3
    message, _, _ = upgraded('layer { type: "BatchNorm" param { lr_mult: 0 } }')
    assert not message.layer[0].param[0].HasField("decay_mult")


def _faults_of(load_text: Callable[..., Net], text: str) -> list[str]:
    with pytest.raises(NetspecError) as caught:
        load_text(text)
    return [
        ":".join(str(d.span).rsplit(":", 2)[1:]) + ": " + d.message
        for d in caught.value.diagnostics
    ]


def test_later_faults_are_reported_at_their_line_of_a_v1_file(
    load_text: Callable[..., Net],
) -> None:
    text = """input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 group: 3 } }
layers { name: "pool1" type: POOLING bottom: "data" top: "pool1"
  pooling_param { kernel_size: 9 } }
layers { name: "relu1" type: RELU bottom: "nowhere" top: "relu1" }
"""
    assert [fault.split(": ")[0] for fault in _faults_of(load_text, text)] == [
        "3:59",
        "5:32",
        "6:43",
    ]


def test_later_faults_are_reported_at_their_line_of_a_v0_file(
    load_text: Callable[..., Net],
) -> None:
    text = """input: "data" input_dim: [1, 3, 8, 8]
layers { layer { name: "pad1" type: "padding" pad: 1 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 4
  kernelsize: 11 }
  bottom: "pad1" top: "conv1" }
layers { layer { name: "drop" type: "dropout"
  dropout_ratio: 1.5 } bottom: "data" top: "drop" }
"""
    faults = _faults_of(load_text, text)
    assert [fault.split(": ")[0] for fault in faults] == ["4:15", "7:18"]
    assert faults[0].endswith(
        "layer 'conv1': a window of 11 does not fit into a height of 8 with pad 1: "
        "the output's size would be 0"
    )


def test_what_follows_from_a_fault_is_not_reported(load_text: Callable[..., Net]) -> None:
    for text in (
        'input: "a"\nlayer { name: "r" type: "ReLU" bottom: "a" top: "r" }',
        (
            'layers { layer { type: "datta" } top: "a" }\n'
            'layers { layer { type: "relu" } bottom: "a" top: "r" }'
        ),
        'layers { type: DATTA top: "a" }\nlayers { type: RELU bottom: "a" top: "r" }',
        'layer { type: "ReLU" bottom: "a" top: "r" }\nlayers { type: RELU bottom: "r" top: "s" }',
    ):
        assert len(_faults_of(load_text, text)) == 1
