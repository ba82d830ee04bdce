"""SegNet's weighted loss, SegAccuracy, and nets like SegNet and PSPNet that train."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from tests.nets import Shape, input_text, net_text

Load = Callable[..., Net]
rng = np.random.default_rng(11)
WEIGHTS = (0.5, 2.0, 3.0)


def loss_text(fields: str, shape: Shape = (2, 3, 2, 2)) -> str:
    layer = f'type: "SoftmaxWithLoss" top: "y" loss_param {{ {fields} }}'
    return net_text(layer, True, x=shape, label=(shape[0], 1, *shape[2:]))


def weighting(*weights: float) -> str:
    given = " ".join(f"class_weighting: {weight}" for weight in weights)
    return f"weight_by_label_freqs: true {given}"


def case() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.from_numpy(rng.standard_normal((2, 3, 2, 2)).astype(np.float32))
    return x.requires_grad_(), torch.tensor([0.0, 1, 2, 2, 1, 1, 0, 2]).view(2, 1, 2, 2)


def terms(x: torch.Tensor, label: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """-log p at each label, and its gradient: p less 1 at the label."""
    scores = x.detach().numpy().transpose(0, 2, 3, 1).reshape(-1, 3)
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    index = label.numpy().reshape(-1).astype(int)
    return -np.log(p[np.arange(8), index]), p - np.eye(3)[index]


@pytest.mark.parametrize(
    ("fields", "weights", "ignored", "divisor"),
    [
        (weighting(*WEIGHTS), WEIGHTS, None, 8),
        (f"{weighting(*WEIGHTS)} ignore_label: 1", WEIGHTS, 1, 5),
        (f"{weighting(*WEIGHTS)} ignore_label: 1 normalize: false", WEIGHTS, 1, 2),
        ("class_weighting: 9 class_weighting: 9", (1, 1, 1), None, 8),
        ("weight_by_label_freqs: false class_weighting: 9 normalize: false", (1, 1, 1), None, 2),
    ],
)
def test_segnets_weights(
    fields: str, weights: tuple[float, ...], ignored: int | None, divisor: int, load_text: Load
) -> None:
    module = netspec.compile(load_text(loss_text(fields)))
    x, label = case()
    losses, slopes = terms(x, label)
    index = label.numpy().reshape(-1).astype(int)
    part = np.array(weights)[index] * (index != ignored)
    y = module(x, label)["y"]
    assert y.item() == pytest.approx((part * losses).sum() / divisor, rel=1e-5)
    (3 * y).backward()
    wanted = (3 * part[:, None] * slopes / divisor).reshape(2, 2, 2, 3).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(x.grad.numpy(), wanted, atol=1e-6)


def test_without_a_label_that_counts_segnets_loss_is_not_a_number(load_text: Load) -> None:
    module = netspec.compile(load_text(loss_text(f"{weighting(*WEIGHTS)} ignore_label: 1")))
    assert isnan(module(case()[0], torch.ones(2, 1, 2, 2))["y"].item())
    plain = netspec.compile(load_text(loss_text("ignore_label: 1")))
    assert plain(case()[0], torch.ones(2, 1, 2, 2))["y"].item() == 0


def test_an_ignored_label_that_is_no_class_has_no_weight(load_text: Load) -> None:
    module = netspec.compile(load_text(loss_text(f"{weighting(*WEIGHTS)} ignore_label: 255")))
    x, label = case()
    losses, _ = terms(x, label)
    part = np.array(WEIGHTS)[label.numpy().reshape(-1).astype(int)]
    label[0, 0, 0, 1] = 255
    part[1] = 0
    assert module(x, label)["y"].item() == pytest.approx((part * losses).sum() / 7, rel=1e-5)


@pytest.mark.parametrize(
    ("fields", "dialect", "rule"),
    [
        ("", None, "SoftmaxWithLoss"),
        ("", "segnet", "SoftmaxWithLoss (segnet)"),
        ("", "pspnet", "SoftmaxWithLoss"),
        (weighting(*WEIGHTS), "ssd", "SoftmaxWithLoss (segnet)"),
    ],
)
def test_which_loss_is_meant(fields: str, dialect: str | None, rule: str, load_text: Load) -> None:
    assert load_text(loss_text(fields), dialect=dialect).layers[-1].spec_name == rule


@pytest.mark.parametrize("fields", [weighting(1, 2), "weight_by_label_freqs: true"])
def test_each_class_takes_a_weight(fields: str, load_text: Load) -> None:
    with pytest.raises(
        NetspecError, match="3 classes take as many 'class_weighting', got"
    ) as caught:
        load_text(loss_text(fields))
    assert caught.value.diagnostics[0].span.line == 4


def test_normalization_is_not_segnets_word(load_text: Load) -> None:
    report = Report()
    load_text(loss_text(f"{weighting(*WEIGHTS)} normalization: FULL"), report=report)
    assert "'normalization' has no effect in SegNet's rule" in report.diagnostics[0].message


def accuracy_text(fields: str, shape: Shape = (2, 3, 2, 2)) -> str:
    layer = f'type: "SegAccuracy" top: "y" seg_accuracy_param {{ {fields} }}'
    return net_text(layer, x=shape, label=(shape[0], 1, *shape[2:]))


def by_classes(confusion: np.ndarray) -> list[float]:
    rows, columns, right = confusion.sum(1), confusion.sum(0), confusion.diagonal()
    recalls = [right[i] / rows[i] for i in range(len(rows)) if rows[i]]
    unions = rows + columns - right
    ious = [right[i] / unions[i] if unions[i] else 1 for i in range(len(rows))]
    return [
        right.sum() / confusion.sum() if confusion.sum() else 0,
        sum(recalls) / len(recalls) if recalls else 0,
        sum(ious) / len(ious),
    ]


def confusion(x: np.ndarray, label: np.ndarray, ignored: tuple[int, ...]) -> np.ndarray:
    counts = np.zeros((x.shape[1], x.shape[1]))
    for actual, found in zip(label.reshape(-1).astype(int), x.argmax(1).reshape(-1), strict=True):
        if actual not in ignored:
            counts[actual, found] += 1
    return counts


@pytest.mark.parametrize("ignored", [(), (2,), (1, 255), (0, 1, 2, 255)])
def test_the_measures_of_a_segmentation(ignored: tuple[int, ...], load_text: Load) -> None:
    fields = " ".join(f"ignore_label: {label}" for label in ignored)
    module = netspec.compile(load_text(accuracy_text(fields, (3, 3, 4, 5))))
    x = rng.standard_normal((3, 3, 4, 5)).astype(np.float32)
    label = rng.integers(0, 3, (3, 1, 4, 5)).astype(np.float32)
    if 255 in ignored:
        label[0, 0, 0] = 255
    y = module(torch.from_numpy(x), torch.from_numpy(label))["y"]
    assert y.shape == (1, 1, 1, 3)
    assert y.flatten().tolist() == pytest.approx(by_classes(confusion(x, label, ignored)))


def test_counts_go_on_without_a_reset(load_text: Load) -> None:
    module = netspec.compile(load_text(accuracy_text("reset: false")))
    total = np.zeros((3, 3))
    for _ in range(3):
        x = rng.standard_normal((2, 3, 2, 2)).astype(np.float32)
        label = rng.integers(0, 3, (2, 1, 2, 2)).astype(np.float32)
        total += confusion(x, label, ())
        y = module(torch.from_numpy(x), torch.from_numpy(label))["y"]
        assert y.flatten().tolist() == pytest.approx(by_classes(total))


def test_one_channel_is_two_classes(load_text: Load) -> None:
    module = netspec.compile(load_text(accuracy_text("", (1, 1, 2, 2))))
    y = module(torch.tensor([0.4, 0.5, 0.6, 0.9]).view(1, 1, 2, 2), torch.tensor([0.0, 1, 1, 1]))
    assert y["y"].flatten().tolist() == pytest.approx([3 / 4, (1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2])


def test_faults_of_seg_accuracy(load_text: Load) -> None:
    text = net_text('type: "SegAccuracy" top: "y"', x=(2, 3, 4, 4), label=(2, 1, 3, 4))
    with pytest.raises(NetspecError, match="must be scores N×C×H×W and labels N×1×H×W"):
        load_text(text)
    module = netspec.compile(load_text(accuracy_text("")))
    with pytest.raises(NetspecError, match="has label 7, but there are 3 classes"):
        module(torch.ones(2, 3, 2, 2), torch.full((2, 1, 2, 2), 7.0))


CONVOLUTION = (
    'convolution_param { num_output: %d kernel_size: 3 pad: 1 weight_filler { type: "msra" } }'
)
SEGNET = "\n".join(
    [
        input_text("data", (2, 3, 10, 12)),
        input_text("label", (2, 1, 10, 12)),
        f'layer {{ name: "c1" type: "Convolution" bottom: "data" top: "c1" {CONVOLUTION % 4} }}',
        'layer { name: "b1" type: "BN" bottom: "c1" top: "c1" bn_param { scale_filler '
        '{ type: "constant" value: 1 } shift_filler { type: "constant" value: 0.001 } } }',
        'layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }',
        'layer { name: "p1" type: "Pooling" bottom: "c1" top: "p1" top: "m1" '
        "pooling_param { kernel_size: 2 stride: 2 } }",
        'layer { name: "u1" type: "Upsample" bottom: "p1" bottom: "m1" top: "u1" '
        "upsample_param { scale: 2 upsample_h: 10 upsample_w: 12 } }",
        f'layer {{ name: "c2" type: "Convolution" bottom: "u1" top: "c2" {CONVOLUTION % 3} }}',
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c2" bottom: "label" top: "loss" '
        f"loss_param {{ ignore_label: 255 {weighting(*WEIGHTS)} }} }}",
    ]
)
PSPNET = "\n".join(
    [
        input_text("data", (2, 3, 9, 9)),
        input_text("label", (2, 1, 9, 9)),
        f'layer {{ name: "c1" type: "Convolution" bottom: "data" top: "c1" {CONVOLUTION % 4} }}',
        'layer { name: "b1" type: "BN" bottom: "c1" top: "b1" bn_param { slope_filler '
        '{ type: "constant" value: 1 } bias_filler { type: "constant" value: 0 } } }',
        'layer { name: "p1" type: "Pooling" bottom: "b1" top: "p1" '
        "pooling_param { pool: AVE kernel_size: 5 stride: 4 } }",
        'layer { name: "i1" type: "Interp" bottom: "p1" top: "i1" '
        "interp_param { height: 9 width: 9 } }",
        'layer { name: "cat" type: "Concat" bottom: "b1" bottom: "i1" top: "cat" }',
        f'layer {{ name: "c2" type: "Convolution" bottom: "cat" top: "c2" {CONVOLUTION % 3} }}',
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c2" bottom: "label" top: "loss" }',
        'layer { name: "acc" type: "SegAccuracy" bottom: "c2" bottom: "label" top: "acc" }',
    ]
)


@pytest.mark.parametrize("text", [SEGNET, PSPNET], ids=["segnet", "pspnet"])
def test_a_small_net_learns(text: str, load_text: Load) -> None:
    net = load_text(text, phase="TRAIN")
    module = netspec.compile(net, seed=4)
    shape = net.blobs["data"].shape or ()
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(shape, generator=generator)
    label = torch.randint(0, 3, (2, 1, *shape[2:]), generator=generator).float()
    learned = [p for p in module.parameters() if p.requires_grad]
    assert len(learned) == 6, "weights and biases of two convolutions and of the BN"
    optimizer = torch.optim.SGD(learned, lr=0.05)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = module.loss(module(data, label))
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in learned)
        optimizer.step()
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]
