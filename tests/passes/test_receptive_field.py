"""Receptive fields, effective strides and offsets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.graph import Net
from netspec.layers.reach import Reach
from netspec.passes.receptive_field import receptive_field
from tests.conftest import ROOT
from tests.passes.test_build_graph import layer

IMAGE = (
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 2 dim: 4 dim: 33 dim: 33 } } }\n"
)


def convolved(name: str, bottom: str, settings: str, kind: str = "Convolution") -> str:
    return layer(name, kind, bottom, name, f"convolution_param {{ num_output: 4 {settings} }}")


def field(net: Net, blob: str) -> Reach | None:
    return receptive_field(net)[net.blobs[blob]]


def test_alexnet() -> None:
    """195 and 32 are pool5's in Araujo, Norris and Sim 2019, whose table begins with AlexNet."""
    net = netspec.load(ROOT / "models/bvlc_alexnet/deploy.prototxt")
    assert field(net, "conv1") == Reach((11, 11), (4, 4), (5, 5))
    assert field(net, "pool5") == Reach((195, 195), (32, 32), (33, 33))
    assert field(net, "fc6") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (convolved("x", "data", "kernel_size: 3 pad: 1 dilation: 4"), (9, 1, 3)),
        (
            convolved("a", "data", "kernel_size: 3 stride: 2")
            + convolved("x", "a", "kernel_size: 3 dilation: 2"),
            (3 + 4 * 2, 2, 1 + 4),
        ),
        (  # bilinear upsampling undoes the stride; what a place sees lies around it
            convolved("a", "data", "kernel_size: 1 stride: 2")
            + convolved("x", "a", "kernel_size: 4 stride: 2 pad: 1", "Deconvolution"),
            (3, 1, -0.5),
        ),
        (
            convolved("a", "data", "kernel_size: 3 stride: 2")
            + layer("x", "Pooling", "a", "x", "pooling_param { kernel_size: 2 stride: 2 }"),
            (5, 4, 2),
        ),
    ],
)
def test_layers_one_after_another(
    load_text: Callable[..., Net], text: str, expected: tuple[float, float, float]
) -> None:
    reach = field(load_text(IMAGE + text), "x")
    assert reach is not None
    assert (reach.size[0], reach.stride[0], reach.offset[0]) == expected
    assert (reach.size[1], reach.stride[1], reach.offset[1]) == expected


def test_each_axis_has_its_own(load_text: Callable[..., Net]) -> None:
    text = IMAGE + convolved("x", "data", "kernel_h: 5 kernel_w: 1 stride_h: 1 stride_w: 2")
    assert field(load_text(text), "x") == Reach((5, 1), (1, 2), (2, 0))


def test_branches_see_what_any_of_them_sees(load_text: Callable[..., Net]) -> None:
    text = (
        IMAGE
        + convolved("a", "data", "kernel_size: 1")
        + convolved("b", "data", "kernel_size: 5 pad: 2")
        + 'layer { name: "x" type: "Concat" bottom: "a" bottom: "b" top: "x" }'
    )
    assert field(load_text(text), "x") == Reach((5, 5), (1, 1), (0, 0))


def test_a_crop_moves_the_centre_and_asks_its_second_bottom_for_its_size_alone(
    load_text: Callable[..., Net],
) -> None:
    text = (
        IMAGE
        + convolved("small", "data", "kernel_size: 9")
        + 'layer { name: "x" type: "Crop" bottom: "data" bottom: "small" top: "x" '
        "crop_param { axis: 2 offset: 3 } }"
    )
    assert field(load_text(text), "x") == Reach((1, 1), (1, 1), (3, 3))


@pytest.mark.parametrize(
    "text",
    [
        layer("x", "InnerProduct", "data", "x", "inner_product_param { num_output: 7 }"),
        layer("x", "Pooling", "data", "x", "pooling_param { global_pooling: true }"),
        layer("x", "MVN", "data", "x"),
        layer("a", "InnerProduct", "data", "a", "inner_product_param { num_output: 4 }")
        + layer("s", "Reshape", "a", "s", "reshape_param { shape { dim: 2 dim: 4 } }")
        + 'layer { name: "x" type: "Scale" bottom: "data" bottom: "s" top: "x" '
        "scale_param { axis: 0 } }",
    ],
)
def test_the_whole_input_may_count(load_text: Callable[..., Net], text: str) -> None:
    assert field(load_text(IMAGE + text), "x") is None


def test_labels_see_nothing(load_text: Callable[..., Net]) -> None:
    net = load_text(
        'layer { name: "l" type: "Input" top: "label" input_param { shape { dim: 2 } } }'
    )
    assert receptive_field(net) == {}
