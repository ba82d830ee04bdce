"""Which layers Caffe's backward pass reaches, and which weights count in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import netspec
from netspec.graph import Net
from netspec.passes.plan_backward import plan_backward

Loader = Callable[..., Net]
HEAD = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 } } }
layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" \
inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""
LOSS = 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "t" top: "l1" }\n'


def learning(net: Net) -> list[str]:
    return [
        layer.name
        for layer in net.layers
        if layer in plan_backward(net.layers, net.force_backward).learning
    ]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (LOSS, ["f", "l"]),
        (LOSS + 'layer { name: "s" type: "Silence" bottom: "l1" }', []),
        (LOSS + 'layer { name: "p" type: "Power" bottom: "l1" top: "p" }', []),
        (
            LOSS + 'layer { name: "p" type: "Power" bottom: "l1" top: "p" loss_weight: 2 }',
            ["f", "l", "p"],
        ),
        ('layer { name: "p" type: "Power" bottom: "f" top: "p" }', []),
        (
            (
                'layer { name: "p" type: "Power" bottom: "f" top: "p" propagate_down: false '
                "loss_weight: 1 }"
            ),
            ["p"],
        ),
    ],
)
def test_layers_with_a_gradient(tail: str, expected: list[str], load_text: Loader) -> None:
    assert learning(load_text(HEAD + tail, phase="TRAIN")) == expected


def test_force_backward_runs_everything_but_what_a_layer_forbids(load_text: Loader) -> None:
    net = load_text(
        "force_backward: true"
        + HEAD
        + LOSS.replace("top:", "propagate_down: false propagate_down: false top:"),
        phase="TRAIN",
    )
    plan = plan_backward(net.layers, True)
    assert plan.learning == set(net.layers)
    assert plan.stopped == {(net.layer("l"), 1)}, "no gradient to labels, whatever the net says"


def gradient(text: str, load_text: Loader) -> tuple[float, torch.Tensor]:
    module = netspec.compile(load_text(text, phase="TRAIN"), seed=1)
    x = torch.tensor([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
    loss = module.loss(module(x, torch.tensor([0.0, 2.0])))
    if loss.requires_grad:
        loss.backward()
    grad = module.params["f"][0].grad
    return loss.item(), torch.zeros(3, 3) if grad is None else grad


def test_a_default_weight_is_overwritten_where_the_loss_is_read(load_text: Loader) -> None:
    """The losses' own weights still count in the objective's value.

    Their gradient is only what the Eltwise sends.
    """
    hinge = 'layer { name: "h" type: "HingeLoss" bottom: "f" bottom: "t" top: "l2" }\n'
    value, grad = gradient(HEAD + LOSS + hinge, load_text)
    summed = (
        hinge
        + 'layer { name: "e" type: "Eltwise" bottom: "l1" bottom: "l2" top: "loss" loss_weight: 1 }'
    )
    twice, same_grad = gradient(HEAD + LOSS + summed, load_text)
    assert twice == pytest.approx(2 * value)
    assert torch.allclose(same_grad, grad)


def test_a_loss_that_is_silenced_counts_without_a_gradient(load_text: Loader) -> None:
    value, _ = gradient(HEAD + LOSS, load_text)
    silenced, grad = gradient(
        HEAD + LOSS + 'layer { name: "s" type: "Silence" bottom: "l1" }', load_text
    )
    assert silenced == pytest.approx(value)
    assert not grad.any()


def test_a_weight_of_its_own_counts_beside_the_readers(load_text: Loader) -> None:
    """Caffe's Split gives the weight a top of its own, so that both gradients are summed."""
    weighted = LOSS.replace("top:", "loss_weight: 1 top:") + (
        'layer { name: "p" type: "Power" bottom: "l1" top: "p" power_param { scale: 2 } '
        "loss_weight: 1 }"
    )
    _, once = gradient(HEAD + LOSS, load_text)
    _, three = gradient(HEAD + weighted, load_text)
    assert torch.allclose(three, 3 * once)
