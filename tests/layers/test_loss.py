"""The losses and accuracy: values and gradients as the original's loops give them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.pytorch.layers.loss import (
    HingeLoss,
    InfogainLoss,
    MultinomialLogisticLoss,
    SoftmaxWithLoss,
)
from netspec.pytorch.layers.regression_loss import (
    ContrastiveLoss,
    EuclideanLoss,
    SigmoidCrossEntropyLoss,
)
from netspec.schema.caffe_pb2 import BlobProto, LossParameter
from tests.nets import net_text

Load = Callable[..., Net]
FULL, VALID, BATCH_SIZE, NONE = (
    LossParameter.FULL,
    LossParameter.VALID,
    LossParameter.BATCH_SIZE,
    LossParameter.NONE,
)
# torch.compile does it itself
DYNAMO = "ignore:.*Function'> should not be instantiated:DeprecationWarning"


def double(*arrays: np.ndarray) -> list[Tensor]:
    return [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arrays]


def divisor(mode: int, outer: int, inner: int, count: int) -> float:
    return max(1.0, {FULL: outer * inner, VALID: count, BATCH_SIZE: outer, NONE: 1}[mode])


def infogain(
    scores: np.ndarray,
    labels: np.ndarray,
    matrix: np.ndarray,
    axis: int,
    mode: int,
    ignore: int | None,
    floor: float = 1e-20,
) -> tuple[float, np.ndarray]:
    """The original's loops over outer and inner places.

    With the identity as matrix those of SoftmaxWithLoss.
    """
    classes = scores.shape[axis]
    outer, inner = math.prod(scores.shape[:axis]), math.prod(scores.shape[axis + 1 :])
    x = scores.reshape(outer, classes, inner)
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss, count, diff = 0.0, 0, np.zeros_like(x)
    for i in range(outer):
        for j in range(inner):
            label = int(labels.reshape(-1)[i * inner + j])
            if label == ignore:
                continue
            loss -= (matrix[label] * np.log(np.maximum(p[i, :, j], floor))).sum()
            diff[i, :, j] = p[i, :, j] * matrix[label].sum() - matrix[label]
            count += 1
    by = divisor(mode, outer, inner, count)
    return loss / by, diff.reshape(scores.shape) / by


@pytest.mark.parametrize("mode", [FULL, VALID, BATCH_SIZE, NONE])
@pytest.mark.parametrize("ignore", [None, 1, -1])
@pytest.mark.parametrize(
    ("shape", "axis"), [((4, 3), 1), ((2, 3, 2, 2), 1), ((2, 2, 3), 2), ((3, 4), 0), ((1, 3), 1)]
)
def test_class_losses_at_every_normalization(
    shape: tuple[int, ...], axis: int, ignore: int | None, mode: int
) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=shape) * 20  # some beyond the floor of 1e-20
    places = shape[:axis] + shape[axis + 1 :]
    labels = rng.integers(-1 if ignore == -1 else 0, 3, places) + rng.uniform(0, 0.9, places) * (
        ignore != -1
    )
    matrix = rng.normal(size=(3, 3))
    for module, h, floor in (
        (InfogainLoss(axis, ignore, mode, False, torch.tensor(matrix), "l", None), matrix, 1e-20),
        (
            SoftmaxWithLoss(axis, ignore, mode, False, "l", None),
            np.eye(3),
            float(np.finfo(np.float32).tiny),
        ),
    ):
        (x,) = double(scores)
        loss = module(x, torch.tensor(labels))
        loss.backward()
        value, diff = infogain(scores, labels, h, axis, mode, ignore, floor)
        assert loss.item() == pytest.approx(value, rel=1e-6)
        np.testing.assert_allclose(x.grad.numpy(), diff, atol=1e-9)


def test_scores_of_minus_infinity_cost_the_floor() -> None:
    x = torch.tensor([[-math.inf, 0.0], [0.0, -math.inf]], requires_grad=True)
    loss = SoftmaxWithLoss(1, None, VALID, False, "l", None)(x, torch.tensor([0.0, 0.0]))
    loss.backward()
    assert loss.item() == pytest.approx(87.3365 / 2, rel=1e-5)
    assert x.grad.tolist() == [[-0.5, 0.5], [0.0, 0.0]]


def test_all_labels_ignored_cost_nothing() -> None:
    x = torch.randn(2, 3, requires_grad=True)
    loss = SoftmaxWithLoss(1, 2, VALID, False, "l", None)(x, torch.tensor([2.0, 2.0]))
    loss.backward()
    assert str(loss.item()) == "0.0"
    assert not x.grad.any()


def test_a_certain_prediction_costs_0_and_not_minus_0() -> None:
    loss = SoftmaxWithLoss(1, None, VALID, False, "l", None)(
        torch.tensor([[100.0, -100.0]]), torch.tensor([0.0])
    )
    assert str(loss.item()) == "0.0"
    assert (
        str(
            MultinomialLogisticLoss("l", None)(
                torch.tensor([[1.0, 0.0]]), torch.tensor([0.0])
            ).item()
        )
        == "0.0"
    )


def test_probabilities_as_a_second_top_pass_no_gradient_back(load_text: Load) -> None:
    layer = 'type: "InfogainLoss" top: "loss" top: "p" loss_weight: 1 loss_weight: 1'
    module = netspec.compile(load_text(net_text(layer, x=(2, 3), t=(2,), h=(3, 3))))
    x, t, h = torch.randn(2, 3, requires_grad=True), torch.tensor([0.0, 2.0]), torch.eye(3)
    out = module(x=x, t=t, h=h)
    torch.testing.assert_close(out["p"], x.detach().softmax(1))
    module.loss(out).backward()
    torch.testing.assert_close(x.grad, (x.detach().softmax(1) - torch.eye(3)[[0, 2]]) / 2)


def write_matrix(path: Path, matrix: np.ndarray) -> None:
    blob = BlobProto(
        num=1, channels=1, height=matrix.shape[0], width=matrix.shape[1], data=matrix.reshape(-1)
    )
    path.write_bytes(blob.SerializeToString())


SOURCE = 'type: "InfogainLoss" infogain_loss_param { source: "h.binaryproto" axis: -1 }'


def test_infogain_matrix_from_a_file_beside_the_net(load_text: Load, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    write_matrix(tmp_path / "h.binaryproto", matrix)
    module = netspec.compile(load_text(net_text(SOURCE, x=(2, 3), t=(2,))))
    x, t = torch.randn(2, 3), torch.tensor([1.0, 0.0])
    value, _ = infogain(x.numpy(), t.numpy(), matrix, 1, VALID, None)
    assert module.loss(module(x=x, t=t)).item() == pytest.approx(value, rel=1e-5)
    assert module.params == {}
    assert list(module.state_dict()) == []


def test_infogain_matrix_that_is_missing_or_of_another_size(
    load_text: Load, tmp_path: Path
) -> None:
    net = load_text(net_text(SOURCE, x=(2, 3), t=(2,)))
    with pytest.raises(
        NetspecError, match=r"layer 'l': file 'h.binaryproto' does not exist"
    ) as raised:
        netspec.compile(net)
    assert raised.value.diagnostics[0].span.line == 3
    write_matrix(tmp_path / "h.binaryproto", np.eye(2))
    with pytest.raises(
        NetspecError, match=r"the matrix in 'h.binaryproto' is 1×1×2×2, but must be 3×3"
    ):
        netspec.compile(net)
    (tmp_path / "h.binaryproto").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(
        NetspecError, match=r"layer 'l': '.*h.binaryproto' is not a .binaryproto file"
    ):
        netspec.compile(net)


def test_multinomial_logistic_loss_and_its_floor() -> None:
    (p,) = double(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]))
    loss = MultinomialLogisticLoss("l", None)(p, torch.tensor([[1.0], [2.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(-(math.log(0.25) + math.log(1e-20)) / 2)
    np.testing.assert_allclose(p.grad.numpy(), [[0, -2, 0], [0, 0, -0.5e20]])


@pytest.mark.parametrize("squared", [False, True])
def test_hinge_loss(squared: bool) -> None:
    scores = np.array([[0.5, -2.0, 1.0, -1.0], [3.0, 0.25, -0.5, 2.0]])
    labels = np.array([2, 0])
    signs = np.ones_like(scores)
    signs[[0, 1], labels] = -1
    margins = np.maximum(0, 1 + signs * scores)
    (x,) = double(scores.reshape(2, 2, 2))
    loss = HingeLoss(squared, "l", None)(x, torch.tensor(labels.astype(np.float64)))
    loss.backward()
    assert loss.item() == pytest.approx((margins**2 if squared else margins).sum() / 2)
    slope = margins * 2 if squared else np.sign(margins)  # 0 where the margin is just kept
    np.testing.assert_allclose(x.grad.numpy(), (signs * slope / 2).reshape(2, 2, 2))


@pytest.mark.parametrize(
    ("field", "mode"),
    [
        ("", BATCH_SIZE),
        ("normalize: true", VALID),
        ("normalize: false", BATCH_SIZE),
        ("normalize: false normalization: VALID", VALID),
        ("normalization: FULL", FULL),
        ("normalization: NONE", NONE),
    ],
)
@pytest.mark.parametrize("ignore", [None, 1, 0, -1])
def test_sigmoid_cross_entropy_loss(
    load_text: Load, field: str, mode: int, ignore: int | None
) -> None:
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(2, 3, 2)) * 5, rng.uniform(-1.9, 1.9, (2, 6))
    param = f"{'' if ignore is None else f'ignore_label: {ignore} '}{field}"
    layer = f'type: "SigmoidCrossEntropyLoss" top: "loss" loss_param {{ {param} }}'
    module = netspec.compile(load_text(net_text(layer, x=(2, 3, 2), t=(2, 6)))).double()
    x, t = double(scores, targets)
    loss = module(x=x, t=t)["loss"]
    loss.backward()
    s, y = scores.reshape(-1), targets.reshape(-1)
    counts = np.trunc(y) != (math.inf if ignore is None else ignore)
    terms = np.maximum(s, 0) - s * y + np.log1p(np.exp(-np.abs(s)))
    by = divisor(mode, 2, 6, counts.sum())
    assert loss.item() == pytest.approx(terms[counts].sum() / by)
    np.testing.assert_allclose(
        x.grad.numpy().reshape(-1), (1 / (1 + np.exp(-s)) - y) * counts / by, atol=1e-12
    )
    assert t.grad is None  # Caffe sends no gradient to labels


def test_euclidean_loss_over_items_not_values() -> None:
    a, b = double(*np.random.default_rng(0).normal(size=(2, 3, 4)))
    loss = EuclideanLoss()(a.reshape(3, 2, 2), b)
    loss.backward()
    assert loss.item() == pytest.approx(((a - b) ** 2).sum().item() / 6)
    torch.testing.assert_close(a.grad, (a - b).detach() / 3)
    torch.testing.assert_close(b.grad, (b - a).detach() / 3)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("margin", [1.0, 3.0])
def test_contrastive_loss(legacy: bool, margin: float) -> None:
    rng = np.random.default_rng(0)
    left, right, similar = (
        rng.normal(size=(6, 2)),
        rng.normal(size=(6, 2)),
        np.array([1, 0, 0, 0.7, -2.5, 0]),
    )
    left[1] = right[1]  # no distance: no direction to push to
    loss, diff = 0.0, np.zeros((6, 2))
    for n in range(6):
        d = left[n] - right[n]
        distance = math.sqrt(d @ d)
        rest = margin - (d @ d if legacy else distance)
        if int(similar[n]):
            loss, diff[n] = loss + d @ d, d
        else:
            loss += max(rest, 0) if legacy else max(rest, 0) ** 2
            diff[n] = 0 if rest <= 0 else -d if legacy else -rest / (distance + 1e-4) * d
    a, b = double(left, right.reshape(6, 2, 1, 1))
    got = ContrastiveLoss(margin, legacy)(a, b, torch.tensor(similar).reshape(6, 1))
    got.backward()
    assert got.item() == pytest.approx(loss / 12)
    np.testing.assert_allclose(a.grad.numpy(), diff / 6, atol=1e-12)
    np.testing.assert_allclose(b.grad.numpy(), -diff.reshape(6, 2, 1, 1) / 6, atol=1e-12)


LABELS = torch.tensor([0.0, 2.0, 1.0, 1.0])
LOSSES = {
    "SoftmaxWithLoss": (SoftmaxWithLoss(1, 1, VALID, False, "l", None), 1, LABELS),
    "InfogainLoss": (
        InfogainLoss(1, None, VALID, False, torch.arange(9.0).reshape(3, 3), "l", None),
        1,
        LABELS,
    ),
    "MultinomialLogisticLoss": (MultinomialLogisticLoss("l", None), 1, LABELS),
    "HingeLoss": (HingeLoss(True, "l", None), 1, LABELS),
    "SigmoidCrossEntropyLoss": (SigmoidCrossEntropyLoss(None, VALID), 1, torch.rand(4, 3)),
    "EuclideanLoss": (EuclideanLoss(), 2, None),
    "ContrastiveLoss": (ContrastiveLoss(2.0, True), 2, LABELS > 0),
}


def bottoms(name: str, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    _, count, labels = LOSSES[name]
    made = [torch.rand(4, 3, dtype=dtype).add_(0.1).requires_grad_() for _ in range(count)]
    return made if labels is None else [*made, labels]


@pytest.mark.parametrize("name", LOSSES)
def test_gradcheck(name: str) -> None:
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(LOSSES[name][0], bottoms(name))


@pytest.mark.filterwarnings(DYNAMO)
@pytest.mark.parametrize("name", LOSSES)
def test_compiles_in_one_graph(name: str) -> None:
    torch.manual_seed(0)
    module, values = LOSSES[name][0], bottoms(name, torch.float32)
    eager, compiled = (
        module(*values),
        torch.compile(module, fullgraph=True, backend="aot_eager")(*values),
    )
    torch.testing.assert_close(compiled, eager)
    torch.testing.assert_close(
        torch.autograd.grad(compiled, values[0]), torch.autograd.grad(eager, values[0])
    )


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_and_single_items(name: str) -> None:
    torch.manual_seed(0)
    module, values = LOSSES[name][0], bottoms(name, torch.float32)
    halves = [v.detach().bfloat16().requires_grad_() if v.requires_grad else v for v in values]
    torch.testing.assert_close(
        module(*halves), module(*[v.float() for v in halves]), rtol=1e-6, atol=1e-6
    )
    module(*halves).backward()
    assert halves[0].grad.dtype == torch.bfloat16
    assert module(*[v[:1] for v in values]).isfinite()


@pytest.mark.parametrize(
    "name",
    [
        "SoftmaxWithLoss",
        "InfogainLoss",
        "MultinomialLogisticLoss",
        "HingeLoss",
        "SigmoidCrossEntropyLoss",
    ],
)
def test_empty_batches_cost_nothing(name: str) -> None:
    assert LOSSES[name][0](*[v[:0] for v in bottoms(name)]).item() == 0


def test_accuracy_counts_in_32_bits(load_text: Load) -> None:
    layer = 'type: "Accuracy" top: "a" top: "per" accuracy_param { axis: -1 ignore_label: 2 }'
    module = netspec.compile(load_text(net_text(layer, x=(600, 4), t=(600,))))
    x, t = torch.zeros(600, 4, dtype=torch.bfloat16), torch.zeros(600)
    x[:400, 0], t[500:550], t[550:] = 1, 2, 3  # the last 200 are ties, which count as wrong
    out = module(x=x, t=t)
    assert out["a"].item() == pytest.approx(400 / 550)
    assert out["per"].tolist() == pytest.approx([400 / 500, 0, 0, 0])


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "MultinomialLogisticLoss", "HingeLoss"])
def test_label_out_of_range_names_layer_label_and_item(load_text: Load, kind: str) -> None:
    module = netspec.compile(load_text(net_text(f'type: "{kind}"', x=(3, 4), t=(3,))))
    with pytest.raises(
        NetspecError, match="layer 'l': item 1 of the batch has label 4, but there are 4 classes"
    ):
        module(x=torch.rand(3, 4), t=torch.tensor([0.0, 4.0, -1.0]))


@pytest.mark.parametrize("label", [-100.0, 255.0, float("nan")])  # torch itself ignores -100
@pytest.mark.parametrize("settings", ["", "loss_param { ignore_label: 254 }"])
@pytest.mark.parametrize("size", [(), (2, 5)])
def test_no_class_is_ignored_unasked(
    label: float, settings: str, size: tuple[int, ...], load_text: Load
) -> None:
    layer = f'type: "SoftmaxWithLoss" {settings}'
    module = netspec.compile(load_text(net_text(layer, x=(3, 4, *size), t=(3, *size))))
    t = torch.zeros(3, *size)
    t[0], t[2] = 254 if settings else 0, label
    with pytest.raises(NetspecError, match="item 2 of the batch has label "):
        module(x=torch.rand(3, 4, *size), t=t)
