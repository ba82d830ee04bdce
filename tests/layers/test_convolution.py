"""Convolution where Caffe's sizes are not torch's: a kernel wider than its input, a dilation of 0.

Values by loops.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.layers.window import window_of
from tests.layers.cases import FILLED
from tests.layers.test_deconvolution import columns, net_text

Load = Callable[..., Net]

# declared shape, fed shape, fields, top's shape when fed
CONVOLUTIONS = [
    ((1, 1, 2, 2), (1, 1, 2, 2), "kernel_size: 3 stride: 2", (1, 2, 1, 1)),
    ((2, 3, 2, 9), (2, 3, 2, 9), "kernel_size: 4 stride: 3", (2, 2, 1, 2)),
    ((1, 2, 9, 9), (3, 2, 3, 8), "kernel_size: 4 stride: 2", (3, 2, 1, 3)),  # only in this pass
    ((1, 2, 3), (1, 2, 3), "kernel_size: 6 stride: 2 pad: 1", (1, 2, 1)),
    ((1, 2, 2, 5, 2), (1, 2, 2, 5, 2), "kernel_size: 3 stride: 2", (1, 2, 1, 2, 1)),
    ((1, 2, 2, 3, 2, 2), (1, 2, 2, 3, 2, 2), "kernel_size: 3 stride: 2", (1, 2, 1, 1, 1, 1)),
    ((1, 2, 3, 3), (2, 2, 5, 3), "kernel_size: 2 dilation: 0", (2, 2, 5, 3)),
    (
        (1, 2, 3, 4),
        (1, 2, 3, 4),
        "kernel_h: 2 kernel_w: 2 dilation: 0 dilation: 3 pad: 1 stride: 2",
        (1, 2, 3, 2),
    ),
]


@pytest.mark.parametrize(("declared", "fed", "fields", "top"), CONVOLUTIONS)
def test_values_and_gradients(
    load_text: Load, declared: tuple, fed: tuple, fields: str, top: tuple
) -> None:
    net = load_text(net_text("Convolution", f"num_output: 2 {fields} {FILLED}", declared))
    assert declared != fed or net.blobs["y"].shape == top
    module = netspec.compile(net, seed=1).double()
    x = torch.randn(
        fed, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    window = window_of(net.layer("l").message.convolution_param, len(fed) - 2)
    rows = columns(
        x.detach().numpy(), 1, window.kernel, window.stride, window.pad, window.dilation, top[2:]
    )
    weight, bias = (blob.detach().numpy() for blob in module.params["l"])
    wanted = np.tensordot(weight.reshape(2, -1), rows, (1, 1)).swapaxes(0, 1) + bias.reshape(
        -1, *[1] * (len(fed) - 2)
    )
    y = module(x)["y"]
    np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda *values: module(values[0])["y"], (x, *module.params["l"]), fast_mode=True
    )


def test_a_kernel_wider_than_its_input_by_a_stride_is_refused(load_text: Load) -> None:
    with pytest.raises(NetspecError, match="the output's size would be 0"):
        load_text(net_text("Convolution", "num_output: 1 kernel_size: 4 stride: 2", (1, 1, 2, 2)))
    module = netspec.compile(
        load_text(net_text("Convolution", "num_output: 1 kernel_size: 4 stride: 2", (1, 1, 8, 8)))
    )
    with pytest.raises(RuntimeError):
        module(torch.ones(1, 1, 2, 2))


def test_torchs_own_module_stays_where_it_agrees(load_text: Load) -> None:
    module = netspec.compile(
        load_text(net_text("Convolution", "num_output: 1 kernel_size: 3", (1, 1, 8, 8)))
    )
    assert type(module.l) is torch.nn.Conv2d
