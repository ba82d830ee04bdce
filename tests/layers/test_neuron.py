"""Neuron layers: values and gradients as the original's loops give them, and the odd values."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import netspec
from netspec.graph import Net
from netspec.pytorch.layers.neuron import Clip, Power
from tests import nets
from tests.nets import Shape

Load = Callable[..., Net]
VALUES = np.array(
    [
        -60,
        -3,
        -1.5,
        -0.5,
        -0.25,
        -1e-3,
        0.0,
        1e-3,
        0.25,
        0.5,
        0.75,
        1,
        1.5,
        2,
        3,
        5,
        19,
        21,
        49,
        55,
        60,
        88,
        0.125,
        -2,
    ]
)


def net_text(layer: str, top: str = "y", shape: Shape = (2, 3, 4)) -> str:
    """An input and below it, in line 3, the layer."""
    return nets.net_text(f'top: "{top}" {layer}', force_backward=True, x=shape)


def run(net: Net, x: np.ndarray, grad: np.ndarray, top: str) -> tuple[np.ndarray, np.ndarray]:
    """The top and the bottom's gradient in double precision."""
    module = netspec.compile(net).double()
    bottom = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    out = module(x=bottom)[top]
    if out.requires_grad:
        out.backward(torch.tensor(grad))
    return out.detach().numpy(), np.zeros_like(x) if bottom.grad is None else bottom.grad.numpy()


# What the original does, over blobs that may be one and the same where a layer works in place.


def blob(data: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(data=data, diff=np.zeros_like(data))


class AbsVal:
    def forward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        t.data[:] = np.abs(b.data)

    def backward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        b.diff[:] = np.sign(b.data) * t.diff


class BNLL:
    def forward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        t.data[:] = np.where(
            b.data > 0, b.data + np.log1p(np.exp(-b.data)), np.log1p(np.exp(b.data))
        )

    def backward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        power = np.exp(np.minimum(b.data, 50))
        b.diff[:] = t.diff * power / (power + 1)


class ClipLayer:
    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = np.float32(low), np.float32(high)

    def forward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        below = np.where(b.data > self.high, self.high, b.data)
        t.data[:] = np.where(below > self.low, below, self.low)

    def backward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        b.diff[:] = t.diff * ((b.data >= self.low) & (b.data <= self.high))


class ELU:
    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def forward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        t.data[:] = np.maximum(b.data, 0) + self.alpha * np.expm1(np.minimum(b.data, 0))

    def backward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        b.diff[:] = t.diff * ((b.data > 0) + (self.alpha + t.data) * (b.data <= 0))


class Exp:
    def __init__(self, base: float, scale: float, shift: float) -> None:
        self.inner = scale * (1 if base == -1 else np.log(base))
        self.outer = np.exp(shift) if base == -1 else base**shift

    def forward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        t.data[:] = np.exp(b.data * self.inner) * self.outer

    def backward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        b.diff[:] = t.data * t.diff * self.inner


class Log:
    def __init__(self, base: float, scale: float, shift: float) -> None:
        self.outer, self.scale, self.shift = 1 / (1 if base == -1 else np.log(base)), scale, shift

    def forward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        t.data[:] = np.log(self.shift + self.scale * b.data) * self.outer

    def backward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        b.diff[:] = 1 / (self.shift + self.scale * b.data) * (self.scale * self.outer)
        b.diff[:] = t.diff * b.diff


class PowerLayer:
    def __init__(self, power: float, scale: float, shift: float) -> None:
        self.power, self.scale, self.shift = power, scale, shift

    def forward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        t.data[:] = np.power(
            self.shift + (self.scale * b.data if self.power * self.scale else 0.0), self.power
        )

    def backward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        slope = self.power * self.scale
        if slope == 0 or self.power == 1:
            b.diff[:] = slope
        elif self.power == 2:
            b.diff[:] = slope * self.scale * b.data + slope * self.shift
        elif self.shift == 0:
            b.diff[:] = t.data / b.data * self.power
        else:
            b.diff[:] = t.data / (self.shift + self.scale * b.data) * slope
        if slope:
            b.diff[:] = t.diff * b.diff


class Swish:
    def __init__(self, beta: float) -> None:
        self.beta = beta

    def forward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        self.sigmoid = 1 / (1 + np.exp(-self.beta * b.data))
        t.data[:] = b.data * self.sigmoid

    def backward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        b.diff[:] = t.diff * (self.beta * t.data + self.sigmoid * (1 - self.beta * t.data))


ROWS: dict[str, tuple[str, Any]] = {
    "AbsVal": ("", AbsVal()),
    "BNLL": ("", BNLL()),
    # both limits are among the values
    "Clip": ("clip_param { min: -0.5 max: 0.75 }", ClipLayer(-0.5, 0.75)),
    "Clip one side": ("clip_param { min: -inf max: 0.7 }", ClipLayer(-np.inf, 0.7)),
    "Clip upside down": ("clip_param { min: 1 max: -1 }", ClipLayer(1, -1)),
    "ELU": ("", ELU(1)),
    "ELU alpha": ("elu_param { alpha: 0.5 }", ELU(0.5)),
    "ELU flat": ("elu_param { alpha: 0 }", ELU(0)),
    "Exp": ("", Exp(-1, 1, 0)),
    "Exp of e": ("exp_param { scale: 0.5 shift: -1.5 }", Exp(-1, 0.5, -1.5)),
    "Exp of 2": ("exp_param { base: 2 scale: -0.5 shift: 0.5 }", Exp(2, -0.5, 0.5)),
    "Exp of 1": ("exp_param { base: 1 shift: 3 }", Exp(1, 1, 3)),
    "Log": ("", Log(-1, 1, 0)),
    "Log of 10": ("log_param { base: 10 scale: 2 shift: 1 }", Log(10, 2, 1)),
    "Log below 1": ("log_param { base: 0.5 shift: 64 }", Log(0.5, 1, 64)),
    "Log of a constant": ("log_param { scale: 0 shift: 4 }", Log(-1, 0, 4)),
    "Power": ("", PowerLayer(1, 1, 0)),
    "Power 1": ("power_param { scale: -2 shift: 3 }", PowerLayer(1, -2, 3)),
    "Power 2": ("power_param { power: 2 scale: 0.5 shift: 1.5 }", PowerLayer(2, 0.5, 1.5)),
    "Power 3": ("power_param { power: 3 }", PowerLayer(3, 1, 0)),  # the gradient at 0 is NaN
    # and at -0.5 here
    "Power 3 scaled": ("power_param { power: 3 scale: 2 shift: 1 }", PowerLayer(3, 2, 1)),
    "Power half": ("power_param { power: 0.5 scale: 4 }", PowerLayer(0.5, 4, 0)),
    "Power -1": ("power_param { power: -1 shift: 0.25 }", PowerLayer(-1, 1, 0.25)),
    "Power 0": ("power_param { power: 0 shift: 0 }", PowerLayer(0, 1, 0)),
    "Power of a constant": ("power_param { power: 3 scale: 0 shift: -2 }", PowerLayer(3, 0, -2)),
    "Power without value": (
        "power_param { power: 0.5 scale: 0 shift: -2 }",
        PowerLayer(0.5, 0, -2),
    ),
    "Power of nothing": ("power_param { power: -1 scale: 0 }", PowerLayer(-1, 0, 0)),
    "Swish": ("", Swish(1)),
    "Swish beta": ("swish_param { beta: 1.75 }", Swish(1.75)),
    "Swish linear": ("swish_param { beta: 0 }", Swish(0)),
}


class Scale:
    def forward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        t.data[:] = b.data * -2

    def backward(self, b: SimpleNamespace, t: SimpleNamespace) -> None:
        b.diff[:] = t.diff * -2


@pytest.mark.parametrize("behind", ["nothing behind", "a layer in place behind"])
@pytest.mark.parametrize("place", ["apart", "in place"])
@pytest.mark.parametrize("row", ROWS)
def test_value_and_gradient_are_the_originals(
    load_text: Load, row: str, place: str, behind: str
) -> None:
    kind = row.split()[0]
    if kind == "AbsVal" and place == "in place":
        return  # refused; see test_neuron_checks.py
    params, original = ROWS[row]
    later = [Scale()] if behind.startswith("a layer") else []
    top_name = "x" if place == "in place" else "y"
    x, grad = VALUES.reshape(2, 3, 4), np.linspace(-2, 2.6, 24).reshape(2, 3, 4)
    bottom = blob(x.copy())
    top = bottom if place == "in place" else blob(np.empty_like(x))
    with np.errstate(all="ignore"):
        original.forward(bottom, top)
        for layer in later:
            layer.forward(top, top)
        top.diff[:] = grad
        for layer in later:
            layer.backward(top, top)
        original.backward(bottom, top)
    text = net_text(f'type: "{kind}" {params}', top_name)
    if later:
        text += (
            f'layer {{ name: "s" type: "Scale" bottom: "{top_name}" top: "{top_name}" '
            "scale_param { filler { value: -2 } } }"
        )
    value, slope = run(load_text(text), x, grad, top_name)
    # a setting is a float of 32 bits
    np.testing.assert_allclose(value, top.data, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(slope, bottom.diff, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 2, 2), (2, 3, 1, 2, 2)])
def test_prelu(load_text: Load, shape: tuple[int, ...], shared: bool) -> None:
    net = load_text(
        net_text(
            f'type: "PReLU" prelu_param {{ channel_shared: {str(shared).lower()} }}', shape=shape
        )
    )
    param = net.layer("l").params[0]
    assert param.shape == (() if shared else (3,))
    x = VALUES[np.arange(np.prod(shape)) % 12].reshape(shape)
    grad = np.linspace(-2, 2.6, x.size).reshape(shape)
    module = netspec.compile(net).double()
    weight = module.params["l"][0]
    assert (weight == 0.25).all()
    with torch.no_grad():
        weight.copy_(torch.tensor(-0.5) if shared else torch.tensor([0.5, -0.25, 2]))
    slopes = weight.detach().numpy().reshape([-1 if i == 1 else 1 for i in range(len(shape))])
    bottom = torch.tensor(x, requires_grad=True)
    top = module(x=bottom)["y"]
    top.backward(torch.tensor(grad))
    np.testing.assert_allclose(top.detach().numpy(), np.maximum(x, 0) + slopes * np.minimum(x, 0))
    assert bottom.grad is not None
    np.testing.assert_allclose(bottom.grad.numpy(), grad * ((x > 0) + slopes * (x <= 0)))
    axes = tuple(i for i in range(len(shape)) if shared or i != 1)
    np.testing.assert_allclose(weight.grad.numpy(), (grad * x * (x <= 0)).sum(axes))


def test_prelu_takes_its_filler_and_multipliers(load_text: Load) -> None:
    text = net_text(
        'type: "PReLU" prelu_param { filler { type: "constant" value: 3 } } '
        'param { name: "s" lr_mult: 0 decay_mult: 2 }'
    )
    net = load_text(text)
    param = net.layer("l").params[0]
    assert (param.name, param.lr_mult, param.decay_mult) == ("s", 0, 2)
    assert netspec.compile(net).params["l"][0].tolist() == [3, 3, 3]


def test_threshold_is_strict_and_stops_the_gradient(load_text: Load) -> None:
    net = load_text(
        net_text('type: "Threshold" threshold_param { threshold: 0.25 } loss_weight: 1'),
        phase="TRAIN",
    )
    module = netspec.compile(net)
    x = torch.tensor([[0.25, 0.26, float("nan")], [-1, float("inf"), 0.24]], requires_grad=True)
    out = module(x=x)
    assert out["y"].tolist() == [[0, 1, 0], [0, 1, 0]]
    assert not module.loss(out).requires_grad


@pytest.mark.parametrize("layer", ['type: "Threshold"', 'type: "Power" power_param { power: 0 }'])
def test_what_has_no_gradient_does_not_break_what_has(load_text: Load, layer: str) -> None:
    text = net_text(layer) + 'layer { name: "e" type: "Eltwise" bottom: "x" bottom: "y" top: "s" }'
    x = torch.zeros(2, 3, 4, requires_grad=True)
    netspec.compile(load_text(text))(x=x)["s"].sum().backward()
    assert x.grad is not None
    assert (x.grad == 1).all()


def test_values_without_order() -> None:
    """NaN and the infinities go where C++'s comparisons send them."""
    x = torch.tensor([float("nan"), float("inf"), float("-inf")], requires_grad=True)
    top = Clip(-1, 2)(x)
    top.sum().backward()
    assert top.tolist() == [-1, 2, -1]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 0]
    assert Power(0, 1, 0)(x).tolist() == [1, 1, 1]


def test_a_clips_bounds_pass_the_gradient_and_0_times_infinity_is_nan() -> None:
    bounds = torch.tensor([-0.1, 0.7])
    beyond = torch.nextafter(bounds, torch.tensor([-torch.inf, torch.inf]))
    x = torch.cat((bounds, beyond, torch.tensor([0.3, torch.inf]))).requires_grad_()
    top = Clip(*bounds.tolist())(x)
    top.backward(torch.full_like(x, -2))
    assert x.grad is not None
    assert x.grad.tolist() == [-2, -2, 0, 0, -2, 0]
    grad = torch.tensor([torch.inf, 1, torch.inf, 1, 1, 1])
    (found,) = torch.autograd.grad(Clip(*bounds.tolist())(x), x, grad)
    assert str(found.tolist()) == "[inf, 1.0, nan, 0.0, 1.0, 0.0]"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_limits_beyond_the_type(dtype: torch.dtype) -> None:
    x = torch.tensor([-3e38, 5, 3e38], dtype=dtype)
    assert torch.equal(Clip(-3.4028234663852886e38, 3.4028234663852886e38)(x), x)


def test_hand_written_gradients() -> None:
    x = torch.tensor([-1.3, -0.4, 0.3, 0.9, 2.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Clip(-0.5, 0.75), x)
    for power, scale, shift in [(3, 1, 0), (3, 2, 0.5), (-1, -1.5, 0), (-2, 1, 0.25)]:
        assert torch.autograd.gradcheck(Power(power, scale, shift), x)
    assert torch.autograd.gradcheck(Power(0.5, 2, 3), x)


EVERY = [
    'type: "AbsVal"', 'type: "BNLL"', 'type: "Clip" clip_param { min: -0.5 max: 0.75 }',
    'type: "ELU" elu_param { alpha: 0.5 }', 'type: "Exp" exp_param { base: 2 scale: 0.5 shift: 1 }',
    'type: "Log" log_param { base: 2 shift: 4 }', 'type: "PReLU"',
    'type: "PReLU" prelu_param { channel_shared: true }',
    'type: "Power" power_param { power: 3 shift: 4 }', 'type: "Power" power_param { power: 0 }',
    'type: "Swish"', 'type: "Swish" swish_param { beta: 2 }', 'type: "Threshold"', 'type: "ReLU"',
    'type: "ReLU" relu_param { negative_slope: 0.1 }', 'type: "Sigmoid"', 'type: "TanH"',
]  # fmt: skip


def every_text(chain: bool = True) -> str:
    """Each type on a top of its own, and a chain of layers in place.

    torch.compile refuses to differentiate the chain.
    """
    layers = [
        f'layer {{ name: "l{i}" bottom: "x" top: "y{i}" {layer} }}' for i, layer in enumerate(EVERY)
    ]
    in_place = [
        'type: "BNLL"',
        'type: "Clip" clip_param { min: 0 max: 9 }',
        'type: "Log" log_param { shift: 4 }',
        'type: "Power" power_param { shift: 4 }',
    ]
    chains = [
        f'layer {{ name: "c{i}" bottom: "y0" top: "y0" {layer} }}'
        for i, layer in enumerate(in_place)
    ]
    return "\n".join(
        ["force_backward: true", nets.input_text("x", (2, 3, 4, 5)), *layers, *chains * chain]
    )


def sum_of(outputs: dict[str, Tensor]) -> Tensor:
    return torch.stack([top.float().sum() for top in outputs.values()]).sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_types_layouts_and_batches(
    load_text: Load, dtype: torch.dtype, layout: torch.memory_format, batch: int
) -> None:
    module = netspec.compile(load_text(every_text())).to(dtype)
    torch.manual_seed(1)
    x = torch.randn(batch, 3, 4, 5).to(dtype).to(memory_format=layout).requires_grad_()
    out = module(x=x)
    assert all(top.dtype == dtype and top.shape == x.shape for top in out.values())
    assert batch == 0 or all(top.is_contiguous(memory_format=layout) for top in out.values())
    sum_of(out).backward()
    exact = x.detach().double().contiguous().requires_grad_()
    want = module.double()(x=exact)
    sum_of(want).backward()
    rtol, atol = (1e-4, 1e-5) if dtype == torch.float32 else (0.05, 0.15)
    for name, top in out.items():
        if dtype == torch.float32:  # a bfloat16 by the threshold may fall on either side
            torch.testing.assert_close(top.double(), want[name], rtol=rtol, atol=atol)
    torch.testing.assert_close(x.grad, exact.grad, rtol=rtol, atol=atol * 10, check_dtype=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiles_as_one_graph(load_text: Load, dtype: torch.dtype) -> None:
    module = netspec.compile(load_text(every_text(chain=False))).to(dtype)
    torch.manual_seed(1)
    x = torch.randn(2, 3, 4, 5).to(dtype).requires_grad_()
    sum_of(module(x=x)).backward()
    assert x.grad is not None
    want, x.grad = x.grad, None
    sum_of(torch.compile(module, fullgraph=True, backend="aot_eager")(x=x)).backward()
    torch.testing.assert_close(x.grad, want)


def test_an_elu_really_works_in_place_where_it_may(load_text: Load) -> None:
    text = f"force_backward: true {nets.input_text('x', (2, 4))}\n" + (
        'layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" '
        "inner_product_param { num_output: 3 } }\n"
        'layer { name: "l" type: "ELU" bottom: "f" top: "f" elu_param { alpha: %s } }\n'
    )
    assert netspec.compile(load_text(text % 1)).l.inplace
    assert not getattr(netspec.compile(load_text(text % -1)).l, "inplace", False)
