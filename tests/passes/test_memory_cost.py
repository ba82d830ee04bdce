"""The memory of a net and of a training step, by rules that can be checked by hand.

tests/pytorch/test_training_memory.py holds it against PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.passes.batch_fit import batch_shapes, largest_batch
from netspec.passes.memory_cost import MemoryCost, blob_bytes, memory_cost
from netspec.schema.caffe_pb2 import SolverParameter
from netspec.schema.solver_types import HISTORIES
from tests.passes.test_build_graph import layer

IMAGE = (
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 2 dim: 4 dim: 6 dim: 6 } } }\n"
)
VALUES = 2 * 4 * 6 * 6
LABEL = 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }\n'
DENSE = "inner_product_param { num_output: 5 }"
TRAINED = (
    IMAGE
    + LABEL
    + layer("fc", "InnerProduct", "data", "fc", DENSE)
    + layer("loss", "SoftmaxWithLoss", "fc label", "loss")
)
PARAMS = 5 * 4 * 36 + 5


def cost(load_text: Callable[..., Net], text: str, **options: object) -> MemoryCost:
    return memory_cost(load_text(text, phase="TRAIN"), **options)


@pytest.mark.parametrize("value_bytes", [4, 2])
def test_a_forward_pass(load_text: Callable[..., Net], value_bytes: int) -> None:
    found = cost(load_text, TRAINED, value_bytes=value_bytes)
    assert found.params == value_bytes * PARAMS
    assert found.data == value_bytes * (VALUES + 2)
    assert found.activations == value_bytes * (2 * 5 + 1)


def test_blobs_of_one_memory_count_once(load_text: Callable[..., Net]) -> None:
    text = (
        IMAGE
        + layer("abs", "AbsVal", "data", "x")
        + layer("relu", "ReLU", "x", "x")
        + layer("flat", "Flatten", "x", "flat")
        + layer("split", "Split", "flat", "a b")
        + layer("fc", "InnerProduct", "a", "fc", DENSE)
    )
    net = load_text(text)
    assert {made.name: size for made, size in blob_bytes(net).items()} == {
        "data": 4 * VALUES,
        "abs": 4 * VALUES,
        "relu": 0,
        "flat": 0,
        "split": 0,
        "fc": 4 * 10,
    }


def test_shared_params_count_once(load_text: Callable[..., Net]) -> None:
    text = IMAGE + "".join(
        layer(
            name,
            "InnerProduct",
            "data",
            name,
            'param { name: "w" } inner_product_param { num_output: 5 bias_term: false }',
        )
        for name in "ab"
    )
    assert cost(load_text, text).params == 4 * 5 * 144


@pytest.mark.parametrize("kind", HISTORIES)
def test_the_history_is_the_solver_types(load_text: Callable[..., Net], kind: str) -> None:
    found = cost(load_text, TRAINED, solver=SolverParameter(type=kind))
    assert found.history == HISTORIES[kind] * found.params
    assert found.gradients == found.params
    assert found.step > found.params + found.gradients + found.history + found.data


def test_frozen_params_have_a_history_and_no_gradient(load_text: Callable[..., Net]) -> None:
    frozen = TRAINED.replace(DENSE, f"param {{ lr_mult: 0 }} {DENSE}")
    found = cost(load_text, frozen)
    assert found.history == found.params
    assert found.gradients == 4 * 5


def test_what_the_backward_pass_keeps(load_text: Callable[..., Net]) -> None:
    text = (
        IMAGE
        + LABEL
        + layer("one", "InnerProduct", "data", "one", DENSE)
        + layer("relu", "ReLU", "one", "one")
        + layer("drop", "Dropout", "one", "one")
        + layer("fc", "InnerProduct", "one", "fc", DENSE)
        + layer("loss", "SoftmaxWithLoss", "fc label", "loss")
    )
    # relu's top; dropout's factors; its top, which fc reads; the softmax's logarithms
    assert cost(load_text, text).kept == 4 * (10 + 10 + 10 + 10)


def test_max_pooling_keeps_the_places_in_64_bits(load_text: Callable[..., Net]) -> None:
    text = (
        IMAGE
        + LABEL
        + layer(
            "conv",
            "Convolution",
            "data",
            "conv",
            "convolution_param { num_output: 4 kernel_size: 1 }",
        )
        + layer("pool", "Pooling", "conv", "pool", "pooling_param { kernel_size: 2 stride: 2 }")
        + layer("fc", "InnerProduct", "pool", "fc", DENSE)
        + layer("loss", "SoftmaxWithLoss", "fc label", "loss")
    )
    pooled = 2 * 4 * 3 * 3
    assert cost(load_text, text).kept == 4 * (VALUES + pooled + 10) + 8 * pooled
    half = cost(load_text, text, value_bytes=2).kept
    assert half == 2 * (VALUES + pooled) + 8 * pooled + 4 * 10


def test_a_net_without_a_loss_does_not_train(load_text: Callable[..., Net]) -> None:
    found = cost(load_text, IMAGE + layer("fc", "InnerProduct", "data", "fc", DENSE))
    assert (found.kept, found.gradients, found.history, found.step) == (0, 0, 0, 0)


def test_parts_of_an_iteration_keep_their_gradients(load_text: Callable[..., Net]) -> None:
    steps = [
        cost(load_text, TRAINED, solver=SolverParameter(type="SGD", iter_size=size)).step
        for size in (1, 4)
    ]
    assert steps[1] > steps[0]


def test_another_batch_changes_the_inputs_that_have_it(load_text: Callable[..., Net]) -> None:
    text = TRAINED + (
        'layer { name: "k" type: "Input" top: "k" input_param { shape { dim: 7 dim: 2 } } }\n'
    )
    shapes = batch_shapes(load_text(text), 9)
    assert shapes == {"data": (9, 4, 6, 6), "label": (9,)}
    assert load_text(text, inputs=shapes).blobs["fc"].shape == (9, 5)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 8, 1000, 2**31 - 1])
def test_the_largest_batch_is_found(most: int) -> None:
    tried: list[int] = []

    def fits(batch: int) -> bool:
        tried.append(batch)
        return batch <= most

    assert largest_batch(fits) == most
    assert len(tried) == len(set(tried)) < 70


def test_a_size_beyond_a_blobs_is_refused(load_text: Callable[..., Net]) -> None:
    with pytest.raises(NetspecError, match="values, more than"):
        load_text(TRAINED, inputs=batch_shapes(load_text(TRAINED), 2**31 - 1))
