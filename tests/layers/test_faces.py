"""Face recognition's types against rules in numpy, their faults, dialects and what stays put."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec.graph import Net
from tests import nets

Load = Callable[..., Net]
RNG = np.random.default_rng


def run(net: Net, params: Any = (), **feed: np.ndarray) -> tuple[Any, dict[str, torch.Tensor], Any]:
    """The module in double precision, its inputs and its outputs."""
    module = netspec.compile(net, seed=1).double()
    with torch.no_grad():
        for blob, value in zip(module.params.get("l", []), params, strict=True):
            blob.copy_(torch.tensor(value))
    inputs = {name: torch.tensor(value, requires_grad=name == "x") for name, value in feed.items()}
    return module, inputs, module(**inputs)


def grad(tensor: torch.Tensor) -> np.ndarray:
    assert tensor.grad is not None
    return tensor.grad.numpy()


CENTERS = 'top: "y" type: "CenterLoss" loss_weight: 0.5 center_loss_param { num_output: 4 '


@pytest.mark.parametrize(
    ("fields", "dialect", "norm", "each"),
    [
        ("}", "sphereface", "L2", False),
        ("}", "happynear", "L2", True),
        ('distance_type: "L1" }', None, "L1", True),
        ('distance_type: "L2" }', None, "L2", True),
    ],
)
def test_center_loss(
    load_warned: Load, fields: str, dialect: str | None, norm: str, each: bool
) -> None:
    text = nets.net_text(CENTERS + fields, force_backward=True, x=(5, 3, 2, 1), label=(5, 1))
    x, centers = RNG(0).normal(size=(5, 3, 2, 1)), RNG(1).normal(size=(4, 6))
    labels = np.array([2, 0, 2, 3, 2])
    module, inputs, outputs = run(
        load_warned(text, dialect=dialect), [centers], x=x, label=labels.reshape(5, 1) * 1.0
    )
    module.loss(outputs).backward()
    distance = x.reshape(5, 6) - centers[labels]
    loss = np.abs(distance).sum() / 5 if norm == "L1" else (distance**2).sum() / 10
    slope = np.sign(distance) if norm == "L1" else distance
    step = np.zeros_like(centers)
    for j in range(4):
        count = (labels == j).sum()
        step[j] = -slope[labels == j].sum(0) / (1 + count) * (count if each else 1)
    np.testing.assert_allclose(float(outputs["y"].detach()), loss)
    np.testing.assert_allclose(grad(inputs["x"]).reshape(5, 6), 0.5 * slope / 5)
    np.testing.assert_allclose(grad(module.params["l"][0]), step, atol=1e-12)


def test_center_loss_needs_a_loss_weight_to_train(load_warned: Load) -> None:
    text = nets.net_text(CENTERS.replace("loss_weight: 0.5 ", "") + "}", x=(5, 3), label=(5,))
    net = load_warned(
        text, "without 'loss_weight' it trains nothing", dialect="sphereface", phase="TRAIN"
    )
    assert list(net.loss_weights.values()) in ([], [0])


def signed(c: np.ndarray, kind: str) -> tuple[np.ndarray, ...]:
    """The margin's value and the factors of w and x in the gradient of |x| times it."""
    s0 = np.sign(c)
    s1 = np.sign(np.abs(c) - 0.5)
    s2 = s0 * (1 + s1) - 2
    s3 = s0 * np.sign(2 * c**2 - 1)
    s4 = 2 * s0 + s3 - 3
    return {
        "DOUBLE": (2 * s0 * c**2 - 1, 4 * s0 * c, -(2 * s0 * c**2 + 1)),
        "TRIPLE": (
            s1 * (4 * c**3 - 3 * c) + s2,
            s1 * (12 * c**2 - 3),
            -(8 * s1 * c**3 - s2),
        ),
        "QUADRUPLE": (
            s3 * (8 * c**4 - 8 * c**2 + 1) + s4,
            s3 * (32 * c**3 - 16 * c),
            -(s3 * (24 * c**4 - 8 * c**2 - 1) - s4),
        ),
    }[kind]


def margin_text(layer: str, kind: str, x: Any = (40, 3)) -> str:
    param = {"MarginInnerProduct": "margin", "LargeMarginInnerProduct": "largemargin"}[layer]
    return nets.net_text(
        f'top: "y" top: "lambda" type: "{layer}" {param}_inner_product_param {{ num_output: 4 '
        f"type: {kind} base: 10 gamma: 0.5 power: 2 iteration: 3 lambda_min: 0.25 "
        'weight_filler { type: "xavier" } }',
        force_backward=True,
        x=x,
        label=(40,),
    )


@pytest.mark.parametrize("kind", ["SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE"])
def test_margin_inner_product(load_warned: Load, kind: str) -> None:
    x, weight = RNG(0).normal(size=(40, 3)), RNG(1).normal(size=(4, 3))
    labels, upper = RNG(2).integers(0, 4, 40), RNG(3).normal(size=(40, 4))
    net = load_warned(margin_text("MarginInnerProduct", kind))
    module, inputs, outputs = run(net, [weight], x=x, label=labels * 1.0)
    (outputs["y"] * torch.tensor(upper)).sum().backward()

    w = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    decay = max(10 * (1 + 0.5 * 4) ** -2, 0.25)
    length, plain = np.linalg.norm(x, axis=1), x @ w.T
    wanted, slope = plain.copy(), upper @ w
    if kind != "SINGLE":
        rows = np.arange(40)
        value, a, b = signed(plain[rows, labels] / length, kind)
        b = b / length
        norm = np.sqrt(a * a + b * b)
        wanted[rows, labels] = length * value
        wanted = (wanted + decay * plain) / (1 + decay)
        others = upper.copy()
        others[rows, labels] = 0
        at_label = (upper[rows, labels] / norm)[:, None]
        own = at_label * (a[:, None] * w[labels] + b[:, None] * x)
        slope = (others @ w + own + decay * upper @ w) / (1 + decay)
    np.testing.assert_allclose(outputs["lambda"], [decay])
    np.testing.assert_allclose(module.params["l"][0].detach(), w)
    np.testing.assert_allclose(outputs["y"].detach(), wanted, rtol=1e-9)
    np.testing.assert_allclose(grad(inputs["x"]), slope, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(grad(module.params["l"][0]), upper.T @ x, rtol=1e-9)


@pytest.mark.parametrize("kind", ["SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE"])
def test_large_margin_inner_product(load_warned: Load, kind: str) -> None:
    x, weight = RNG(0).normal(size=(40, 3)), RNG(1).normal(size=(4, 3))
    labels, upper = RNG(2).integers(0, 4, 40), RNG(3).normal(size=(40, 4))
    net = load_warned(margin_text("LargeMarginInnerProduct", kind))
    module, inputs, outputs = run(net, [weight], x=x, label=labels * 1.0)
    (outputs["y"] * torch.tensor(upper)).sum().backward()

    rows, decay = np.arange(40), 10 * 3.0**-2
    plain, slope, step = x @ weight.T, upper @ weight, upper.T @ x
    wanted = plain.copy()
    if kind != "SINGLE":
        length, size = np.linalg.norm(x, axis=1), np.linalg.norm(weight, axis=1)[labels]
        value, a, b = signed(plain[rows, labels] / (length * size), kind)
        wanted[rows, labels] = (length * size * value + decay * plain[rows, labels]) / (1 + decay)
        part = (upper[rows, labels] / (1 + decay))[:, None]
        a, ratio = a[:, None], (b * size / length)[:, None]
        slope = slope + part * ((a - 1) * weight[labels] + ratio * x)
        own = part * ((a - 1) * x + (b * length / size)[:, None] * weight[labels])
        step = step.copy()
        np.add.at(step, labels, own)
    assert np.array_equal(module.params["l"][0].detach(), weight)
    np.testing.assert_allclose(outputs["y"].detach(), wanted, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(grad(inputs["x"]), slope, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(grad(module.params["l"][0]), step, rtol=1e-6, atol=1e-6)


def test_lambda_falls_with_every_pass(load_warned: Load) -> None:
    net = load_warned(margin_text("MarginInnerProduct", "DOUBLE"))
    module, inputs, outputs = run(net, [np.ones((4, 3))], x=np.ones((40, 3)), label=np.zeros(40))
    found = [float(outputs["lambda"][0]), *(float(module(**inputs)["lambda"]) for _ in range(9))]
    wanted = [max(10 * (1 + 0.5 * i) ** -2, 0.25) for i in range(4, 14)]
    np.testing.assert_allclose(found, wanted)


def test_margins_compile(load_warned: Load) -> None:
    net = load_warned(margin_text("MarginInnerProduct", "TRIPLE"))
    x, labels = torch.randn(40, 3, requires_grad=True), torch.zeros(40)
    modules = [netspec.compile(net, seed=1) for _ in range(2)]
    compiled = torch.compile(modules[1], backend="aot_eager")
    for _ in range(2):
        first, second = modules[0](x=x, label=labels), compiled(x=x, label=labels)
        slopes = []
        for outputs in (first, second):
            slopes.append(torch.autograd.grad(outputs["y"].square().sum(), x)[0])
        torch.testing.assert_close(first, second)
        torch.testing.assert_close(*slopes)
    torch.testing.assert_close(modules[0].params["l"][0], modules[1].params["l"][0])


DATA = """
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "list.txt" batch_size: 4 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "center" type: "CenterLoss" bottom: "fc" bottom: "label" top: "center"
  loss_weight: 0.1 center_loss_param { num_output: 3 center_filler { type: "xavier" } } }
layer { name: "margin" type: "MarginInnerProduct" bottom: "fc" bottom: "label" top: "scores"
  top: "lambda" margin_inner_product_param { num_output: 3 type: QUADRUPLE base: 5 gamma: 0
  weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
"""


def face_solver(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    h5py = pytest.importorskip("h5py")
    monkeypatch.chdir(folder)
    with h5py.File("data.h5", "w") as file:
        file["data"] = RNG(0).normal(size=(12, 5)).astype(np.float32)
        file["label"] = (np.arange(12) % 3).astype(np.float32)
    Path("list.txt").write_text("data.h5\n")
    Path("net.prototxt").write_text("# netspec: dialect sphereface\n" + DATA)
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" max_iter: 9 '
        'random_seed: 1 snapshot_prefix: "face"'
    )
    return folder / "solver.prototxt"


def test_a_face_net_trains_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With gamma 0: lambda's count is in no snapshot, as in Caffe."""
    path = face_solver(tmp_path, monkeypatch)
    solver = netspec.Solver(path)
    losses = [float(solver.step(1)["loss"]) for _ in range(3)]
    assert losses[2] != losses[0]
    solver.snapshot()
    solver.step(2)
    resumed = netspec.Solver(path)
    resumed.restore(tmp_path / "face_iter_3.solverstate")
    resumed.step(2)
    for layer in ("fc", "center", "margin"):
        for a, b in zip(solver.module.params[layer], resumed.module.params[layer], strict=True):
            assert torch.equal(a, b), layer


def test_a_resumed_run_begins_lambda_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = face_solver(tmp_path, monkeypatch)
    net = tmp_path / "net.prototxt"
    net.write_text(net.read_text().replace("gamma: 0", "gamma: 1"))
    solver = netspec.Solver(path)
    assert float(solver.step(1)["lambda"]) == 2.5
    solver.snapshot()
    resumed = netspec.Solver(path)
    resumed.restore(tmp_path / "face_iter_1.solverstate")
    assert float(resumed.step(1)["lambda"]) == 2.5


@pytest.mark.parametrize("norm", ["L1", "L2"])
@pytest.mark.parametrize("passes", [False, True])
def test_normalize(load_warned: Load, norm: str, passes: bool) -> None:
    fields = f'normalize_type: "{norm}" bp_norm: {str(passes).lower()} fix_gradient: true'
    text = nets.net_text(
        f'top: "y" top: "n" type: "Normalize" normalize_param {{ {fields} }}',
        force_backward=True,
        x=(2, 3, 4),
    )
    x = RNG(0).normal(size=(2, 3, 4))
    above, beside = RNG(1).normal(size=(2, 3, 4)), RNG(2).normal(size=(2, 1, 4))
    _, inputs, outputs = run(load_warned(text), x=x)
    assert outputs["y"].shape == (2, 3, 4, 1)
    size = np.abs(x).sum(1, keepdims=True) + 1e-6
    if norm == "L2":
        size = np.sqrt((x**2).sum(1, keepdims=True) + 1e-6)
    y = x / size
    total = sum(
        (outputs[name].reshape(value.shape) * torch.tensor(value)).sum()
        for name, value in (("y", above), ("n", beside))
    )
    total.backward()
    along = y if norm == "L2" else np.sign(x)
    slope = (above - along * (y * above).sum(1, keepdims=True)) / size
    slope = slope + beside * along if passes else slope
    np.testing.assert_allclose(outputs["y"].detach()[..., 0], y)
    np.testing.assert_allclose(outputs["n"].detach()[..., 0], size)
    np.testing.assert_allclose(grad(inputs["x"]), slope, rtol=1e-9, atol=1e-12)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@pytest.mark.parametrize(
    ("fields", "dialect"),
    [
        ("alpha: 0.5 gamma: 1.5", "ssd"),
        ("axis: 1", None),
        ("gamma: 3", "happynear"),
        ("type: ONEADDP gamma: 2.5", None),
        ("type: LINEAR alpha: 1.25 beta: 2", None),
    ],
)
@pytest.mark.parametrize("loss", ["ignore_label: 1", "ignore_label: 1 normalization: BATCH_SIZE"])
def test_focal_loss(load_warned: Load, fields: str, dialect: str | None, loss: str) -> None:
    text = nets.net_text(
        f'top: "y" type: "FocalLoss" focal_loss_param {{ {fields} }} loss_param {{ {loss} }}',
        force_backward=True,
        x=(2, 3, 5),
        label=(2, 5),
    )
    net = load_warned(text, dialect=dialect)
    x, labels = RNG(0).normal(size=(2, 3, 5)), RNG(1).integers(0, 3, (2, 5))
    module, inputs, outputs = run(net, x=x, label=labels * 1.0)
    module.loss(outputs).backward()
    is_ssd = net.layers[-1].spec_name == "FocalLoss (ssd)"
    words = fields.replace(":", "").split()
    given = dict(zip(words[::2], words[1::2], strict=True))
    alpha, gamma = float(given.get("alpha", 0.25 if is_ssd else 1)), float(given.get("gamma", 2))
    p = softmax(x, 1)
    total, count, slope = 0.0, 0, np.zeros_like(x)
    for n in range(2):
        for i in range(5):
            own = p[n, labels[n, i], i]
            if labels[n, i] == 1:
                continue
            count += 1
            sign = 1 if given.get("type") == "ONEADDP" else -1
            power = (1 - own) ** gamma if is_ssd else (alpha + sign * own) ** gamma
            weight = alpha if is_ssd else 1
            total -= weight * power * np.log(own)
            factor = sign * gamma * power / (1 + sign * own) * np.log(own) * own + power
            slope[n, :, i] = weight * factor * (p[n, :, i] - np.eye(3)[labels[n, i]])
    divisor = 2 if "BATCH" in loss else count
    np.testing.assert_allclose(float(outputs["y"].detach()), total / divisor)
    np.testing.assert_allclose(grad(inputs["x"]), slope / divisor, atol=1e-12)


def test_flip(load_warned: Load) -> None:
    x = RNG(0).normal(size=(2, 3, 4, 5))
    for fields, turned in {
        "": x[..., ::-1],
        "flip_height: true": x[:, :, ::-1, ::-1],
        "flip_width: false": x,
    }.items():
        text = nets.net_text(f'top: "y" type: "Flip" flip_param {{ {fields} }}', x=(2, 3, 4, 5))
        _, _, outputs = run(load_warned(text), x=x)
        assert np.array_equal(outputs["y"].detach(), turned), fields


@pytest.mark.parametrize(
    ("fields", "sizes"),
    [
        ("height: 7 width: 3", (7, 3)),
        ("height: 4 width: 11", (4, 11)),
        # 0.7 · 10 is 7 in 32 bits, below it in more
        ("is_pyramid_test: true out_height_scale: 2.3 out_width_scale: 0.7", (9, 7)),
    ],
)
def test_resize(load_warned: Load, fields: str, sizes: tuple[int, int]) -> None:
    text = nets.net_text(
        f'top: "y" type: "Resize" resize_param {{ {fields} }}', True, x=(2, 3, 4, 10)
    )
    net = load_warned(text)
    assert net.blobs["y"].shape == (2, 3, *sizes)
    x, above = RNG(0).normal(size=(2, 3, 4, 10)), RNG(1).normal(size=(2, 3, *sizes))
    _, inputs, outputs = run(net, x=x)
    outputs["y"].backward(torch.tensor(above))
    wanted, slope = np.zeros_like(above), np.zeros_like(x)
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            places = (
                np.float32(i) * np.float32(4 / sizes[0]),
                np.float32(j) * np.float32(10 / sizes[1]),
            )
            (r, c), (u, v) = np.floor(places).astype(int), np.mod(places, 1)
            for row, column, share in (
                (r, c, (1 - u) * (1 - v)),
                (r, c + 1, (1 - u) * v),
                (r + 1, c, u * (1 - v)),
                (r + 1, c + 1, u * v),
            ):
                if row < 4 and column < 10:
                    wanted[:, :, i, j] += share * x[:, :, row, column]
                    slope[:, :, row, column] += share * above[:, :, i, j]
    np.testing.assert_allclose(outputs["y"].detach(), wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(grad(inputs["x"]), slope, rtol=1e-5, atol=1e-5)


def test_resize_takes_other_sizes(load_warned: Load) -> None:
    text = nets.net_text(
        'top: "y" type: "Resize" '
        "resize_param { is_pyramid_test: true out_height_scale: 2 out_width_scale: 0.5 }",
        x=(1, 1, 4, 4),
    )
    assert netspec.compile(load_warned(text))(x=torch.rand(2, 1, 5, 8))["y"].shape == (2, 1, 10, 4)


X_AND_LABEL: Any = {"x": (4, 3), "label": (4,)}
MARGIN = 'type: "MarginInnerProduct" margin_inner_product_param'


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (f"{MARGIN} {{ }}", X_AND_LABEL, "'num_output' must be given and at least 1"),
        (f"{MARGIN} {{ num_output: 2 axis: 2 }}", X_AND_LABEL, "axis 2 is out of range"),
        (
            f"{MARGIN} {{ num_output: 2 }}",
            {"x": (4, 3), "label": (3,)},
            "'x' (4×3) has 4 items, 'label' (3) 3 labels",
        ),
        (
            'type: "CenterLoss" center_loss_param { distance_type: "L2" }',
            X_AND_LABEL,
            "'num_output' must be given and at least 1",
        ),
        (
            'type: "CenterLoss" center_loss_param { num_output: 2 distance_type: "L3" }',
            X_AND_LABEL,
            '\'distance_type\' must be "L1" or "L2", got "L3"',
        ),
        (
            'type: "CenterLoss" center_loss_param { num_output: 2 axis: 2 distance_type: "L2" }',
            {"x": (4, 3, 2), "label": (4,)},
            "'axis' 2 makes 12 items of a batch of 4",
        ),
        (
            'type: "Normalize" normalize_param { normalize_type: "max" }',
            {"x": (2, 3)},
            '\'normalize_type\' must be "L1" or "L2", got "max"',
        ),
        ('type: "Flip"', {"x": (1, 2, 3, 4, 5)}, "takes a blob of 1 to 4 axes, got 5"),
        ('type: "Resize"', {"x": (1, 2, 3, 4)}, "'height' must be given and above 0"),
        (
            'type: "Resize" resize_param { height: 0 width: 3 }',
            {"x": (1, 2, 3, 4)},
            "'height' must be given and above 0, got 0",
        ),
        (
            'type: "Resize" resize_param { height: 2 width: 3 }',
            {"x": (2, 3)},
            "takes a blob of 4 axes (N×C×H×W), got 2",
        ),
        (
            'type: "Resize" resize_param '
            "{ is_pyramid_test: true out_height_scale: 0.1 out_width_scale: 1 }",
            {"x": (1, 2, 3, 4)},
            "'out_height_scale' leaves nothing of 3×4",
        ),
        (
            'type: "FocalLoss" focal_loss_param { type: LINEAR alpha: 0 }',
            X_AND_LABEL,
            "'alpha' must be above 0, got 0",
        ),
        (
            'type: "FocalLoss" focal_loss_param { type: LINEAR gamma: -1 }',
            X_AND_LABEL,
            "'gamma' must be at least 0, got -1",
        ),
        (
            'type: "FocalLoss" focal_loss_param { axis: 2 }',
            X_AND_LABEL,
            "axis 2 is out of range for a blob of 2 axes",
        ),
    ],
)
def test_faults(load_warned: Load, layer: str, shapes: Any, message: str) -> None:
    text = nets.net_text(f'top: "top" {layer}', **shapes)
    with pytest.raises(netspec.NetspecError) as error:
        load_warned(text)
    fault = next(d for d in error.value.diagnostics if message in d.message)
    assert fault.span is not None
    assert fault.span.line == len(shapes) + 1


@pytest.mark.parametrize(
    "layer",
    [
        f"{MARGIN} {{ num_output: 2 }}",
        'type: "FocalLoss" focal_loss_param { type: LINEAR }',
        'type: "CenterLoss" center_loss_param { num_output: 2 distance_type: "L2" }',
    ],
)
def test_a_label_that_is_no_class(load_warned: Load, layer: str) -> None:
    text = nets.net_text(f'top: "top" {layer}', x=(4, 2), label=(4,))
    module = netspec.compile(load_warned(text))
    labels = torch.tensor([0.0, 1, 2, 0])
    with pytest.raises(netspec.NetspecError, match="item 2 of the batch has label 2") as error:
        module(x=torch.rand(4, 2), label=labels)
    assert error.value.diagnostics[0].span.line == 3


@pytest.mark.parametrize("layer", ['type: "FocalLoss"', CENTERS[9:] + "}"])
def test_what_may_mean_either_is_asked_for(load_warned: Load, layer: str) -> None:
    text = nets.net_text(f'top: "y" {layer}', x=(4, 3), label=(4,))
    net = load_warned(text, "has several rules")
    with pytest.raises(netspec.NetspecError, match="has several rules"):
        netspec.compile(net)
    names = {load_warned(text, dialect=d).layers[-1].spec_name for d in ("happynear",)}
    assert all(name.endswith("(happynear)") for name in names)


def test_hsmyys_center_loss_is_not_computed(load_warned: Load) -> None:
    text = nets.net_text(
        'top: "y" type: "CenterLoss" center_loss_param { cluster_num: 10 alpha: 0.5 }',
        x=(4, 3),
        label=(4,),
    )
    net = load_warned(text, "its rule is not known for certain")
    assert net.blobs["y"].shape == ()
    with pytest.raises(netspec.NetspecError, match="its rule is not known for certain"):
        netspec.compile(net)
