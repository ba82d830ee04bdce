"""`blobs { … }` in a net's text: the values params begin with, and faults where they don't fit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from tests.nets import input_text

Load = Callable[..., Net]
INPUT = input_text("x", (2, 3)) + "\n"


def dense(blobs: str, more: str = "") -> str:
    return INPUT + (
        'layer { name: "f" type: "InnerProduct" bottom: "x" top: "y" '
        f"inner_product_param {{ num_output: 1 {more} }}\n{blobs} }}\n"
    )


@pytest.mark.parametrize(
    "weights",
    [
        "shape { dim: 1 dim: 3 } data: 1 data: 2 data: 3",
        "num: 1 channels: 1 height: 1 width: 3 data: [1, 2, 3]",
        "shape { dim: [1, 3] } double_data: [1, 2, 3]",
    ],
)
def test_params_begin_with_the_values(load_text: Load, weights: str) -> None:
    module = netspec.compile(
        load_text(dense(f"blobs {{ {weights} }} blobs {{ shape {{ dim: 1 }} data: 7 }}"))
    )
    assert [blob.tolist() for blob in module.params["f"]] == [[[1, 2, 3]], [7]]


def test_the_owner_of_a_shared_param_gives_its_values(load_text: Load) -> None:
    fields = (
        'bottom: "x" param { name: "w" } inner_product_param { num_output: 1 bias_term: false } '
        "blobs { shape { dim: [1, 3] } data: "
    )
    text = "".join(
        f'layer {{ name: "f{i}" type: "InnerProduct" top: "y{i}" {fields} [{i}, {i}, {i}] }} }}\n'
        for i in (1, 2)
    )
    module = netspec.compile(load_text(INPUT + text))
    assert [module.params[name][0].tolist() for name in ("f1", "f2")] == [[[1, 1, 1]]] * 2


def test_statistics_begin_with_the_values(load_text: Load) -> None:
    blobs = "".join(
        f"blobs {{ shape {{ dim: {n} }} data: {[i] * n} }} " for i, n in ((1, 3), (4, 3), (2, 1))
    )
    module = netspec.compile(
        load_text(INPUT + f'layer {{ name: "b" type: "BatchNorm" bottom: "x" top: "y" {blobs} }}')
    )
    assert [blob.tolist() for blob in module.params["b"]] == [[1] * 3, [4] * 3, [2]]


def test_an_old_layers_values_stay(load_text: Load) -> None:
    fields = (
        "inner_product_param { num_output: 1 bias_term: false } blobs { num: 1 channels: 1 "
        "height: 1 width: 3 data: [1, 2, 3] }"
    )
    net = load_text(
        'input: "x" input_dim: [2, 3, 1, 1] layers { name: "f" type: INNER_PRODUCT bottom: "x" '
        f'top: "y" {fields} }}'
    )
    assert netspec.compile(net).params["f"][0].tolist() == [[1, 2, 3]]


WRONG = [
    (
        "blobs { shape { dim: [1, 3] } data: [1, 2] }",
        "layer 'f': 'blobs' 0 has the shape 1×3, but holds 2 values",
    ),
    ("blobs { }", "layer 'f': 'blobs' 0 has the shape scalar, but holds 0 values"),
    (
        "blobs { shape { dim: [-1, -3] } data: [1, 2, 3] }",
        "layer 'f': 'blobs' 0 has the shape -1×-3, but holds 3 values",
    ),
    (
        "blobs { shape { dim: [3, 1] } data: [1, 2, 3] }",
        "layer 'f': param 0 is 1×3, but 'blobs' 0 is 3×1",
    ),
    ("blobs { data: 1 } blobs { data: 1 }", "layer 'f' has 1 param, but 2 'blobs'"),
]


@pytest.mark.parametrize(("blobs", "message"), WRONG)
def test_values_that_do_not_fit(load_text: Load, blobs: str, message: str) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(dense(blobs, "bias_term: false"))
    (fault,) = raised.value.diagnostics
    assert (fault.message, fault.span and fault.span.line) == (message, 3)
