"""In-place chains: Caffe's gradient reads what the chain's last layer left in shared memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

import netspec
from netspec.graph import Net
from netspec.pytorch.overwritten import Overwritten

NET = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 6 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" \
inner_product_param { num_output: 5 weight_filler { type: "gaussian" } } }
layer { name: "act" type: "%s" bottom: "y" top: "y" }
%s
"""
SCALE = (
    'layer { name: "scale" type: "Scale" bottom: "y" top: "y" '
    "scale_param { filler { value: -2 } bias_term: true bias_filler { value: 0.3 } } }"
)
DROPOUT = 'layer { name: "drop" type: "Dropout" bottom: "y" top: "y" }'
DERIVATIVES = {
    "ReLU": lambda final: (final > 0).float(),
    "Sigmoid": lambda final: final * (1 - final),
    "TanH": lambda final: 1 - final * final,
}


@pytest.mark.parametrize("activation", DERIVATIVES)
def test_gradient_reads_the_scaled_values(activation: str, load_text: Callable[..., Net]) -> None:
    module = netspec.compile(load_text(NET % (activation, SCALE), phase="TRAIN"), seed=1)
    x = torch.randn(4, 6, requires_grad=True)
    final = module(x)["y"]
    final.sum().backward()
    expected = (-2 * DERIVATIVES[activation](final)) @ module.params["ip"][0]
    assert torch.allclose(x.grad, expected, atol=1e-6)


def test_values_are_the_layers_own(load_text: Callable[..., Net]) -> None:
    module = netspec.compile(load_text(NET % ("ReLU", SCALE), phase="TRAIN"), seed=1)
    x = torch.randn(4, 6)
    weight, bias = module.params["ip"]
    assert torch.allclose(module(x)["y"], torch.relu(x @ weight.T + bias) * -2 + 0.3)


@pytest.mark.parametrize("after", ["ReLU", "ReLU6", "ELU"])
def test_lrn_reads_what_an_activation_wrote_over_its_top(
    after: str, load_text: Callable[..., Net]
) -> None:
    text = f"""
    force_backward: true
    layer {{ name: "x" type: "Input" top: "x"
      input_param {{ shape {{ dim: 2 dim: 3 dim: 1 dim: 1 }} }} }}
    layer {{ name: "norm" type: "LRN" bottom: "x" top: "y"
      lrn_param {{ local_size: 5 alpha: 1 beta: 0.75 }} }}
    layer {{ name: "act" type: "{after}" bottom: "y" top: "y" }}
    """
    module = netspec.compile(load_text(text, phase="TRAIN"))
    x = torch.randn(2, 3, 1, 1, requires_grad=True)
    final = module(x)["y"]
    final.sum().backward()
    # the window has all channels; top_data in LRNLayer::CrossChannelBackward_cpu is `final`
    scale = 1 + x.square().sum(1, keepdim=True) / 5
    normed = (x * scale**-0.75).detach().requires_grad_()
    function = {"ReLU": F.relu, "ReLU6": F.relu6, "ELU": F.elu}[after]
    (slope,) = torch.autograd.grad(function(normed).sum(), normed)
    shared = (slope * final / scale).sum(1, keepdim=True)
    torch.testing.assert_close(x.grad, slope * scale**-0.75 - 2 * 0.75 / 5 * x * shared)


@pytest.mark.parametrize(
    ("activation", "after", "is_wrapped"),
    [
        ("ReLU", DROPOUT, False),
        ("ReLU", "", False),
        ("Sigmoid", DROPOUT, True),
        ("ReLU", SCALE, True),
    ],
)
def test_only_what_would_differ_is_wrapped(
    activation: str, after: str, is_wrapped: bool, load_text: Callable[..., Net]
) -> None:
    module = netspec.compile(load_text(NET % (activation, after), phase="TRAIN"))
    assert isinstance(module.act, Overwritten) == is_wrapped


def test_own_blobs_have_the_true_gradient(load_text: Callable[..., Net]) -> None:
    separate = SCALE.replace('top: "y"', 'top: "z"')
    module = netspec.compile(load_text(NET % ("ReLU", separate), phase="TRAIN"), seed=1)
    assert not isinstance(module.act, Overwritten)


def test_torch_compile_refuses_what_it_would_get_wrong(load_text: Callable[..., Net]) -> None:
    module = netspec.compile(load_text(NET % ("ReLU", SCALE), phase="TRAIN"), seed=1)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    # torch up to 2.8 says only that there is an exception
    expected = "a later in-place layer overwrites what Caffe's gradient reads|Observed exception"
    with pytest.raises(Exception, match=expected):
        compiled(torch.randn(4, 6, requires_grad=True))
    with torch.no_grad():
        assert compiled(torch.randn(4, 6))["y"].shape == (4, 5)
