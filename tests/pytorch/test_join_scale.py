"""BatchNorm and Scale as one kernel: the numbers of the two, and every param where it was."""

import pytest
import torch

import netspec
from netspec.pytorch.join_scale import join_scales
from netspec.pytorch.module import NetModule

NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 4 dim: 3 dim: 5 dim: 5 } } }
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "scale" scale_param { SCALE } }
layer { name: "sum" type: "Reduction" bottom: "scale" top: "sum" loss_weight: 1
  reduction_param { operation: SUMSQ } }
MORE
"""


def _pair(load_text, scale: str, more: str = "", phase: str = "TRAIN") -> list[NetModule]:
    net = load_text(NET.replace("SCALE", scale).replace("MORE", more), phase=phase)
    modules = [netspec.compile(net, seed=1) for _ in range(2)]
    for module in modules:
        generator = torch.Generator().manual_seed(3)
        for blob in module.params["scale"] + module.params["bn"]:
            blob.data.uniform_(0.5, 2, generator=generator)
    return modules


@pytest.mark.parametrize("scale", ["bias_term: true", "bias_term: false"])
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_outputs_gradients_and_statistics(load_text, scale: str, phase: str) -> None:
    apart, joined = _pair(load_text, scale, phase=phase)
    assert join_scales(joined) == 1
    data = torch.randn(4, 3, 5, 5)
    for module in (apart, joined):
        module.loss(module(data)).backward()
    torch.testing.assert_close(joined(data)["sum"], apart(data)["sum"])
    for (name, one), (other, two) in zip(
        apart.named_parameters(), joined.named_parameters(), strict=True
    ):
        assert name == other
        torch.testing.assert_close(two.grad, one.grad)
    for one, two in zip(apart.params["bn"], joined.params["bn"], strict=True):
        torch.testing.assert_close(two, one)


def test_one_value_a_channel(load_text) -> None:
    text = "bias_term: true"
    apart, joined = _pair(load_text, text)
    join_scales(joined)
    data = torch.randn(1, 3, 1, 1)
    torch.testing.assert_close(joined(data)["sum"], apart(data)["sum"])


@pytest.mark.parametrize(
    ("scale", "more"),
    [
        ("axis: 2", ""),
        ("num_axes: 2", ""),
        ("", 'layer { name: "also" type: "Reduction" bottom: "bn" top: "also" }'),
    ],
    ids=["another axis", "two axes", "another reader"],
)
def test_a_scale_that_one_kernel_cannot_do_stays(load_text, scale: str, more: str) -> None:
    _, module = _pair(load_text, scale, more)
    code = module.code
    assert join_scales(module) == 0
    assert module.code == code
