"""Multiply-adds and parameters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.graph import Net
from netspec.passes.count_cost import param_count
from tests.conftest import ROOT
from tests.nets import input_text
from tests.passes.test_build_graph import layer

ALEXNET = ROOT / "models" / "bvlc_alexnet" / "deploy.prototxt"
# out channels × (in channels / group) × kernel² × out plane; a dense layer's weights. Known from
# the paper's layout.
MULTIPLY_ADDS = {
    "conv1": 96 * 3 * 11 * 11 * 55 * 55,
    "conv2": 256 * 48 * 5 * 5 * 27 * 27,
    "conv3": 384 * 256 * 3 * 3 * 13 * 13,
    "conv4": 384 * 192 * 3 * 3 * 13 * 13,
    "conv5": 256 * 192 * 3 * 3 * 13 * 13,
    "fc6": 9216 * 4096,
    "fc7": 4096 * 4096,
    "fc8": 4096 * 1000,
}
IMAGE = input_text("data", (2, 4, 5, 6)) + "\n"


@pytest.mark.parametrize("batch", [1, 10])
def test_alexnet(batch: int) -> None:
    net = netspec.load(ALEXNET, inputs={"data": (batch, 3, 227, 227)})
    weighted = {made.name: made.macs for made in net.layers if made.params}
    assert weighted == {name: batch * macs for name, macs in MULTIPLY_ADDS.items()}
    assert sum(weighted.values()) == batch * 724_406_816
    assert param_count(net) == 60_965_224


def test_unknown_sizes_cost_nothing(load_text: Callable[..., Net]) -> None:
    text = (
        'layer { name: "d" type: "Data" top: "data" data_param { source: "none" batch_size: 4 } }\n'
    )
    net = load_text(
        text + layer("x", "InnerProduct", "data", "x", "inner_product_param { num_output: 7 }"),
        require_shapes=False,
    )
    assert [made.macs for made in net.layers] == [0, 0]


def test_shared_params_count_once(load_text: Callable[..., Net]) -> None:
    dense = "inner_product_param { num_output: 5 bias_term: false }"
    text = IMAGE + "".join(
        layer(name, "InnerProduct", "data", name, f'param {{ name: "w" }} {dense}') for name in "ab"
    )
    assert param_count(load_text(text)) == 5 * 120
