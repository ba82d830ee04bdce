"""A convolution and what follows it as one: the numbers of the layers, and all params in place."""

import copy
import pickle

import pytest
import torch

import netspec
from netspec.pytorch.fused_convolution import fuse_convolutions
from netspec.pytorch.module import NetModule

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
    assert fuse_convolutions(joined) == 1
    assert "self.relu(" not in joined.code
    assert joined.state_dict().keys() == apart.state_dict().keys()
    data = torch.randn(2, 4, 9, 10).contiguous(memory_format=memory_format)
    with torch.no_grad():
        torch.testing.assert_close(joined(data)["relu"], apart(data)["relu"])
        assert joined(data[:0])["relu"].shape[0] == 0
    bottom = data.requires_grad_()
    gradients = [torch.autograd.grad(m(bottom)["relu"].sum(), bottom)[0] for m in (joined, apart)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("relu", ["relu_param { negative_slope: 0.1 }", "6"])
def test_a_leaky_relu_and_a_relu6(load_text, relu: str) -> None:
    text = NET.replace("CONV", CONVOLUTION).replace("MORE", "")
    text = text.replace('type: "ReLU"', 'type: "ReLU6"') if relu == "6" else text
    net = load_text(text.replace("RELU", relu if relu != "6" else ""), phase="TEST")
    apart, joined = (netspec.compile(net, seed=1) for _ in range(2))
    assert fuse_convolutions(joined) == 1
    assert_same(joined, apart)


def assert_same(joined: NetModule, apart: NetModule) -> None:
    """Without a gradient, where one kernel computes them, and with one."""
    data = 3 * torch.randn(2, 4, 9, 10)
    with torch.no_grad():
        found, wanted = joined(data), apart(data)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)
        torch.testing.assert_close(joined(data)[name], value)


SUM = """
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 2 dim: 4 dim: 9 dim: 10 }} }} }}
layer {{ name: "one" type: "Convolution" bottom: "data" top: "one"
  convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "two" type: "Convolution" bottom: "{below}" top: "two"
  convolution_param {{ num_output: 4 kernel_size: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "sum" type: "Eltwise" bottom: "{first}" bottom: "{second}" top: "sum" {settings} }}
{more}
"""
RELU = 'layer { name: "relu" type: "ReLU" bottom: "sum" top: "TOP" }'


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("more", ["", RELU.replace("TOP", "sum"), RELU.replace("TOP", "relu")])
@pytest.mark.parametrize(
    ("below", "first", "second"),
    [("data", "one", "two"), ("data", "two", "one"), ("one", "two", "data"), ("one", "one", "two")],
    ids=["of two convolutions", "the later first", "with the data", "with its own bottom"],
)
def test_a_sum_is_computed_with_a_convolution(
    load_text, below: str, first: str, second: str, more: str, memory_format: torch.memory_format
) -> None:
    text = SUM.format(below=below, first=first, second=second, more=more, settings="")
    apart, joined = (netspec.compile(load_text(text, phase="TEST"), seed=1) for _ in range(2))
    for module in (apart, joined):
        for param in module.parameters():
            if param.dim() == 4:
                param.data = param.data.contiguous(memory_format=memory_format)
    assert fuse_convolutions(joined) == 1 + bool(more)
    assert "self.sum(" not in joined.code
    assert joined.state_dict().keys() == apart.state_dict().keys()
    assert_same(joined, apart)


def test_both_branches_of_a_residual_block(load_text) -> None:
    """The earlier convolution keeps its own ReLU, the later one takes the sum."""
    text = SUM.format(
        below="one",
        first="one",
        second="two",
        settings="",
        more='layer { name: "end" type: "ReLU" bottom: "sum" top: "sum" }',
    ).replace(
        'layer { name: "two"',
        'layer { name: "start" type: "ReLU" bottom: "one" top: "one" }\nlayer { name: "two"',
    )
    apart, joined = (netspec.compile(load_text(text, phase="TEST"), seed=1) for _ in range(2))
    assert fuse_convolutions(joined) == 3
    assert_same(joined, apart)


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ('layer { name: "third" type: "Eltwise" bottom: "sum" bottom: "data" top: "third" }', 1),
        (
            'layer { name: "three" type: "Convolution" bottom: "data" top: "three"'
            " convolution_param { num_output: 4 kernel_size: 1 } }"
            'layer { name: "third" type: "Eltwise" bottom: "three" bottom: "sum" top: "third" }',
            2,
        ),
        ('layer { name: "end" type: "ReLU6" bottom: "sum" top: "sum" }', 1),
        (
            RELU.replace("TOP", "sum").replace(
                "bottom", "relu_param { negative_slope: 0.1 } bottom"
            ),
            1,
        ),
    ],
    ids=["another sum", "a sum with a convolution", "ReLU6", "leaky ReLU"],
)
def test_a_sum_takes_no_more_than_a_relu(load_text, more: str, count: int) -> None:
    text = SUM.format(below="one", first="one", second="two", settings="", more=more)
    text = text.replace('bottom: "one" bottom: "two"', 'bottom: "two" bottom: "data"')
    apart, joined = (netspec.compile(load_text(text, phase="TEST"), seed=1) for _ in range(2))
    assert fuse_convolutions(joined) == count
    assert_same(joined, apart)


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ("eltwise_param { coeff: 1 coeff: -1 }", ""),
        ("eltwise_param { operation: PROD }", ""),
        ("", 'layer { name: "also" type: "TanH" bottom: "two" top: "also" }'),
    ],
    ids=["a difference", "a product", "its bottom is read by others"],
)
def test_a_sum_that_one_kernel_cannot_do_stays(load_text, settings: str, more: str) -> None:
    text = SUM.format(below="one", first="two", second="data", settings=settings, more=more)
    module = netspec.compile(load_text(text, phase="TEST"), seed=1)
    code = module.code
    assert fuse_convolutions(module) == 0
    assert module.code == code


@pytest.mark.parametrize(
    "bottoms", [("two", "two"), ("data", "data", "two"), ("one", "two", "data")]
)
def test_a_sum_of_other_than_two_blobs_stays(load_text, bottoms: tuple[str, ...]) -> None:
    text = SUM.format(below="data", first="one", second="two", settings="", more="")
    read = " ".join(f'bottom: "{name}"' for name in bottoms)
    text = text.replace('bottom: "one" bottom: "two"', read)
    apart, joined = (netspec.compile(load_text(text, phase="TEST"), seed=1) for _ in range(2))
    assert fuse_convolutions(joined) == 0
    assert_same(joined, apart)


def test_a_relu_whose_bottom_others_read_stays(load_text) -> None:
    _, module = _pair(load_text, 'layer { name: "also" type: "TanH" bottom: "conv" top: "also" }')
    code = module.code
    assert fuse_convolutions(module) == 0
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
    assert fuse_convolutions(netspec.compile(net)) == 0


@pytest.mark.parametrize("conv", ["", "group: 2", "stride: 2", "pad: 2 dilation: 2", "stride: 4"])
@pytest.mark.parametrize("more", ["", 'layer { name: "t" type: "TanH" bottom: "conv" top: "t" }'])
def test_frozen_weights_give_the_same(load_text, conv: str, more: str) -> None:
    apart, frozen = _pair(load_text, more, conv=conv)
    fuse_convolutions(frozen, freezes=True)
    with torch.no_grad():
        for shape in ((2, 4, 9, 10), (5, 4, 9, 10), (1, 4, 40, 33), (2, 4, 9, 10)):
            data = torch.randn(shape)
            for name, value in apart(data).items():
                torch.testing.assert_close(frozen(data)[name], value)
    assert frozen.state_dict().keys() == apart.state_dict().keys()


def test_frozen_weights_are_laid_out_once_and_again_when_they_change(
    load_text, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart, frozen = _pair(load_text)
    fuse_convolutions(frozen, freezes=True)
    original, laid_out = torch._C._nn.mkldnn_reorder_conv2d_weight, []

    def reorder(weight: torch.Tensor, *settings: object) -> torch.Tensor:
        laid_out.append(weight)
        return original(weight, *settings)

    monkeypatch.setattr(torch._C._nn, "mkldnn_reorder_conv2d_weight", reorder)
    data = torch.randn(2, 4, 9, 10)
    with torch.no_grad():
        for _ in range(3):
            frozen(data)
        assert len(laid_out) == 1
        for module in (apart, frozen):
            module.params["conv"][0].mul_(2)
        torch.testing.assert_close(frozen(data)["relu"], apart(data)["relu"])
        assert len(laid_out) == 2
        for module in (apart, frozen):
            module.load_state_dict({k: v + 1 for k, v in module.state_dict().items()})
        torch.testing.assert_close(frozen(data)["relu"], apart(data)["relu"])


@pytest.mark.parametrize("channels", [64, 256])
def test_other_weights_at_the_same_address_are_laid_out_anew(load_text, channels: int) -> None:
    text = NET.replace("dim: 4", f"dim: {channels}").replace("CONV", CONVOLUTION)
    text = text.replace("num_output: 4", f"num_output: {channels}")
    net = load_text(text.replace("RELU", "").replace("MORE", ""), phase="TEST")
    apart, frozen = (netspec.compile(net, seed=1) for _ in range(2))
    fuse_convolutions(frozen, freezes=True)
    weights = frozen.params["conv"][0]
    data = torch.randn(2, channels, 9, 10)
    with torch.no_grad():
        for factor in (2, 3, 4):
            frozen(data)
            values = apart.params["conv"][0] * factor
            weights.data = torch.empty(0)  # their memory is free for the next
            weights.data = values.clone()
            wanted = torch.conv2d(data, values, apart.params["conv"][1]).relu()
            torch.testing.assert_close(frozen(data)["relu"], wanted, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))]
)
def test_frozen_modules_are_copied(load_text, copied) -> None:
    apart, frozen = _pair(load_text)
    fuse_convolutions(frozen, freezes=True)
    data = torch.randn(2, 4, 9, 10)
    with torch.no_grad():
        frozen(data)
        twin = copied(frozen)
        frozen.params["conv"][0].zero_()
        torch.testing.assert_close(twin(data)["relu"], apart(data)["relu"])


def test_weights_of_inference_mode(load_text) -> None:
    with torch.inference_mode():
        apart, frozen = _pair(load_text)
        fuse_convolutions(frozen, freezes=True)
        data = torch.randn(2, 4, 9, 10)
        torch.testing.assert_close(frozen(data)["relu"], apart(data)["relu"])
