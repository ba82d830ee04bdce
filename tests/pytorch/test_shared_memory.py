"""Flatten, Reshape, Split, a Concat or Slice of one blob, and Parameter share memory in Caffe.

An in-place write shows in every name.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import netspec
from netspec.graph import Net
from tests.nets import input_text

Loader = Callable[..., Net]
X = input_text("x", (1, 4)) + "\n"
VIEWS = {
    "Flatten": 'type: "Flatten" bottom: "a" top: "v"',
    "Reshape": 'type: "Reshape" bottom: "a" top: "v" reshape_param { shape { dim: 2 dim: -1 } }',
    "Split": 'type: "Split" bottom: "a" top: "v" top: "w"',
    "Concat": 'type: "Concat" bottom: "a" top: "v"',
    "Slice": 'type: "Slice" bottom: "a" top: "v"',
}


def values() -> torch.Tensor:
    return torch.tensor([[1.0, -2.0, 3.0, -4.0]])


@pytest.mark.parametrize("view", VIEWS)
def test_a_later_reader_sees_the_write(view: str, load_text: Loader) -> None:
    text = (
        X
        + f"""
    layer {{ name: "a" type: "Power" bottom: "x" top: "a" power_param {{ scale: -1 }} }}
    layer {{ name: "before" type: "Power" bottom: "a" top: "before" power_param {{ scale: 2 }} }}
    layer {{ name: "v" {VIEWS[view]} }}
    layer {{ name: "r" type: "ReLU" bottom: "v" top: "v" }}
    layer {{ name: "after" type: "Power" bottom: "a" top: "after" power_param {{ scale: 2 }} }}
    """
    )
    outputs = netspec.compile(load_text(text))(values())
    assert outputs["before"].flatten().tolist() == [-2, 4, -6, 8]
    assert outputs["after"].shape == (1, 4)
    assert outputs["after"].flatten().tolist() == [0, 4, 0, 8]
    module = netspec.compile(load_text("force_backward: true\n" + text))
    unread = [
        node.name for node in module.graph.nodes if node.op == "call_function" and not node.users
    ]
    assert unread == [], "nothing is computed that nobody reads"
    if view == "Split":
        assert torch.equal(outputs["w"], outputs["v"]), (
            "an output holds what stands there in the end"
        )


def test_the_write_shows_in_the_bottom_of_another_batch_size(load_text: Loader) -> None:
    text = X + (
        'layer { name: "s" type: "Split" bottom: "x" top: "a" top: "b" } '
        'layer { name: "r" type: "ReLU" bottom: "a" top: "a" }'
    )
    outputs = netspec.compile(load_text(text))(values().expand(3, 4))
    assert outputs["b"].tolist() == [[1, 0, 3, 0]] * 3


def test_a_reader_has_a_gradient_of_its_own(load_text: Loader) -> None:
    """Caffe's Split sums the readers' gradients.

    That of the reader after the ReLU does not pass the ReLU.
    """
    text = (
        "force_backward: true\n"
        + X
        + """
    layer { name: "a" type: "Power" bottom: "x" top: "a" power_param { scale: -1 } }
    layer { name: "v" type: "Flatten" bottom: "a" top: "v" }
    layer { name: "r" type: "ReLU" bottom: "v" top: "v" }
    layer { name: "p" type: "Power" bottom: "a" top: "y" power_param { scale: 2 } loss_weight: 1 }
    """
    )
    module, x = netspec.compile(load_text(text, phase="TRAIN")), values().requires_grad_()
    module.loss(module(x)).backward()
    assert x.grad.flatten().tolist() == [-2] * 4


def test_the_gradient_reads_what_was_written_through_a_view(load_text: Loader) -> None:
    text = (
        "force_backward: true\n"
        + X
        + """
    layer { name: "a" type: "TanH" bottom: "x" top: "a" }
    layer { name: "v" type: "Reshape" bottom: "a" top: "v" reshape_param { shape { dim: -1 } } }
    layer { name: "s" type: "Scale" bottom: "v" top: "v"
      scale_param { axis: 0 num_axes: 0 filler { value: 3 } } }
    layer { name: "l" type: "Reduction" bottom: "v" top: "l" loss_weight: 1 }
    """
    )
    module, x = netspec.compile(load_text(text, phase="TRAIN")), values().requires_grad_()
    module.loss(module(x)).backward()
    written = 3 * torch.tanh(values())
    assert torch.allclose(x.grad, 3 * (1 - written * written))


def test_a_weight_gradient_reads_what_was_written_over_the_bottom(load_text: Loader) -> None:
    """The dense layer keeps its bottom for the weight's gradient.

    A ReLU writes over it by the Split's other name.
    """
    text = (
        X
        + """
    layer { name: "s" type: "Split" bottom: "x" top: "a" top: "b" }
    layer { name: "ip" type: "InnerProduct" bottom: "b" top: "y"
      inner_product_param { num_output: 1 } loss_weight: 1 }
    layer { name: "r" type: "ReLU" bottom: "a" top: "a" }
    """
    )
    module = netspec.compile(load_text(text, phase="TRAIN"))
    module.loss(module(values())).backward()
    assert module.params["ip"][0].grad.flatten().tolist() == [1, 0, 3, 0]


def test_a_parameter_is_changed_by_an_in_place_layer(load_text: Loader) -> None:
    text = """
    layer { name: "p" type: "Parameter" top: "w" parameter_param { shape { dim: 4 } } }
    layer { name: "r" type: "Power" bottom: "w" top: "w" power_param { shift: 1 } }
    """
    module = netspec.compile(load_text(text))
    assert [module()["w"].sum().item() for _ in range(3)] == [4, 8, 12]
    assert module.params["p"][0].tolist() == [3] * 4


def test_a_net_cut_at_a_blob_has_what_is_written_over_it(load_text: Loader) -> None:
    text = (
        X
        + """
    layer { name: "a" type: "Power" bottom: "x" top: "a" }
    layer { name: "v" type: "Flatten" bottom: "a" top: "v" }
    layer { name: "r" type: "ReLU" bottom: "v" top: "v" }
    """
    )
    module = netspec.compile(load_text(text), outputs=["a"])
    assert module(values())["a"].tolist() == [[1, 0, 3, 0]]


def test_a_dead_branch_in_place_counts_under_force_backward(load_text: Loader) -> None:
    """Power in place multiplies its slope by itself, not by the gradient, which is 0 here."""
    text = (
        "force_backward: true\n"
        + X
        + """
    layer { name: "p" type: "Power" bottom: "x" top: "a" power_param { scale: 2 } }
    layer { name: "q" type: "Power" bottom: "a" top: "a" power_param { scale: 3 } }
    layer { name: "l" type: "Reduction" bottom: "x" top: "l" loss_weight: 1 }
    """
    )
    module, x = netspec.compile(load_text(text, phase="TRAIN")), values().requires_grad_()
    loss = module.loss(module(x))
    loss.backward()
    assert loss.item() == -2
    assert x.grad.flatten().tolist() == [2 * 9 + 1] * 4
