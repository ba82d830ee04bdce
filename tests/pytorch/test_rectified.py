"""A convolution and the ReLU behind it as one: the numbers of the two, and all params in place."""

import pytest
import torch

import netspec
from netspec.pytorch.module import NetModule
from netspec.pytorch.rectified import join_relus

CONVOLUTION = (
    "num_output: 4 kernel_size: 3 weight_filler { type: 'gaussian' std: 1 } "
    "bias_filler { type: 'gaussian' std: 1 }"
)
NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 4 dim: 9 dim: 10 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { CONV } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "relu" RELU }
MORE
"""


def _pair(load_text, more: str = "", conv: str = "", relu: str = "") -> list[NetModule]:
    text = NET.replace("CONV", f"{CONVOLUTION} {conv}").replace("RELU", relu).replace("MORE", more)
    net = load_text(text, phase="TEST")
    return [netspec.compile(net, seed=1) for _ in range(2)]


@pytest.mark.parametrize("conv", ["", "group: 2", "stride: 2", "pad: 2 dilation: 2", "stride: 4"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_numbers_of_the_two(load_text, conv: str, memory_format: torch.memory_format) -> None:
    apart, joined = _pair(load_text, conv=conv)
    assert join_relus(joined) == 1
    assert "self.relu(" not in joined.code
    assert joined.state_dict().keys() == apart.state_dict().keys()
    data = torch.randn(2, 4, 9, 10).contiguous(memory_format=memory_format)
    with torch.no_grad():
        torch.testing.assert_close(joined(data)["relu"], apart(data)["relu"])
        assert joined(data[:0])["relu"].shape[0] == 0
    bottom = data.requires_grad_()
    gradients = [torch.autograd.grad(m(bottom)["relu"].sum(), bottom)[0] for m in (joined, apart)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("relu", "more"),
    [
        ("relu_param { negative_slope: 0.1 }", ""),
        ("", 'layer { name: "also" type: "TanH" bottom: "conv" top: "also" }'),
    ],
    ids=["a slope", "another reader"],
)
def test_a_relu_that_one_kernel_cannot_do_stays(load_text, relu: str, more: str) -> None:
    _, module = _pair(load_text, more, relu=relu)
    code = module.code
    assert join_relus(module) == 0
    assert module.code == code


def test_a_convolution_of_two_bottoms_stays(load_text) -> None:
    net = load_text(
        """
        layer { name: "data" type: "Input" top: "a" top: "b"
          input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } } }
        layer { name: "conv" type: "Convolution" bottom: "a" bottom: "b" top: "c" top: "d"
          convolution_param { num_output: 2 kernel_size: 3 } }
        layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
        """,
        phase="TEST",
    )
    assert join_relus(netspec.compile(net)) == 0
