"""Which layers are computed again, without torch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netspec.graph import Net
from netspec.passes.checkpoint_segments import checkpoint_segments, checkpointed
from netspec.passes.memory_cost import memory_cost

Load = Callable[..., Net]
HEAD = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 4 dim: 8 dim: 32 dim: 32 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
"""
LOSS = """
layer { name: "pool" type: "Pooling" bottom: "BOTTOM" top: "pool"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


def block(i: int, bottom: str, kernel: int = 1) -> str:
    return f"""
layer {{ name: "conv{i}" type: "Convolution" bottom: "{bottom}" top: "c{i}"
  convolution_param {{ num_output: 8 kernel_size: {kernel} }} }}
layer {{ name: "relu{i}" type: "ReLU" bottom: "c{i}" top: "c{i}" }}
layer {{ name: "sigmoid{i}" type: "Sigmoid" bottom: "c{i}" top: "s{i}" }}
"""


def chain(length: int) -> str:
    text = HEAD + "".join(block(i, f"s{i - 1}" if i else "data") for i in range(length))
    return text + LOSS.replace("BOTTOM", f"s{length - 1}")


def names(net: Net, **options: object) -> list[list[str]]:
    ranges = checkpoint_segments(net, **options)
    return [[net.layers[i].name for i in each] for each in ranges]


def test_a_chain_keeps_about_the_root_of_its_length(load_text: Load) -> None:
    net = load_text(chain(64), phase="TRAIN")
    blob = 4 * 4 * 8 * 32 * 32
    plain = memory_cost(net).kept
    kept, peak = checkpointed(net)
    assert plain >= 2 * 63 * blob  # of each block what ReLU and Sigmoid leave
    assert kept < 20 * blob  # of which the last segment keeps all
    assert peak < 30 * blob
    assert 4 <= len(names(net)) <= 16
    step = memory_cost(net).step, memory_cost(net, checkpoint=True).step
    assert step[1] < 0.3 * step[0]


def test_a_layer_in_place_stays_with_the_one_above(load_text: Load) -> None:
    segments = names(load_text(chain(30), phase="TRAIN"))
    assert segments
    for segment in segments:
        convs = {name[4:] for name in segment if name.startswith("conv")}
        assert convs == {name[4:] for name in segment if name.startswith("relu")}


def test_a_layer_that_must_not_run_twice_is_left_out(load_text: Load) -> None:
    net = load_text(chain(30), phase="TRAIN")
    fixed = next(layer for layer in net.layers if layer.name == "sigmoid9")
    segments = names(net, outside={fixed})
    assert segments
    assert not any("sigmoid9" in segment for segment in segments)


@pytest.mark.parametrize(
    "text",
    [HEAD + LOSS.replace("BOTTOM", "data"), chain(30).replace('"SoftmaxWithLoss"', '"Accuracy"')],
)
def test_where_nothing_is_gained(load_text: Load, text: str) -> None:
    assert names(load_text(text, phase="TRAIN")) == []


def test_a_long_net_takes_seconds(load_text: Load) -> None:
    net = load_text(chain(1500), phase="TRAIN")
    step = memory_cost(net).step, memory_cost(net, checkpoint=True).step
    assert step[1] < 0.1 * step[0]
