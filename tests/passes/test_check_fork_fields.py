"""Forks' fields in Caffe's own messages: without effect, or not computed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from tests.nets import net_text

CONVOLUTION = 'type: "Convolution" top: "y" convolution_param {{ num_output: 2 kernel_size: 1 {} }}'


def warned(load_text: Callable[..., Net], fields: str) -> tuple[Net, list[str]]:
    report = Report()
    net = load_text(net_text(CONVOLUTION.format(fields), x=(1, 1, 4, 4)), report=report)
    return net, [d.message for d in report.in_order()]


@pytest.mark.parametrize("field", ["conv_algos_override: '1,1,1'", "engine: MKLDNN"])
def test_what_chooses_an_engine_is_noted_once_and_computed(
    load_text: Callable[..., Net], field: str
) -> None:
    net, messages = warned(load_text, field)
    name = field.partition(":")[0]
    assert messages == [f"'{name}': chosen for speed in a fork, without effect in netspec"]
    assert netspec.compile(net).output_names == ["y"]


def test_what_would_change_numbers_is_warned_of_and_not_computed(
    load_text: Callable[..., Net],
) -> None:
    net, messages = warned(load_text, "shape_offset: 1")
    wanted = "layer 'l': 'shape_offset' is a fork's field that netspec does not carry out"
    assert messages == [wanted]
    with pytest.raises(NetspecError) as caught:
        netspec.compile(net)
    (fault,) = caught.value.diagnostics
    assert (fault.severity, fault.message) == ("error", wanted)
    assert fault.span is not None
    assert fault.span.text == "1"


def test_a_default_that_is_stated_changes_nothing(load_text: Callable[..., Net]) -> None:
    net, messages = warned(load_text, "half_pad: false")
    assert messages == []
    netspec.compile(net)


def test_the_parameters_of_another_type_are_ignored_as_in_caffe(
    load_text: Callable[..., Net],
) -> None:
    text = net_text('type: "ReLU" top: "y" permute_param { order: 0 }', x=(1, 2))
    netspec.compile(load_text(text))


def test_a_data_layer_is_refused_where_its_data_are_read(load_text: Callable[..., Net]) -> None:
    text = (
        'layer { name: "d" type: "Data" top: "x" data_param { source: "db" batch_size: 2 }'
        ' transform_param { min_side: 4 } }\nlayer { name: "l" type: "ReLU" bottom: "x" top: "y" }'
    )
    net = load_text(text, inputs={"x": (2, 1, 4, 4)})
    netspec.compile(net)  # its data are fed
    with pytest.raises(NetspecError, match="'min_side' is a fork's field"):
        next(iter(netspec.batches(net)))
