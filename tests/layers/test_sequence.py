"""The layers of sequences against rules written in plain loops, and what is wrong in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from tests.nets import net_text


def faults(load_text, text: str) -> str:
    with pytest.raises(NetspecError) as caught:
        load_text(text)
    return "\n".join(str(d) for d in caught.value.diagnostics)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_reverse(load_text, axis):
    text = net_text(f'type: "Reverse" top: "y" reverse_param {{ axis: {axis} }}', True, x=(2, 3, 4))
    x = torch.rand(2, 3, 4, requires_grad=True)
    y = netspec.compile(load_text(text))(x)["y"]
    np.testing.assert_array_equal(y.detach().numpy(), np.flip(x.detach().numpy(), axis))
    weights = torch.arange(24.0).view(2, 3, 4)
    (y * weights).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.flip(weights.numpy(), axis))


def test_transpose(load_text):
    layer = 'type: "Transpose" top: "y" transpose_param { dim: 3 dim: 0 dim: 2 dim: 1 }'
    net = load_text(net_text(layer, True, x=(2, 3, 4, 5)))
    assert net.blobs["y"].shape == (5, 2, 4, 3)
    x = torch.rand(2, 3, 4, 5, requires_grad=True)
    y = netspec.compile(net)(x)["y"]
    assert y[4, 1, 2, 0] == x[1, 0, 2, 4]
    y[4, 1, 2, 0].backward()
    assert x.grad.nonzero().tolist() == [[1, 0, 2, 4]]


def test_continuation_indicator(load_text):
    layer = 'type: "ContinuationIndicator" top: "y" continuation_indicator_param {{ {} }}'
    module = netspec.compile(load_text(net_text(layer.format("time_step: 3 batch_size: 2"))))
    assert module()["y"].tolist() == [[0, 0], [1, 1], [1, 1]]
    message = faults(load_text, net_text(layer.format("time_step: 3")))
    assert "'batch_size' must be given and at least 1" in message


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ('"Reverse" reverse_param { axis: 3 }', "'axis' 3 is out of range for a blob of 3 axes"),
        ('"Reverse" reverse_param { axis: -1 }', "the fork does not count from the end"),
        ('"Transpose" transpose_param { dim: 0 dim: 2 }', "each of the 3 axes of 'x' once, got 0"),
        ('"Transpose" transpose_param { dim: 0 dim: 2 dim: 2 }', "once, got 0, 2, 2"),
        ('"Lstm"', "'num_output' must be given and at least 1"),
        ('"Lstm" lstm_param { num_output: 2 batch_size: 3 }', "'batch_size' 3 does not divide"),
        ('"Lstm" lstm_param { num_output: 2 batch_size: 0 }', "'batch_size' must be at least 1"),
    ],
)
def test_what_does_not_fit(load_text, layer, message):
    assert message in faults(load_text, net_text(f'type: {layer} top: "y"', x=(4, 3, 5)))


def lstm_text(clip: bool = False, threshold: float = 0, rows: bool = False, steps: int = 5) -> str:
    """An Lstm of 3 units over 2 streams with 4 values."""
    fields = "num_output: 3" + (" batch_size: 2" if rows else "")
    fields += f" clipping_threshold: {threshold}" if threshold else ""
    shapes = {"x": (2 * steps, 4) if rows else (steps, 2, 4)}
    if clip:
        shapes["clip"] = (2 * steps,)
    filler = 'weight_filler { type: "xavier" } bias_filler { type: "gaussian" }'
    return net_text(f'type: "Lstm" top: "y" lstm_param {{ {fields} {filler} }}', True, **shapes)


def lstm(x, params, clip, first, threshold, grad):
    """The fork's loops: hidden states, what remains, the gradients of x and the params."""
    w, u, bias = params
    steps, streams = x.shape[:2]
    hidden = u.shape[1]
    h, c = np.zeros((2, steps, streams, hidden))
    gates, conts = np.zeros((steps, streams, 4, hidden)), np.zeros((steps, streams))
    for t, n in np.ndindex(steps, streams):
        before = (h[t - 1, n], c[t - 1, n]) if t else (first[0][n], first[1][n])
        cont = conts[t, n] = float(t > 0) if clip is None else float(clip[t + n] != 0)
        pre = (w @ x[t, n] + bias + cont * (u @ before[0])).reshape(4, hidden)
        i, f, o, g = sigmoid(pre[0]), cont * sigmoid(pre[1]), sigmoid(pre[2]), np.tanh(pre[3])
        c[t, n] = f * before[1] + i * g
        h[t, n] = o * np.tanh(c[t, n])
        gates[t, n] = i, f, o, g
    dh, dc = grad.copy(), np.zeros_like(c)
    dx, dw, du, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros_like(bias)
    for t in range(steps - 1, -1, -1):
        for n in range(streams):
            i, f, o, g = gates[t, n]
            c_before = c[t - 1, n] if t else first[1][n]
            e = np.tanh(c[t, n])
            dc[t, n] += dh[t, n] * o * (1 - e * e)
            d = dc[t, n]
            pre = np.concatenate([
                d * g * i * (1 - i), conts[t, n] * d * c_before * f * (1 - f),
                dh[t, n] * e * o * (1 - o), d * i * (1 - g * g),
            ])  # fmt: skip
            if threshold:
                pre = pre.clip(-threshold, threshold)
            if t:
                dc[t - 1, n] += conts[t, n] * d * f
                dh[t - 1, n] += conts[t, n] * (u.T @ pre)
                du += np.outer(pre, h[t - 1, n])  # whatever the flag says
            elif n == 0:
                du += np.outer(pre, first[0][0])
            dx[t, n] = w.T @ pre
            dw += np.outer(pre, x[t, n])
            db += pre
    return h, (h[-1], c[-1]), (dx, dw, du, db)


@pytest.mark.parametrize("threshold", [0, 0.05])
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("has_clip", [False, True])
def test_lstm_is_the_forks(load_text, has_clip, rows, threshold):
    rng = np.random.default_rng(0)
    module = netspec.compile(load_text(lstm_text(has_clip, threshold, rows)), seed=3)
    blobs = module.params["l"]
    assert [tuple(blob.shape) for blob in blobs] == [(12, 4), (12, 3), (12,)]
    params = [blob.detach().double().numpy() for blob in blobs]
    state = (np.zeros((2, 3)), np.zeros((2, 3)))
    for steps in (5, 3):  # two passes, the second of another length
        x = rng.normal(size=(steps, 2, 4)).astype(np.float32)
        grad = rng.normal(size=(steps, 2, 3)).astype(np.float32)
        clip = (rng.random(2 * steps) < 0.6).astype(np.float32) if has_clip else None
        if clip is not None:
            clip[0] = 1
        first = state if has_clip else (np.zeros((2, 3)), np.zeros((2, 3)))
        h, state, gradients = lstm(
            x.astype(np.float64), params, clip, first, threshold, grad.astype(np.float64)
        )
        given = torch.from_numpy(x.reshape(2 * steps, 4) if rows else x).requires_grad_()
        feed = {"x": given} | ({} if clip is None else {"clip": torch.from_numpy(clip)})
        module.zero_grad()
        y = module(**feed)["y"]
        assert y.shape == ((2 * steps, 3) if rows else (steps, 2, 3))
        np.testing.assert_allclose(y.detach().numpy().reshape(h.shape), h, rtol=1e-4, atol=1e-6)
        y.backward(torch.from_numpy(grad).view(y.shape))
        got = [given.grad, *(blob.grad for blob in blobs)]
        for ours, wanted in zip(got, gradients, strict=True):
            np.testing.assert_allclose(
                ours.numpy().reshape(wanted.shape), wanted, rtol=1e-3, atol=1e-5
            )


def test_a_bottom_of_two_axes_is_one_stream(load_text):
    text = net_text('type: "Lstm" top: "y" lstm_param { num_output: 3 }', x=(6, 4))
    assert load_text(text).blobs["y"].shape == (6, 3)
    text = net_text('type: "Lstm" top: "y" lstm_param { num_output: 3 }', x=(6, 2, 2, 2))
    net = load_text(text)
    assert net.blobs["y"].shape == (6, 2, 3)
    assert net.layer("l").params[0].shape == (12, 4)


def test_the_second_bottom_is_one_axis_that_is_read_stream_by_stream(load_text):
    report = Report()
    load_text(lstm_text(clip=True), report=report)
    assert "reads the flag of stream n at timestep t at t + n of 'clip'" in str(
        report.diagnostics[0]
    )
    text = lstm_text(clip=True)
    message = faults(load_text, text.replace("dim: 10 }", "dim: 5 dim: 2 }"))
    assert "must be one axis of at least 6 values, got 5×2" in message
    assert "got 5" in faults(load_text, text.replace("dim: 10 }", "dim: 5 }"))


def test_a_run_keeps_the_states_only_with_flags(load_text):
    assert netspec.compile(load_text(lstm_text(True))).get_submodule("l").carried
    assert not netspec.compile(load_text(lstm_text())).get_submodule("l").carried
