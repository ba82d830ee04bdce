"""Spatial pyramid and stochastic pooling.

Shapes and faults without torch, values by the original's loops.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from tests import nets
from tests.layers.cases import SPP, Case
from tests.nets import Shape

Load = Callable[..., Net]


def net_text(layer: str, shape: Shape) -> str:
    """An input and below it, in line 3 and after, the layer."""
    return nets.net_text(f'top: "y" {layer}', force_backward=True, x=shape)


def spp(fields: str) -> str:
    return f'type: "SPP" spp_param {{ {fields} }}'


def stochastic(fields: str, phase: str = "TEST") -> str:
    return f'type: "Pooling" phase: {phase} pooling_param {{ pool: STOCHASTIC {fields} }}'


def windows(
    size: int, kernel: int, stride: int, pad: int, is_padded: bool
) -> list[tuple[int, int, int]]:
    """Caffe's windows of an axis: where each begins, ends, and ends with the pad counted in."""
    out = ceil((size + 2 * pad - kernel) / stride) + 1
    if is_padded and (out - 1) * stride >= size + pad:
        out -= 1
    starts = [i * stride - pad for i in range(out)]
    return [(start, min(start + kernel, size), min(start + kernel, size + pad)) for start in starts]


def pooled(
    x: np.ndarray,
    kernel: tuple,
    stride: tuple,
    pad: tuple,
    take: Callable[[np.ndarray, int], np.ndarray],
) -> np.ndarray:
    """`take(values, size of the window)` of each window of x (N, C, H, W)."""
    rows, lines = (
        windows(x.shape[2 + i], kernel[i], stride[i], pad[i], any(pad)) for i in range(2)
    )
    y = np.zeros((*x.shape[:2], len(rows), len(lines)))
    for i, (top, bottom, below) in enumerate(rows):
        for j, (left, right, beyond) in enumerate(lines):
            cells = x[:, :, max(top, 0) : bottom, max(left, 0) : right].reshape(*x.shape[:2], -1)
            y[:, :, i, j] = take(cells, (below - top) * (beyond - left))
    return y


TAKES = {"MAX": lambda cells, size: cells.max(-1), "AVE": lambda cells, size: cells.sum(-1) / size}


def pyramid(x: np.ndarray, height: int, pool: str) -> np.ndarray:
    """What the original's inner pooling layers give, one for each level."""
    levels = []
    for level in range(height):
        kernel = tuple(ceil(size / 2**level) for size in x.shape[2:])
        pad = tuple(
            (k * 2**level - size + 1) // 2 for k, size in zip(kernel, x.shape[2:], strict=True)
        )
        levels.append(pooled(x, kernel, kernel, pad, TAKES[pool]))
        assert levels[-1].shape[2:] == (2**level, 2**level)
    return levels[0] if height == 1 else np.concatenate([y.reshape(len(x), -1) for y in levels], 1)


@pytest.mark.parametrize("case", SPP, ids=str)
def test_spp(load_text: Load, case: Case) -> None:
    net, (shape,) = load_text(case.text), case.bottoms
    p = net.layer("l").message.spp_param
    pool = p.PoolMethod.Name(p.pool)
    x = torch.randn(
        shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    module = netspec.compile(net)
    np.testing.assert_allclose(
        module(x)["y"].detach().numpy(),
        pyramid(x.detach().numpy(), p.pyramid_height, pool),
        rtol=1e-12,
    )
    assert torch.autograd.gradcheck(lambda x: module(x)["y"], x, fast_mode=True)


def test_spp_of_equal_values_gives_the_gradient_to_the_first(load_text: Load) -> None:
    x = torch.zeros(1, 1, 3, 3, requires_grad=True)
    netspec.compile(load_text(net_text(spp("pyramid_height: 2"), (1, 1, 3, 3))))(x)[
        "y"
    ].sum().backward()
    assert x.grad is not None
    # pad before the plane, so that its first cells are small
    assert x.grad[0, 0].tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_spp_follows_the_size_of_the_plane(load_text: Load) -> None:
    module = netspec.compile(load_text(net_text(spp("pyramid_height: 3"), (2, 3, 9, 8))))
    x = torch.randn(1, 3, 16, 11)
    np.testing.assert_allclose(module(x)["y"].numpy(), pyramid(x.numpy(), 3, "MAX"))
    with pytest.raises(
        NetspecError,
        match=(
            "layer 'l': level 2 of the pyramid lays 4 windows of 1 over a height of 3: "
            "their pad of 1 must be smaller"
        ),
    ):
        module(torch.randn(1, 3, 3, 8))


# the faulty field begins line 4
WRONG = [
    (spp("\npyramid_height: 0"), (1, 2, 8, 8), "'pyramid_height' must be given and at least 1"),
    (
        spp("\npyramid_height: 3"),
        (1, 2, 8, 5),
        (
            "level 2 of the pyramid lays 4 windows of 2 over a width of 5: "
            "their pad of 2 must be smaller than they are"
        ),
    ),
    (
        spp("\npyramid_height: 2147483647"),
        (1, 2, 8, 8),
        (
            "level 4 of the pyramid lays 16 windows of 1 over a height of 8: "
            "their pad of 4 must be smaller than they are"
        ),
    ),
    (
        spp("pool: STOCHASTIC\npyramid_height: 2"),
        (1, 2, 7, 8),
        (
            "level 1 of the pyramid lays 2 windows of 4 over a height of 7: that takes a pad, "
            "which goes with MAX and AVE only"
        ),
    ),
    (
        stochastic("kernel_size: 3\npad: 1"),
        (1, 2, 7, 8),
        "'pad' goes with MAX and AVE pooling only",
    ),
]


@pytest.mark.parametrize(("layer", "shape", "message"), WRONG)
def test_a_fault_is_reported_at_its_field(
    load_text: Load, layer: str, shape: tuple, message: str
) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(net_text(layer, shape))
    (fault,) = raised.value.diagnostics
    assert fault.message == f"layer 'l': {message}"
    assert fault.span is not None
    assert fault.span.line == 4
    if "lays" in message:
        assert str(fault.hint) == f"take a 'pyramid_height' of at most {message.split()[1]}"


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 3, 4), r"4 axes \(N×C×H×W\), got 3"), ((2, 3, 0, 4), "rows and columns")],
)
def test_spp_takes_a_plane(load_text: Load, shape: tuple, message: str) -> None:
    with pytest.raises(NetspecError, match=f"layer 'l': SPP takes a blob .*{message}"):
        load_text(net_text(spp("pyramid_height: 1"), shape))


FLT_MIN = float(np.finfo(np.float32).tiny)


def weighted_mean(cells: np.ndarray, size: int) -> np.ndarray:
    return np.square(cells).sum(-1) / (FLT_MIN + cells.sum(-1))


STOCHASTIC = [
    ((2, 3, 7, 8), "kernel_size: 3 stride: 2", (3, 3), (2, 2)),
    # the last row of windows holds nothing
    ((1, 2, 6, 5), "kernel_size: 2 stride: 3", (2, 2), (3, 3)),
    ((1, 2, 4, 5), "global_pooling: true", (4, 5), (1, 1)),
    ((1, 2, 4, 5), "kernel_h: 1 kernel_w: 3 stride_h: 2 stride_w: 1", (1, 3), (2, 1)),
]


@pytest.mark.parametrize(("shape", "fields", "kernel", "stride"), STOCHASTIC)
def test_stochastic_pooling_in_test(
    load_text: Load, shape: tuple, fields: str, kernel: tuple, stride: tuple
) -> None:
    net = load_text(net_text(stochastic(fields), shape))
    x = torch.rand(
        shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    module = netspec.compile(net)
    y = module(x)["y"]
    assert y.shape == net.blobs["y"].shape
    np.testing.assert_allclose(
        y.detach().numpy(),
        pooled(x.detach().numpy(), kernel, stride, (0, 0), weighted_mean),
        rtol=1e-12,
    )
    assert torch.autograd.gradcheck(lambda x: module(x)["y"], x, fast_mode=True)


@pytest.mark.parametrize(("shape", "fields", "kernel", "stride"), STOCHASTIC)
def test_stochastic_pooling_draws_in_train(
    load_text: Load, shape: tuple, fields: str, kernel: tuple, stride: tuple
) -> None:
    """Every window gives one of its own values, to which its gradient goes."""
    x = (
        torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        .add_(0.1)
        .requires_grad_()
    )
    y = netspec.compile(load_text(net_text(stochastic(fields, "TRAIN"), shape)))(x)["y"]
    # in each window the drawn value is neither below the least nor above the largest
    for drawn in (0, 1):
        bound = np.max if drawn else np.min
        bounds = pooled(
            x.detach().numpy(),
            kernel,
            stride,
            (0, 0),
            lambda cells, size, bound=bound: bound(cells, -1, initial=0),  # type: ignore[misc]
        )
        assert (np.less_equal if drawn else np.greater_equal)(
            y.detach().numpy(), bounds if drawn else 0
        ).all()
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close((x.grad * x).sum(), y.sum())
    assert x.grad.sum() == (y > 0).sum()


def test_stochastic_pooling_draws_in_proportion(load_text: Load) -> None:
    x = torch.tensor([1.0, 0.0, 3.0, 0.0]).repeat(1, 1, 1, 2000)
    torch.manual_seed(0)
    y = netspec.compile(
        load_text(
            net_text(
                stochastic("kernel_h: 1 kernel_w: 4 stride_h: 1 stride_w: 4", "TRAIN"), x.shape
            )
        )
    )(x)["y"]
    assert set(y.unique().tolist()) == {1.0, 3.0}
    assert 0.72 < (y == 3).double().mean() < 0.78


def test_spp_draws_in_test_too(load_text: Load) -> None:
    x = torch.rand(1, 1, 8, 4)
    y = netspec.compile(
        load_text(net_text(spp("pyramid_height: 1 pool: STOCHASTIC"), tuple(x.shape)))
    )(x)["y"]
    assert (x == y).sum() == 1


MODULES = [
    spp("pyramid_height: 3"),
    spp("pyramid_height: 3 pool: AVE"),
    spp("pyramid_height: 1"),
    stochastic("kernel_size: 3 stride: 2"),
]
MODULES += ['type: "Pooling" pooling_param { kernel_size: 2 stride: 3 }']


@pytest.mark.parametrize("layer", MODULES)
def test_every_type_memory_format_and_batch(load_text: Load, layer: str) -> None:
    """bfloat16, channels_last, torch.compile, batches of none and one agree with float32."""
    module = netspec.compile(load_text(net_text(layer, (2, 3, 9, 6))))
    x = torch.rand(2, 3, 9, 6, generator=torch.Generator().manual_seed(0))
    y = module(x)["y"]
    torch._dynamo.reset()  # it gives up on a function that many modules share
    for same in (
        module(x.to(memory_format=torch.channels_last))["y"],
        torch.compile(module, fullgraph=True, backend="aot_eager")(x)["y"],
    ):
        torch.testing.assert_close(same, y)
    torch.testing.assert_close(module(x[:1])["y"], y[:1])
    empty = x[:0].requires_grad_()
    module(empty)["y"].sum().backward()
    assert module(empty)["y"].shape == (0, *y.shape[1:])
    half = module(x.bfloat16())["y"].float()
    torch.testing.assert_close(
        half, y.clamp(min=torch.finfo(torch.bfloat16).min), rtol=1e-2, atol=1e-2
    )


def test_places_above_256_of_a_bfloat16_plane(load_text: Load) -> None:
    layer = 'type: "Pooling" top: "mask" pooling_param { kernel_size: 2 stride: 2 }'
    x = torch.zeros(1, 1, 20, 20, dtype=torch.bfloat16)
    x[..., 19, 19] = 1
    assert (
        netspec.compile(load_text(net_text(layer, (1, 1, 20, 20))))(x)["mask"].flatten()[-1] == 399
    )
