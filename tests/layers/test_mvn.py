"""MVN: values and gradients as the original's steps over shared memory, shapes, faults."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report, Source
from netspec.graph import Net
from netspec.pipeline import assemble, read_net
from netspec.pytorch.layers.normalization import MVN, mvn_gradient
from netspec.schema.caffe_pb2 import NetState, Phase
from tests import nets
from tests.nets import Shape

Load = Callable[..., Net]


def net_text(param: str, shape: Shape, top: str = "y") -> str:
    """An input and below it, in line 3, the layer."""
    return nets.net_text(
        f'type: "MVN" top: "{top}" mvn_param {{ {param} }}', force_backward=True, x=shape
    )


def original(
    x: np.ndarray, grad: np.ndarray, rows: int, variance: bool, eps: float, in_place: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The steps of Caffe's forward and backward pass, over rows.

    In place the bottom's rows and the top's are one.
    """
    shape, x, grad = x.shape, x.reshape(rows, -1), grad.reshape(rows, -1)
    top = x - x.mean(1, keepdims=True)
    if not variance:
        return top.reshape(shape), (grad - grad.mean(1, keepdims=True)).reshape(shape)
    deviation = np.sqrt((top**2).mean(1, keepdims=True)) + eps
    top /= deviation
    top_diff = grad.copy()
    diff = top_diff if in_place else np.zeros_like(top)
    diff[:] = top * top_diff
    diff[:] = diff.sum(1, keepdims=True)
    diff[:] = top * diff
    diff[:] = top_diff.sum(1, keepdims=True) + diff
    # then a sum, one after the other: what is added may have been multiplied, too
    diff *= -1 / diff.shape[1]
    diff += top_diff
    return top.reshape(shape), (diff / deviation).reshape(shape)


@pytest.mark.parametrize(
    "param",
    [
        "",
        "eps: 0.5",
        "across_channels: true",
        "across_channels: true eps: 0.5",
        "normalize_variance: false",
    ],
)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 4, 5), (2, 3, 4), (2, 3), (3,)])
@pytest.mark.parametrize("top", ["y", "x"])
def test_values_and_gradients(
    load_text: Load, param: str, shape: tuple[int, ...], top: str
) -> None:
    rng = np.random.default_rng(0)
    x, four = rng.normal(size=shape) + 2, (*shape, *[1] * (4 - len(shape)))
    grad = rng.normal(size=four)
    net = load_text(net_text(param, shape, top))
    assert net.blobs[top].shape == four  # Caffe's top has four axes, whatever the bottom has
    bottom = torch.tensor(x, requires_grad=True)
    y = netspec.compile(net).double()(x=bottom)[top]
    y.backward(torch.tensor(grad))
    rows = shape[0] if "across" in param else int(np.prod(four[:2]))
    eps = 0.5 if "eps" in param else float(np.float32(1e-9))
    want, diff = original(x, grad, rows, "variance" not in param, eps, top == "x")
    np.testing.assert_allclose(y.detach().numpy().reshape(shape), want.reshape(shape), atol=1e-9)
    np.testing.assert_allclose(bottom.grad.numpy(), diff.reshape(shape), atol=1e-7)


def test_gradient_where_a_later_layer_overwrote_the_top() -> None:
    x, grad = (
        torch.randn(2, 6, dtype=torch.double, requires_grad=True),
        torch.randn(2, 6, dtype=torch.double),
    )
    y = MVN(True, True, 0.5)(x)
    (own,) = torch.autograd.grad(y, x, grad.reshape(y.shape))
    deviation = x.detach().std(1, correction=0, keepdim=True) + 0.5
    torch.testing.assert_close(mvn_gradient(grad, y.detach().reshape(2, 6), deviation, False), own)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("variance", [False, True])
def test_gradcheck(across: bool, variance: bool) -> None:
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(
        MVN(variance, across, 1e-9), torch.randn(2, 3, 2, 3, dtype=torch.double, requires_grad=True)
    )


@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("across", [False, True])
def test_formats_agree(across: bool) -> None:
    torch.manual_seed(0)
    module = MVN(True, across, 1e-9)
    x, grad = torch.randn(2, 3, 4, 5, requires_grad=True), torch.randn(2, 3, 4, 5)
    y = module(x)
    (slope,) = torch.autograd.grad(y, x, grad)
    last = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    for same, bottom in (
        (module(last), last),
        (torch.compile(module, fullgraph=True, backend="aot_eager")(x), x),
    ):
        torch.testing.assert_close(same, y)
        torch.testing.assert_close(torch.autograd.grad(same, bottom, grad)[0], slope)
    torch.testing.assert_close(module(x.bfloat16()).float(), y, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 3, 0, 5), (1, 1, 1, 1)])
def test_empty_and_single_values(shape: tuple[int, ...]) -> None:
    x = torch.ones(shape, requires_grad=True)
    y = MVN(True, False, 1e-9)(x)
    y.sum().backward()
    assert y.shape == shape
    assert not y.any()
    assert not x.grad.any()


def test_more_than_four_axes_are_refused(load_text: Load) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(net_text("", (1, 2, 3, 4, 5)))
    (fault,) = raised.value.diagnostics
    assert fault.message == "layer 'l': MVN takes a blob of at most 4 axes (N×C×H×W), got 5"
    assert fault.span.line == 3


@pytest.mark.parametrize(("param", "warned"), [("", 1), ("normalize_variance: false", 0)])
def test_warns_of_the_gradient_in_place(param: str, warned: int) -> None:
    dense = (
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" '
        "inner_product_param { num_output: 3 } }\n"
    )
    text = (
        nets.input_text("x", (2, 4))
        + dense
        + f'layer {{ name: "l" type: "MVN" bottom: "y" top: "y" mvn_param {{ {param} }} }}\n'
    )
    report = Report()
    message, spans = read_net(Source("net.prototxt", text), report)
    assemble(message, spans, NetState(phase=Phase.Value("TRAIN")), report)
    assert [d.message.split(",")[0] for d in report.diagnostics] == [
        "layer 'l': MVN in place passes a wrong gradient down"
    ] * warned
