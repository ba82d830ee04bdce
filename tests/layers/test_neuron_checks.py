"""What is reported of neuron layers without torch.

Faulty fields, and gradients that are wrong in place.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netspec.diagnostics import NetspecError, Report, Source
from netspec.graph import Net
from netspec.pipeline import assemble, read_net
from netspec.schema.caffe_pb2 import NetState, Phase
from tests import nets
from tests.nets import Shape

Load = Callable[..., Net]


def net_text(layer: str, top: str = "y", shape: Shape = (2, 3, 4)) -> str:
    """An input and below it, in line 2 and after, the layer."""
    return nets.net_text(f'top: "{top}" {layer}', x=shape)


WRONG = [
    (
        'type: "Dropout" phase: TRAIN\ndropout_param { dropout_ratio: 1 }',
        "'dropout_ratio' must be at least 0 and below 1, got 1",
    ),
    (
        'type: "Dropout"\ndropout_param { dropout_ratio: nan }',
        "'dropout_ratio' must be at least 0 and below 1, got nan",
    ),
    ('type: "Exp"\nexp_param { base: 0 }', "'base' must be a positive number, or -1 for e, got 0"),
    (
        'type: "Exp"\nexp_param { base: -2 }',
        "'base' must be a positive number, or -1 for e, got -2",
    ),
    (
        'type: "Exp"\nexp_param { base: inf }',
        "'base' must be a positive number, or -1 for e, got inf",
    ),
    (
        'type: "Log"\nlog_param { base: nan }',
        "'base' must be a positive number, or -1 for e, got nan",
    ),
    ('type: "Log"\nlog_param { base: 1 }', "'base' must not be 1, whose logarithm is 0"),
    ('type: "BatchNorm"\nbatch_norm_param { eps: -1e-3 }', "'eps' must be at least 0, got -0.001"),
    ('type: "PReLU"\nprelu_param { filler { type: "gausian" } }', "there is no filler 'gausian'"),
]


@pytest.mark.parametrize(("layer", "message"), WRONG)
def test_diagnostics_stand_at_the_faulty_field(load_text: Load, layer: str, message: str) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(net_text(layer))
    (fault,) = raised.value.diagnostics
    assert fault.message == f"layer 'l': {message}"
    assert fault.span is not None
    assert fault.span.line == (3 if "\n" in layer else 2)


ODD = [
    ('type: "Clip"', (2, 3), "without 'min' and 'max' every value becomes 0"),
    ('type: "Dropout" dropout_param { dropout_ratio: 1 }', (2, 3), None),  # of phase TEST
    ('type: "PReLU"', (2, 3, 4, 5, 6), "Caffe's PReLU takes at most 4 axes, got 5"),
    ('type: "PReLU"', (2, 3, 4, 5), None),
    (
        'type: "BatchNorm"',
        (4,),
        "Caffe stops at a blob of one axis; it is normalised as one channel",
    ),
]


@pytest.mark.parametrize(("layer", "shape", "warning"), ODD)
def test_what_is_clear_is_taken(layer: str, shape: tuple[int, ...], warning: str | None) -> None:
    report = Report()
    message, spans = read_net(Source("net.prototxt", net_text(layer, shape=shape)), report)
    net = assemble(message, spans, NetState(phase=Phase.Value("TEST")), report)
    assert [(d.severity, d.message) for d in report.diagnostics] == (
        [("warning", f"layer 'l': {warning}")] if warning else []
    )
    assert net.blobs["y"].shape == shape


@pytest.mark.parametrize("field", ["min", "max"])
def test_a_clip_needs_both_limits(load_text: Load, field: str) -> None:
    missing = "max" if field == "min" else "min"
    with pytest.raises(NetspecError, match=rf"prototxt:3:1: error: .*'{missing}'"):
        load_text(net_text(f'type: "Clip"\nclip_param {{ {field}: 1 }}'))


def test_a_blob_of_one_axis_has_no_channels(load_text: Load) -> None:
    with pytest.raises(
        NetspecError, match=r"'l': PReLU takes a blob of at least 2 axes \(N×C\), got 1"
    ):
        load_text(net_text('type: "PReLU"', shape=(4,)))


def test_absval_refuses_to_work_in_place(load_text: Load) -> None:
    with pytest.raises(NetspecError, match="'l' can't write over its bottom 'x'"):
        load_text(net_text('type: "AbsVal"', "x"))


WARNED = [
    'type: "BNLL"',
    'type: "Clip" clip_param { min: 0 max: 1 }',
    'type: "Log"',
    'type: "Power"',
]


@pytest.mark.parametrize("layer", WARNED)
def test_warns_of_a_wrong_gradient_in_place(layer: str) -> None:
    dense = (
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "x2" '
        "inner_product_param { num_output: 3 } }\n"
    )
    # no params above it: nothing to warn of
    above = f'layer {{ name: "a" bottom: "y" top: "y" {layer} }}\n'
    below = f'layer {{ name: "b" bottom: "x2" top: "x2" {layer} }}\n'
    text = net_text('type: "Exp"') + dense + above + below
    (warning,) = warnings_of(text, "TRAIN")
    kind = layer.split('"')[1]
    assert warning == (
        f"layer 'b': {kind} in place passes a wrong gradient down, in Caffe as here: "
        "it reads memory that it has overwritten"
    )
    assert warnings_of(text, "TEST") == []


def warnings_of(text: str, phase: str) -> list[str]:
    report = Report()
    message, spans = read_net(Source("net.prototxt", text), report)
    assemble(message, spans, NetState(phase=Phase.Value(phase)), report)
    return [d.message for d in report.diagnostics]
