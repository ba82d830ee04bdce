"""Eltwise, Scale, Bias and Reduction: shapes, checks, values, gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.pytorch.layers.arithmetic import EltwiseProduct
from tests import nets
from tests.nets import Shape

Load = Callable[..., Net]


def net_text(layer: str, *shapes: Shape, top: str = "y") -> str:
    """The layer over inputs a, b, c of these shapes."""
    return nets.net_text(
        f'top: "{top}" {layer}', force_backward=True, **dict(zip("abc", shapes, strict=False))
    )


def run(
    net: Net, *bottoms: np.ndarray, top: str = "y", params: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """The top, its gradient, and the gradients of bottoms and params, in double precision."""
    module = netspec.compile(net).double()
    with torch.no_grad():
        for blob, values in zip(module.params.get("l", []), params, strict=True):
            blob.copy_(torch.tensor(values))
    tensors = [torch.tensor(bottom, requires_grad=True) for bottom in bottoms]
    out = module(*tensors)[top]
    grad = np.linspace(-2, 2.6, out.numel()).reshape(tuple(out.shape))
    out.backward(torch.tensor(grad))
    return (
        out.detach().numpy(),
        grad,
        [t.grad.numpy() for t in [*tensors, *module.params.get("l", [])] if t.grad is not None],
    )


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# bottom, the layer's fields, the shape of the factor or bias, the axis it begins at
SPREADS = [
    ((2, 3, 4, 5), "", (3,), 1),
    ((2, 3), "", (3,), 1),
    ((2, 3, 4, 5), "num_axes: 2", (3, 4), 1),
    ((2, 3, 4, 5), "num_axes: -1", (3, 4, 5), 1),
    ((2, 3, 4, 5), "axis: 0 num_axes: -1", (2, 3, 4, 5), 0),
    ((2, 3, 4, 5), "axis: 0", (2,), 0),
    ((2, 3, 4, 5), "axis: -1", (5,), 3),
    ((2, 3, 4, 5), "axis: -3 num_axes: 2", (3, 4), 1),
    ((2, 3, 4, 5), "num_axes: 0", (), 0),
    ((4,), "axis: 0 num_axes: 0", (), 0),
]


def spread(small: np.ndarray, axes: int, axis: int) -> np.ndarray:
    return small.reshape(small.shape + (1,) * (axes - axis - small.ndim)) if small.ndim else small


def gathered(large: np.ndarray, shape: Shape, axis: int) -> np.ndarray:
    """The sum over the axes that the small blob does not have."""
    return large.sum(
        tuple(i for i in range(large.ndim) if not axis <= i < axis + len(shape))
    ).reshape(shape)


@pytest.mark.parametrize("place", ["apart", "in place"])
@pytest.mark.parametrize(("bottom", "fields", "shape", "axis"), SPREADS)
def test_learned_scale_and_bias(
    load_text: Load, bottom: Shape, fields: str, shape: Shape, axis: int, place: str
) -> None:
    top = "a" if place == "in place" else "y"
    x, factor, bias = values(*bottom), values(*shape, seed=1), values(*shape, seed=2)
    wide_factor, wide_bias = spread(factor, x.ndim, axis), spread(bias, x.ndim, axis)

    net = load_text(
        net_text(f'type: "Scale" scale_param {{ {fields} bias_term: true }}', bottom, top=top)
    )
    assert [param.shape for param in net.layer("l").params] == [shape, shape]
    out, grad, grads = run(net, x, top=top, params=[factor, bias])
    np.testing.assert_allclose(out, x * wide_factor + wide_bias)
    for got, want in zip(
        grads,
        [grad * wide_factor, gathered(grad * x, shape, axis), gathered(grad, shape, axis)],
        strict=True,
    ):
        np.testing.assert_allclose(got, want, atol=1e-12)

    net = load_text(net_text(f'type: "Bias" bias_param {{ {fields} }}', bottom, top=top))
    assert [param.shape for param in net.layer("l").params] == [shape]
    out, grad, grads = run(net, x, top=top, params=[bias])
    np.testing.assert_allclose(out, x + wide_bias)
    for got, want in zip(grads, [grad, gathered(grad, shape, axis)], strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("place", ["apart", "in place"])
@pytest.mark.parametrize(
    ("axis", "second", "start"),
    [
        (1, (3,), 1),
        (0, (2, 3), 0),
        (-2, (4, 5), 2),
        (-3, (3, 4), 1),
        (0, (2, 3, 4, 5), 0),
        (7, (), 0),
    ],
)
def test_second_bottom(load_text: Load, axis: int, second: Shape, start: int, place: str) -> None:
    """`num_axes` does not count with a second bottom; a scalar does not even look at `axis`."""
    top = "a" if place == "in place" else "y"
    x, other = values(2, 3, 4, 5), values(*second, seed=1)
    wide = spread(other, 4, start)

    net = load_text(
        net_text(
            f'type: "Scale" scale_param {{ axis: {axis} num_axes: 9 }}', x.shape, second, top=top
        )
    )
    assert net.layer("l").params == []
    out, grad, grads = run(net, x, other, top=top)
    np.testing.assert_allclose(out, x * wide)
    for got, want in zip(grads, [grad * wide, gathered(grad * x, second, start)], strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)

    net = load_text(
        net_text(
            f'type: "Bias" bias_param {{ axis: {axis} num_axes: 9 }}', x.shape, second, top=top
        )
    )
    assert net.layer("l").params == []
    out, grad, grads = run(net, x, other, top=top)
    np.testing.assert_allclose(out, x + wide)
    for got, want in zip(grads, [grad, gathered(grad, second, start)], strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


def test_scale_by_a_second_bottom_learns_its_bias(load_text: Load) -> None:
    net = load_text(
        net_text(
            'type: "Scale" scale_param { axis: 0 bias_term: true bias_filler { value: 3 } }',
            (2, 3, 4),
            (2, 3),
        )
    )
    assert [param.shape for param in net.layer("l").params] == [(2, 3)]
    out, _, _ = run(
        net, x := values(2, 3, 4), factor := values(2, 3), params=[np.full((2, 3), 3.0)]
    )
    np.testing.assert_allclose(out, x * factor[:, :, None] + 3)


def test_fillers_and_multipliers(load_text: Load) -> None:
    text = net_text(
        'type: "Bias" bias_param { filler { type: "constant" value: 3 } } '
        'param { name: "b" lr_mult: 2 decay_mult: 0 }',
        (2, 3),
    )
    param = load_text(text).layer("l").params[0]
    assert (param.name, param.lr_mult, param.decay_mult) == ("b", 2, 0)
    assert netspec.compile(load_text(text)).params["l"][0].tolist() == [3, 3, 3]
    assert netspec.compile(load_text(net_text('type: "Bias"', (2, 3)))).params["l"][0].tolist() == [
        0,
        0,
        0,
    ]
    assert netspec.compile(load_text(net_text('type: "Scale"', (2, 3)))).params["l"][
        0
    ].tolist() == [1, 1, 1]


REDUCTIONS = {
    "SUM": (lambda x, axes: x.sum(axes), lambda x, n: np.ones_like(x)),
    "ASUM": (lambda x, axes: np.abs(x).sum(axes), lambda x, n: np.sign(x)),
    "SUMSQ": (lambda x, axes: (x * x).sum(axes), lambda x, n: 2 * x),
    "MEAN": (lambda x, axes: x.mean(axes), lambda x, n: np.ones_like(x) / n),
}


@pytest.mark.parametrize("coefficient", [1, -2.5])
@pytest.mark.parametrize(("axis", "first"), [(0, 0), (1, 1), (2, 2), (-1, 2), (-3, 0)])
@pytest.mark.parametrize("operation", REDUCTIONS)
def test_reduction(
    load_text: Load, operation: str, axis: int, first: int, coefficient: float
) -> None:
    reduce, slope = REDUCTIONS[operation]
    x = values(2, 3, 4)
    x[0, 1, 2] = 0  # where ASUM's gradient is 0
    net = load_text(
        net_text(
            f'type: "Reduction" reduction_param {{ operation: {operation} axis: {axis} '
            f"coeff: {coefficient} }}",
            x.shape,
        )
    )
    assert net.blobs["y"].shape == x.shape[:first]
    out, grad, (got,) = run(net, x)
    np.testing.assert_allclose(out, coefficient * reduce(x, tuple(range(first, 3))))
    np.testing.assert_allclose(
        got, coefficient * slope(x, x[(0,) * first].size) * spread(grad, 3, 0)
    )


def test_a_reduction_is_a_sum_over_everything_by_default(load_text: Load) -> None:
    net = load_text(net_text('type: "Reduction" loss_weight: 0.5', (2, 3)))
    assert net.blobs["y"].shape == ()
    module = netspec.compile(net)
    assert module.loss(module(torch.ones(2, 3))).item() == 3


def test_eltwise_sum(load_text: Load) -> None:
    a, b, c = (values(2, 3, seed=i) for i in range(3))
    out, grad, grads = run(load_text(net_text('type: "Eltwise"', *[(2, 3)] * 3)), a, b, c)
    np.testing.assert_allclose(out, a + b + c)
    np.testing.assert_allclose(grads, [grad] * 3)
    out, grad, grads = run(
        load_text(
            net_text(
                'type: "Eltwise" eltwise_param { coeff: 1 coeff: -2 coeff: 0.5 }', *[(2, 3)] * 3
            )
        ),
        a,
        b,
        c,
    )
    np.testing.assert_allclose(out, a - 2 * b + 0.5 * c)
    np.testing.assert_allclose(grads, [grad, -2 * grad, 0.5 * grad])


@pytest.mark.parametrize("stable", ["true", "false"])
def test_eltwise_product(load_text: Load, stable: str) -> None:
    a, b, c = (values(2, 3, seed=i) for i in range(3))
    a[0, 0] = 0
    net = load_text(
        net_text(
            f'type: "Eltwise" eltwise_param {{ operation: PROD stable_prod_grad: {stable} }}',
            *[(2, 3)] * 3,
        )
    )
    out, grad, grads = run(net, a, b, c)
    np.testing.assert_allclose(out, a * b * c)
    first = b * c
    if stable == "false":  # 0/0
        first[0, 0] = np.nan
    np.testing.assert_allclose(grads, [grad * first, grad * a * c, grad * a * b])


def test_eltwise_maximum(load_text: Load) -> None:
    """A tie of the first two goes to the second; a later bottom must be greater.

    NaN is never greater.
    """
    nan = float("nan")
    a = np.array([1.0, 0, 0, 1, 1, 0, nan, 2])
    b = np.array([0.0, 1, 0, 1, 0, 0, 1, nan])
    c = np.array([0.0, 0, 1, 1, 1, 0, nan, 3])
    out, grad, grads = run(
        load_text(net_text('type: "Eltwise" eltwise_param { operation: MAX }', *[(8,)] * 3)),
        a,
        b,
        c,
    )
    np.testing.assert_array_equal(out, [1, 1, 1, 1, 1, 0, 1, nan])
    winner = np.array([0, 1, 2, 1, 0, 1, 1, 1])
    np.testing.assert_array_equal(grads, [grad * (winner == i) for i in range(3)])


def test_one_blob_as_two_bottoms(load_text: Load) -> None:
    text = net_text(
        'type: "Eltwise" eltwise_param { operation: PROD stable_prod_grad: false } bottom: "a"',
        (2, 3),
    )
    x = values(2, 3)
    out, grad, grads = run(load_text(text), x)
    np.testing.assert_allclose(out, x * x)
    np.testing.assert_allclose(grads, [2 * grad * x])


def test_hand_written_gradient() -> None:
    bottoms = [torch.tensor(values(2, 3, seed=i) + 3, requires_grad=True) for i in range(3)]
    assert torch.autograd.gradcheck(EltwiseProduct(stable_grad=False), bottoms)


EVERY = [
    'type: "Scale" scale_param { bias_term: true }',
    'type: "Scale" scale_param { num_axes: 0 bias_term: true }', 'type: "Bias"',
    'type: "Bias" bias_param { num_axes: 0 }', 'type: "Reduction"',
    'type: "Reduction" reduction_param { operation: MEAN axis: 1 }',
    'type: "Reduction" reduction_param { operation: ASUM axis: -1 coeff: 2 }',
    'type: "Reduction" reduction_param { operation: SUMSQ axis: 2 }', 'type: "Eltwise" bottom: "a"',
    'type: "Eltwise" bottom: "l0" eltwise_param { coeff: 2 coeff: 3 }',
    'type: "Eltwise" bottom: "l0" eltwise_param { operation: MAX }',
    'type: "Eltwise" bottom: "l0" eltwise_param { operation: PROD }',
    'type: "Eltwise" bottom: "l0" eltwise_param { operation: PROD stable_prod_grad: false }',
    'type: "Scale" bottom: "l0" scale_param { axis: 0 }',
    'type: "Bias" bottom: "l0" bias_param { axis: 0 }',
]  # fmt: skip


def every_text() -> str:
    text = net_text('type: "Scale"', (2, 3, 4, 5), top="l0")
    return text + "".join(
        f'layer {{ name: "e{i}" bottom: "a" top: "y{i}" {layer} }}\n'
        for i, layer in enumerate(EVERY)
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
    out = module(x)
    exact = x.detach().double().contiguous().requires_grad_()
    want = module.double()(exact)
    rtol, atol = (1e-4, 1e-4) if dtype == torch.float32 else (0.05, 0.5)
    for name, top in out.items():
        assert top.dtype == dtype
        assert top.dim() != 4 or batch == 0 or top.is_contiguous(memory_format=layout)
        torch.testing.assert_close(top.double(), want[name], rtol=rtol, atol=atol)
    sum_of(out).backward()
    sum_of(want).backward()
    torch.testing.assert_close(x.grad, exact.grad, rtol=rtol, atol=atol, check_dtype=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiles_as_one_graph(load_text: Load, dtype: torch.dtype) -> None:
    module = netspec.compile(load_text(every_text())).to(dtype)
    torch.manual_seed(1)
    x = torch.randn(2, 3, 4, 5).to(dtype).requires_grad_()
    sum_of(module(x)).backward()
    assert x.grad is not None
    want, x.grad = x.grad, None
    sum_of(torch.compile(module, fullgraph=True, backend="aot_eager")(x)).backward()
    torch.testing.assert_close(x.grad, want)


WRONG = [
    (
        'type: "Bias"\nbias_param { axis: 3 }',
        [(2, 3, 4)],
        "axis 3 is out of range for a blob of 3 axes",
        4,
    ),
    (
        'type: "Bias"\nbias_param { axis: -4 }',
        [(2, 3, 4)],
        "axis -4 is out of range for a blob of 3 axes",
        4,
    ),
    (
        'type: "Bias"\nbias_param { num_axes: 3 }',
        [(2, 3, 4)],
        "'num_axes' 3 from axis 1 leaves a blob of 3 axes",
        4,
    ),
    (
        'type: "Bias"\nbias_param { num_axes: -2 }',
        [(2, 3, 4)],
        "'num_axes' -2 from axis 1 leaves a blob of 3 axes",
        4,
    ),
    (
        'type: "Scale"\nscale_param { num_axes: 0 }',
        [(2,)],
        "axis 1 is out of range for a blob of 1 axes",
        4,
    ),
    (
        'type: "Bias"',
        [(2, 3, 4), (4,)],
        "the bias (4) must match the bottom (2×3×4) from axis 1 on",
        4,
    ),
    (
        'type: "Scale"\nscale_param { axis: 2 }',
        [(2, 3, 4), (4, 1)],
        "the factor (4×1) must match the bottom (2×3×4) from axis 2 on",
        4,
    ),
    (
        'type: "Reduction"\nreduction_param { axis: 3 }',
        [(2, 3, 4)],
        "axis 3 is out of range for a blob of 3 axes",
        4,
    ),
    ('type: "Reduction"', [()], "axis 0 is out of range for a blob of 0 axes", 3),
    ('type: "Eltwise"', [(2, 3), (3, 2)], "'a' (2×3) and 'b' (3×2) must agree in every axis", 4),
    (
        'type: "Eltwise"\neltwise_param { coeff: 2 }',
        [(2,), (2,)],
        "'coeff' takes one value for each of the 2 bottoms, got 1",
        5,
    ),
    (
        'type: "Eltwise"\neltwise_param { operation: PROD coeff: 2 coeff: 1 }',
        [(2,), (2,)],
        "'coeff' goes with SUM, not with PROD",
        5,
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "message", "line"), WRONG)
def test_diagnostics_stand_at_the_faulty_field(
    load_text: Load, layer: str, shapes: list[Shape], message: str, line: int
) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(net_text(layer, *shapes))
    (fault,) = raised.value.diagnostics
    assert fault.message == f"layer 'l': {message}"
    assert fault.span is not None
    assert fault.span.line == line


@pytest.mark.parametrize(("operation", "really"), [("SUM", True), ("MAX", True), ("PROD", False)])
def test_a_relu_writes_over_what_eltwise_made(
    load_text: Load, operation: str, really: bool
) -> None:
    text = net_text(
        f'type: "Eltwise" eltwise_param {{ operation: {operation} stable_prod_grad: false }}',
        (2, 3),
        (2, 3),
    )
    net = load_text(text + 'layer { name: "r" type: "ReLU" bottom: "y" top: "y" }')
    assert netspec.compile(net).r.inplace == really
    a, b = values(2, 3), values(2, 3, seed=1)
    before = {"SUM": a + b, "MAX": np.maximum(a, b), "PROD": a * b}[operation]
    slopes = {"SUM": [np.ones_like(a)] * 2, "MAX": [a > b, b >= a], "PROD": [b, a]}[operation]
    out, grad, grads = run(net, a, b)
    np.testing.assert_allclose(out, np.maximum(before, 0))
    np.testing.assert_allclose(grads, [grad * (before > 0) * slope for slope in slopes])
