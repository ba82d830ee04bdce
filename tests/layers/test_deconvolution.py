"""Deconvolution and Im2col, and convolution without spatial axes.

Shapes and faults without torch, values by loops.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.layers.window import window_of
from tests import nets
from tests.layers.cases import DECONVOLUTION, FILLED, IM2COL, Case
from tests.nets import Shape

Load = Callable[..., Net]


def net_text(kind: str, fields: str, shape: Shape) -> str:
    """An input and below it, in line 3 and after, the layer."""
    return nets.net_text(
        f'type: "{kind}" top: "y" convolution_param {{ {fields} }}', force_backward=True, x=shape
    )


def places(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(product(*map(range, shape)))


def spread(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    window: dict[str, tuple[int, ...]],
    group: int,
    out: tuple[int, ...],
) -> np.ndarray:
    """Deconvolution as it is defined: each value of x (N, C, …) is added where its window lies.

    What lies outside is dropped.
    """
    y = np.zeros((x.shape[0], weight.shape[1] * group, *out)) + bias.reshape(-1, *[1] * len(out))
    ins, outs = x.shape[1] // group, weight.shape[1]
    for place, kernel in product(places(x.shape[2:]), places(weight.shape[2:])):
        at = tuple(
            p * s + k * d - q
            for p, k, s, d, q in zip(
                place, kernel, window["stride"], window["dilation"], window["pad"], strict=True
            )
        )
        if all(0 <= i < size for i, size in zip(at, out, strict=True)):
            for g in range(group):
                taken = (
                    x[(slice(None), slice(g * ins, (g + 1) * ins), *place)]
                    @ weight[(slice(g * ins, (g + 1) * ins), slice(None), *kernel)]
                )
                y[(slice(None), slice(g * outs, (g + 1) * outs), *at)] += taken
    return y


@pytest.mark.parametrize("case", DECONVOLUTION, ids=str)
def test_deconvolution(load_text: Load, case: Case) -> None:
    net = load_text(case.text)
    p, (shape,), (top,) = net.layer("l").message.convolution_param, case.bottoms, case.tops
    axis = p.axis % len(shape)
    module = netspec.compile(net, seed=1).double()
    x = torch.randn(
        shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    (y,) = module(x).values()
    kernel, bias = (blob.detach().numpy() for blob in module.params["l"])
    window = window_of(p, kernel.ndim - 2)
    settings = {"stride": window.stride, "pad": window.pad, "dilation": window.dilation}
    rows = x.detach().numpy().reshape(-1, *shape[axis:])
    wanted = spread(rows, kernel, bias, settings, p.group, top[axis + 1 :])
    np.testing.assert_allclose(y.detach().numpy(), wanted.reshape(top), rtol=1e-10, atol=1e-12)
    if x.numel() < 100:
        assert torch.autograd.gradcheck(
            lambda *values: module(values[0])["y"], (x, *module.params["l"]), fast_mode=True
        )


def test_bilinear_filler_enlarges_each_channel(load_text: Load) -> None:
    fields = (
        "num_output: 3 group: 3 kernel_size: 4 stride: 2 pad: 1 bias_term: false "
        'weight_filler { type: "bilinear" }'
    )
    module = netspec.compile(load_text(net_text("Deconvolution", fields, (1, 3, 4, 4))))
    x = torch.arange(48.0).reshape(1, 3, 4, 4)
    wanted = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(module(x)["y"][:, :, 2:-2, 2:-2], wanted[:, :, 2:-2, 2:-2])


def test_several_bottoms_share_the_weights(load_text: Load) -> None:
    text = net_text("Deconvolution", f"num_output: 2 kernel_size: 2 {FILLED}", (1, 2, 3, 3))
    text = text.replace('bottom: "x"', 'bottom: "x" bottom: "x"').replace(
        'top: "y"', 'top: "y" top: "z"'
    )
    out = netspec.compile(load_text(text), seed=1)(torch.ones(1, 2, 3, 3))
    assert torch.equal(out["y"], out["z"])


def columns(
    x: np.ndarray, axis: int, kernel: tuple, stride: tuple, pad: tuple, dilation: tuple, out: tuple
) -> np.ndarray:
    """Im2col as the original's loops do it; what lies outside is 0."""
    channels, sizes = x.shape[axis], x.shape[axis + 1 :]
    rows = x.reshape(-1, channels, *sizes)
    y = np.zeros((rows.shape[0], channels, *kernel, *out))
    for k, place in product(places(kernel), places(out)):
        at = tuple(
            p * s + i * d - q for p, i, s, d, q in zip(place, k, stride, dilation, pad, strict=True)
        )
        if all(0 <= i < size for i, size in zip(at, sizes, strict=True)):
            y[(slice(None), slice(None), *k, *place)] = rows[(slice(None), slice(None), *at)]
    return y.reshape(*x.shape[:axis], channels * int(np.prod(kernel)), *out)


@pytest.mark.parametrize("case", IM2COL, ids=str)
def test_im2col(load_text: Load, case: Case) -> None:
    net = load_text(case.text)
    p, (shape,), (top,) = net.layer("l").message.convolution_param, case.bottoms, case.tops
    axis = p.axis % len(shape)
    window = window_of(p, len(shape) - axis - 1)
    module = netspec.compile(net)
    x = torch.randn(
        shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    wanted = columns(
        x.detach().numpy(),
        axis,
        window.kernel,
        window.stride,
        window.pad,
        window.dilation,
        top[axis + 1 :],
    )
    assert np.array_equal(module(x)["y"].detach().numpy(), wanted)
    assert torch.autograd.gradcheck(lambda x: module(x)["y"], x, fast_mode=True)


def test_convolution_without_spatial_axes_is_dense(load_text: Load) -> None:
    net = load_text(net_text("Convolution", f"axis: -1 num_output: 6 group: 2 {FILLED}", (2, 3, 4)))
    assert [param.shape for param in net.layer("l").params] == [(6, 2), (6,)]
    module = netspec.compile(net, seed=1)
    weight, bias = module.params["l"]
    x = torch.randn(2, 3, 4)
    wanted = torch.cat([x[..., :2] @ weight[:3].T, x[..., 2:] @ weight[3:].T], -1) + bias
    torch.testing.assert_close(module(x)["y"], wanted)


# the faulty field begins line 4
WRONG = [
    (
        "Deconvolution",
        "kernel_size: 3\n",
        (2, 4, 5, 4),
        "'num_output' must be given and at least 1",
    ),
    ("Deconvolution", "num_output: 2\n", (2, 4, 5, 4), "'kernel_size' must be given"),
    ("Im2col", "stride: 2\n", (2, 4, 5, 4), "'kernel_size' must be given"),
    (
        "Deconvolution",
        "num_output: 3 kernel_size: 3\ngroup: 2",
        (2, 4, 5, 4),
        "'group' 2 does not divide 'num_output' 3",
    ),
    (
        "Deconvolution",
        "num_output: 3 kernel_size: 3\ngroup: 3",
        (2, 4, 5, 4),
        "'group' 3 does not divide the 4 channels of 'x'",
    ),
    (
        "Deconvolution",
        "num_output: 2 kernel_size: 3\npad: 4",
        (2, 4, 9, 4),
        "a width of 4 grows to 6, of which a pad of 4 on both sides leaves -2",
    ),
    (
        "Deconvolution",
        "num_output: 2 kernel_size: 3 pad_h: 1\npad_w: 3",
        (2, 4, 5, 4),
        "a width of 4 grows to 6, of which a pad of 3 on both sides leaves 0",
    ),
    (
        "Deconvolution",
        "num_output: 2 kernel_size: 1 pad: 0 pad: 0\npad: 1",
        (2, 4, 5, 4, 2),
        "a spatial axis 2 of 2 grows to 2, of which a pad of 1 on both sides leaves 0",
    ),
    (
        "Deconvolution",
        'num_output: 2 kernel_size: 3 kernel_size: 2 weight_filler {\ntype: "bilinear" }',
        (2, 4, 5, 4),
        "the filler 'bilinear' takes square kernels of 4 axes, not 4×2×3×2",
    ),
    ("Im2col", "kernel_size: 2\naxis: 3", (2, 4, 5, 4), "there is no spatial axis behind axis 3"),
    (
        "Im2col",
        "\nkernel_size: 6",
        (2, 4, 5, 7),
        "a window of 6 does not fit into a height of 5: the output's size would be 0",
    ),
    (
        "Im2col",
        "\nkernel_size: 2 kernel_size: 2",
        (2, 4, 5),
        "'kernel_size' takes one value or 1, got 2",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "shape", "message"), WRONG)
def test_a_fault_is_reported_at_its_field(
    load_text: Load, kind: str, fields: str, shape: tuple, message: str
) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(net_text(kind, fields, shape))
    (fault,) = raised.value.diagnostics
    assert fault.message == f"layer 'l': {message}"
    assert fault.span is not None
    # what is missing is reported at the block
    assert fault.span.line == (3 if fields.endswith("\n") else 4)


@pytest.mark.parametrize("case", DECONVOLUTION + IM2COL, ids=str)
def test_every_type_memory_format_and_batch(load_text: Load, case: Case) -> None:
    """bfloat16, channels_last, torch.compile, batches of none and one agree with float32."""
    net = load_text(case.text)
    module = netspec.compile(net, seed=1)
    x = torch.randn(case.bottoms[0], generator=torch.Generator().manual_seed(0))
    y = module(x)["y"]
    if x.dim() == 4:
        torch.testing.assert_close(module(x.to(memory_format=torch.channels_last))["y"], y)
    torch._dynamo.reset()  # it gives up on a function that many modules share
    torch.testing.assert_close(
        torch.compile(module, fullgraph=True, backend="aot_eager")(x)["y"], y
    )
    if net.layer("l").message.convolution_param.axis != 0:
        torch.testing.assert_close(module(x[:1])["y"], y[:1])
        empty = x[:0].requires_grad_()
        module(empty)["y"].sum().backward()
        assert module(empty)["y"].shape == (0, *y.shape[1:])
    torch.testing.assert_close(
        module.bfloat16()(x.bfloat16())["y"].float(), y, rtol=5e-2, atol=1e-1
    )
