"""LSTM, RNN and LSTMUnit.

Values and gradients as the original's steps give them, states, shapes, faults.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.pytorch.layers.recurrent import LSTM, RNN, LSTMUnit, Recurrent, _in_one_block
from netspec.pytorch.module import NetModule
from tests import nets

Load = Callable[..., Net]
Arrays = dict[str, np.ndarray]
STEPS, STREAMS, INPUTS, STATIC, HIDDEN = 6, 3, 4, 2, 5
SHAPES = {"x": (STEPS, STREAMS, 2, 2), "cont": (STEPS, STREAMS)}
STATE = (1, STREAMS, HIDDEN)
net_text = partial(nets.net_text, force_backward=True)
FILLERS = (
    "weight_filler { type: 'uniform' min: -0.5 max: 0.5 } "
    "bias_filler { type: 'uniform' min: -0.5 max: 0.5 }"
)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def unit(c: np.ndarray, x: np.ndarray, cont: np.ndarray) -> tuple[np.ndarray, ...]:
    i, f, o, g = np.split(x, 4, -1)
    i, f, o, g = sigmoid(i), sigmoid(f) * cont[:, None], sigmoid(o), np.tanh(g)
    after = f * c + i * g
    return after, o * np.tanh(after), i, f, o, g


def unit_backward(
    c: np.ndarray, made: tuple[np.ndarray, ...], dc: np.ndarray, dh: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    after, _, i, f, o, g = made
    dc = dc + dh * o * (1 - np.tanh(after) ** 2)
    dx = [
        dc * g * i * (1 - i),
        dc * c * f * (1 - f),
        dh * np.tanh(after) * o * (1 - o),
        dc * i * (1 - g * g),
    ]
    return dc * f, np.concatenate(dx, -1)


def lstm(
    feed: Arrays, blobs: list[np.ndarray], h: np.ndarray, c: np.ndarray, grad: np.ndarray
) -> tuple[list[np.ndarray], Arrays, list[np.ndarray]]:
    """[top, last h, last c], gradients of the bottoms, gradients of the blobs."""
    x, cont, static = feed["x"].reshape(STEPS, STREAMS, -1), feed["cont"], feed.get("s")
    wx, b, wh = blobs[0], blobs[1], blobs[-1]
    tops, kept, before, made = [], [], [], []
    for t in range(STEPS):
        kept.append(h * cont[t][:, None])
        before.append(c)
        made.append(
            unit(
                c,
                kept[t] @ wh.T + x[t] @ wx.T + b + (0 if static is None else static @ blobs[2].T),
                cont[t],
            )
        )
        c, h = made[t][:2]
        tops.append(h)
    dh, dc, dx, dstatic = (
        np.zeros_like(h),
        np.zeros_like(c),
        np.zeros_like(x),
        0 if static is None else np.zeros_like(static),
    )
    slopes = [np.zeros_like(blob) for blob in blobs]
    for t in reversed(range(STEPS)):
        dc, dgates = unit_backward(before[t], made[t], dc, dh + grad[t])
        dh, dx[t] = (dgates @ wh) * cont[t][:, None], dgates @ wx
        slopes[0] += dgates.T @ x[t]
        slopes[1] += dgates.sum(0)
        slopes[-1] += dgates.T @ kept[t]
        if static is not None:
            slopes[2] += dgates.T @ static
            dstatic = dstatic + dgates @ blobs[2]
    return [np.stack(tops), h, c], {"x": dx, "s": dstatic}, slopes


def rnn(feed: dict[str, Tensor], blobs: list[Tensor], h: Tensor) -> list[Tensor]:
    """[top, last h], from torch's own operations."""
    tops, static = [], feed.get("s")
    for x, cont in zip(feed["x"].flatten(2), feed["cont"], strict=True):
        h = torch.tanh(
            (h * cont[:, None]) @ blobs[-3].T
            + x @ blobs[0].T
            + blobs[1]
            + (0 if static is None else static @ blobs[2].T)
        )
        tops.append(torch.tanh(h @ blobs[-2].T + blobs[-1]))
    return [torch.stack(tops), h]


FLAGS = {
    "one sequence": np.ones((STEPS, STREAMS)) * (np.arange(STEPS) > 0)[:, None],
    "carried on": np.ones((STEPS, STREAMS)),
    "resets": np.random.default_rng(1).integers(0, 2, (STEPS, STREAMS)).astype(float),
    "fractions": np.random.default_rng(2).uniform(0, 1, (STEPS, STREAMS)),
}


def compile_recurrent(
    load_text: Load, kind: str, has_static: bool, expose: bool
) -> tuple[NetModule, Arrays]:
    """The module in double precision, and what to feed it."""
    states = {"h": STATE, "c": STATE} if kind == "LSTM" else {"h": STATE}
    shapes = {
        **SHAPES,
        **({"s": (STREAMS, STATIC)} if has_static else {}),
        **(states if expose else {}),
    }
    tops = " ".join(
        f'top: "{name}"' for name in ["y", *([f"{state}T" for state in states] if expose else [])]
    )
    param = (
        f"recurrent_param {{ num_output: {HIDDEN} expose_hidden: {str(expose).lower()} "
        f"debug_info: true {FILLERS} }}"
    )
    module = netspec.compile(
        load_text(net_text(f'type: "{kind}" {tops} {param}', **shapes)), seed=1
    ).double()
    rng = np.random.default_rng(0)
    return module, {name: rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("has_static", [False, True])
@pytest.mark.parametrize("expose", [False, True])
def test_lstm_step_by_step(load_text: Load, flags: str, has_static: bool, expose: bool) -> None:
    module, feed = compile_recurrent(load_text, "LSTM", has_static, expose)
    feed["cont"] = FLAGS[flags]
    grad = np.random.default_rng(3).normal(size=(STEPS, STREAMS, HIDDEN))
    blobs = [blob.detach().numpy() for blob in module.params["l"]]
    assert [b.shape for b in blobs] == [
        (20, INPUTS),
        (20,),
        *([(20, STATIC)] if has_static else []),
        (20, HIDDEN),
    ]
    h, c = (feed["h"][0], feed["c"][0]) if expose else (np.zeros(STATE[1:]), np.zeros(STATE[1:]))
    # the second pass takes up the state of the first, and sends no gradient there
    for _ in range(2):
        tensors = {
            name: torch.tensor(value, requires_grad=name != "cont") for name, value in feed.items()
        }
        module.zero_grad()
        out = module(**tensors)
        out["y"].backward(torch.tensor(grad))
        tops, diffs, slopes = lstm(feed, blobs, h, c, grad)
        got = [out["y"], *([out["hT"][0], out["cT"][0]] if expose else [])]
        for value, want in zip(got, tops, strict=False):
            np.testing.assert_allclose(value.detach().numpy(), want, atol=1e-12)
        for name in ("x", "s") if has_static else ("x",):
            np.testing.assert_allclose(
                tensors[name].grad.numpy(), diffs[name].reshape(feed[name].shape), atol=1e-12
            )
        for blob, slope in zip(module.params["l"], slopes, strict=True):
            np.testing.assert_allclose(blob.grad.numpy(), slope, atol=1e-12)
        if expose:
            assert tensors["h"].grad is None  # Caffe's exposed states carry no gradient either
            assert not out["hT"].requires_grad
        else:
            h, c = tops[1:]


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("has_static", [False, True])
@pytest.mark.parametrize("expose", [False, True])
def test_rnn_step_by_step(load_text: Load, flags: str, has_static: bool, expose: bool) -> None:
    module, feed = compile_recurrent(load_text, "RNN", has_static, expose)
    feed["cont"] = FLAGS[flags]
    blobs = [blob.detach().clone().requires_grad_() for blob in module.params["l"]]
    shapes = [
        (HIDDEN, INPUTS),
        (HIDDEN,),
        *([(HIDDEN, STATIC)] if has_static else []),
        (HIDDEN, HIDDEN),
        (HIDDEN, HIDDEN),
        (HIDDEN,),
    ]
    assert [tuple(b.shape) for b in blobs] == shapes
    h = torch.tensor(feed["h"][0]) if expose else torch.zeros(STATE[1:], dtype=torch.double)
    for _ in range(2):
        tensors = {
            name: torch.tensor(value, requires_grad=name != "cont") for name, value in feed.items()
        }
        out = module(**tensors)
        top, last = rnn(tensors, blobs, h.detach())
        torch.testing.assert_close(out["y"], top)
        seen = [tensors[name] for name in ("x", "s") if name in tensors]
        grad = torch.randn_like(top)
        got, want = (
            torch.autograd.grad(out["y"], [*seen, *module.params["l"]], grad),
            torch.autograd.grad(top, [*seen, *blobs], grad),
        )
        torch.testing.assert_close(got, want)
        if expose:
            torch.testing.assert_close(out["hT"][0], last)
            assert not out["hT"].requires_grad
        else:
            h = last


@pytest.mark.parametrize("cont", [[[1.0, 0.0, 1.0]], [[0.5, 0.25, 2.0]]])
def test_lstm_unit(load_text: Load, cont: list[list[float]]) -> None:
    module = netspec.compile(
        load_text(
            net_text(
                'type: "LSTMUnit" top: "c1" top: "h1"',
                c=STATE,
                g=(1, STREAMS, 4 * HIDDEN),
                cont=(1, STREAMS),
            )
        )
    )
    rng = np.random.default_rng(0)
    c, g, dc, dh = (
        rng.normal(size=size) for size in (STATE, (1, STREAMS, 4 * HIDDEN), STATE, STATE)
    )
    feed = {"c": torch.tensor(c, requires_grad=True), "g": torch.tensor(g, requires_grad=True)}
    out = module(**feed, cont=torch.tensor(cont))
    torch.autograd.backward([out["c1"], out["h1"]], [torch.tensor(dc), torch.tensor(dh)])
    made = unit(c[0], g[0], np.array(cont[0]))
    np.testing.assert_allclose(out["c1"].detach().numpy()[0], made[0])
    np.testing.assert_allclose(out["h1"].detach().numpy()[0], made[1])
    for name, want in zip("cg", unit_backward(c[0], made, dc[0], dh[0]), strict=True):
        np.testing.assert_allclose(feed[name].grad.numpy()[0], want, atol=1e-12)


def test_weights_in_one_block() -> None:
    """What cuDNN takes: views of one tensor, with the gradients of the ones they were made of."""
    weights = [torch.randn(4, 3, requires_grad=True), torch.randn(4, requires_grad=True)]
    block = _in_one_block(weights)
    torch.testing.assert_close(block, weights)
    assert block[1].data_ptr() == block[0].data_ptr() + 12 * 4
    torch.autograd.backward(block, [torch.ones(4, 3), torch.full((4,), 2.0)])
    assert [float(weight.grad.mean()) for weight in weights] == [1, 2]


def made_by_hand(kind: type[Recurrent], streams: int = 2, expose: bool = False) -> Recurrent:
    torch.manual_seed(0)
    module = kind(3, None, 4, streams, expose)
    for blob in module.blobs():
        torch.nn.init.uniform_(blob, -0.5, 0.5)
    return module


@pytest.mark.parametrize("kind", [LSTM, RNN])
@pytest.mark.parametrize("resets", [False, True])
def test_gradcheck(kind: type[Recurrent], resets: bool) -> None:
    module = made_by_hand(kind, expose=True).double()
    cont = torch.tensor(
        [[0.0, 1.0], [1.0, 0.0] if resets else [1.0, 1.0], [1.0, 1.0]], dtype=torch.double
    )
    states = [torch.randn(1, 2, 4, dtype=torch.double) for _ in module.state_names]
    x = torch.randn(3, 2, 3, dtype=torch.double, requires_grad=True)
    names = [name for name, _ in module.named_parameters()]

    def top(x: Tensor, *blobs: Tensor) -> Tensor:
        return torch.func.functional_call(
            module, dict(zip(names, blobs, strict=True)), (x, cont, *states)
        )[0]

    assert torch.autograd.gradcheck(
        top, (x, *[blob.detach().requires_grad_() for blob in module.parameters()])
    )


def test_gradcheck_of_the_unit() -> None:
    c, g = (torch.randn(1, 2, size, dtype=torch.double, requires_grad=True) for size in (3, 12))
    assert torch.autograd.gradcheck(LSTMUnit(), (c, g, torch.tensor([[0.0, 1.0]])))


@pytest.mark.parametrize("kind", [LSTM, RNN])
def test_state_follows_the_number_of_streams(kind: type[Recurrent]) -> None:
    """As Caffe's memory: it is kept where it is large enough; a larger one begins at 0."""
    module, rest = made_by_hand(kind), torch.ones(2, 4)
    x = torch.randn(2, 4, 3)
    first = module(x[:, :2], rest[:, :2])
    module(x[:, :1], rest[:, :1])
    again = module(x[:, :2], rest[:, :2])
    other = made_by_hand(kind)
    other(x[:, :2], rest[:, :2])
    # the second stream has waited
    torch.testing.assert_close(again[:, 1], other(x[:, :2], rest[:, :2])[:, 1])
    fresh = module(x, rest)
    torch.testing.assert_close(fresh[:, :2], first)
    assert module.hidden.shape == (4, 4)
    module.reset()
    torch.testing.assert_close(module(x, rest), fresh)
    assert sorted(module.state_dict()) == sorted(name for name, _ in module.named_parameters())


@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("kind", [LSTM, RNN])
def test_compiles_in_one_graph(kind: type[Recurrent]) -> None:
    module, twin = made_by_hand(kind), made_by_hand(kind)
    compiled = torch.compile(twin, fullgraph=True, backend="aot_eager")
    for streams in (2, 2, 1, 3):  # the state goes on in the compiled module, too
        x, cont = torch.randn(4, streams, 3), torch.ones(4, streams)
        want, got = module(x, cont), compiled(x, cont)
        torch.testing.assert_close(got, want)
        grads = [
            torch.autograd.grad(y, m.blobs(), torch.ones_like(y))
            for y, m in ((got, twin), (want, module))
        ]
        torch.testing.assert_close(*grads)


@pytest.mark.parametrize("kind", [LSTM, RNN])
def test_half_precision_and_empty_batches(kind: type[Recurrent]) -> None:
    module, x, cont = (
        made_by_hand(kind),
        torch.randn(4, 2, 3),
        torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
    )
    want = module(x, cont)
    y = made_by_hand(kind).bfloat16()(x.bfloat16(), cont)
    y.sum().backward()
    torch.testing.assert_close(y.float(), want, rtol=0.05, atol=0.05)
    assert module(x[:, :0], cont[:, :0]).shape == (4, 0, 4)
    assert module(x[:1], cont[:1]).shape == (1, 2, 4)


def test_the_multipliers_of_a_param(load_text: Load) -> None:
    layer = (
        f'type: "LSTM" top: "y" param {{ lr_mult: 2 }} recurrent_param {{ num_output: {HIDDEN} }}'
    )
    net = load_text(net_text(layer, **SHAPES, s=(STREAMS, STATIC)))
    assert net.layer("l").params[0].lr_mult == 2


def param(fields: str = "") -> str:
    return f"recurrent_param {{\nnum_output: {HIDDEN} {fields} }}"


LATER = {"s": (STREAMS, STATIC), "h": STATE, "c": STATE}
WRONG = [
    (
        'type: "LSTM" top: "y"\nrecurrent_param { }',
        SHAPES,
        "'num_output' must be given and at least 1",
        1,
    ),
    (
        f'type: "LSTM" top: "y" {param("expose_hidden: true")}',
        {**SHAPES, "h": STATE, "c": STATE},
        "takes 3 tops with 'expose_hidden' (the states are hidden state and cell state), got 1",
        0,
    ),
    (
        f'type: "RNN" top: "y"\ntop: "z" {param()}',
        SHAPES,
        "takes 1 top without 'expose_hidden', got 2",
        1,
    ),
    (
        f'type: "LSTM" top: "y" {param()}',
        {**SHAPES, **LATER},
        "takes 2 or 3 bottoms without 'expose_hidden', got 5",
        0,
    ),
    (
        f'type: "LSTM" top: "y" {param()}',
        {"x": (6, 3), "cont": (6, 3)},
        "'x' must be T×N×… (at least one timestep, streams, values), got 6×3",
        0,
    ),
    (
        f'type: "RNN" top: "y" {param()}',
        {**SHAPES, "cont": (STEPS, STREAMS, 1)},
        "'cont', the continuation flags, one for each timestep and stream, must be 6×3, got 6×3×1",
        0,
    ),
    (
        f'type: "RNN" top: "y" {param()}',
        {**SHAPES, "s": (STREAMS,)},
        "the static input 's' must be 3×… (streams, values), got 3",
        0,
    ),
    (
        f'type: "RNN" top: "y" top: "z" {param("expose_hidden: true")}',
        {**SHAPES, "h": (STREAMS, HIDDEN)},
        "'h', the first hidden state, must be 1×3×5, got 3×5",
        0,
    ),
    (
        'type: "LSTMUnit" top: "c1" top: "h1"',
        {"c": (2, 3, 5), "g": (2, 3, 20), "cont": (2, 3)},
        "'c' must be 1×N×H, got 2×3×5",
        0,
    ),
    (
        'type: "LSTMUnit" top: "c1" top: "h1"',
        {"c": STATE, "g": (1, 3, 5), "cont": (1, 3)},
        "'g', the inputs of the four gates, must be 1×3×20, got 1×3×5",
        0,
    ),
    (
        'type: "LSTMUnit" top: "c1" top: "h1"',
        {"c": STATE, "g": (1, 3, 20), "cont": (3,)},
        "'cont', the continuation flags, must be 1×3, got 3",
        0,
    ),
    (
        'type: "LSTM" top: "y"\nrecurrent_param { num_output: 5 weight_filler { type: "x" } }',
        SHAPES,
        "there is no filler 'x'",
        1,
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "message", "line"), WRONG)
def test_faults_stand_where_they_are(
    load_text: Load, layer: str, shapes: dict, message: str, line: int
) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(net_text(layer, **shapes))
    fault = raised.value.diagnostics[0]
    assert fault.message == f"layer 'l': {message}"
    assert fault.span.line == len(shapes) + 2 + line
