"""R-FCN's online hard example mining: losses of each region, and which regions learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from tests.nets import net_text

Load = Callable[..., Net]
THREE_TOPS = 'top: "y" top: "p" top: "each" loss_weight: 1 loss_weight: 0 loss_weight: 0'

RULES = [
    ('top: "y"', "", "SoftmaxWithLoss"),
    ('top: "y"', "rfcn", "SoftmaxWithLoss (rfcn)"),
    (THREE_TOPS, "", "SoftmaxWithLoss (rfcn)"),
    (
        'top: "y" loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 8 }',
        "",
        "SoftmaxWithLoss (rfcn)",
    ),
]


@pytest.mark.parametrize(("settings", "dialect", "rule"), RULES)
def test_which_softmax_loss_is_meant(
    load_text: Load, settings: str, dialect: str, rule: str
) -> None:
    text = net_text(f'type: "SoftmaxWithLoss" {settings}', x=(6, 4), t=(6,))
    assert load_text(text, dialect=dialect).layer("l").spec_name == rule


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "SoftmaxWithLossOHEM"])
@pytest.mark.parametrize(
    ("mode", "by"),
    [
        ("normalization: PRE_FIXED pre_fixed_normalizer: 3", 3),
        ("normalization: VALID", 9),
        ("normalization: FULL", 12),
        ("normalization: BATCH_SIZE", 2),
        ("normalization: NONE", 1),
    ],
)
def test_each_label_has_a_loss_and_ignored_ones_none(kind: str, mode: str, by: float) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(2, 4, 3, 2)).astype(np.float32)
    labels = random.integers(0, 3, (2, 1, 3, 2))
    labels[0, 0, :2, 1] = labels[1, 0, 0, 0] = 3  # class 3 does not count
    layer = f'type: "{kind}" {THREE_TOPS} loss_param {{ {mode} ignore_label: 3 }}'
    net = netspec.loads(net_text(layer, True, x=scores.shape, t=labels.shape))
    assert [blob.shape for blob in net.layer("l").top_blobs] == [(), scores.shape, labels.shape]
    module = netspec.compile(net)
    given = torch.from_numpy(scores).requires_grad_()
    outputs = module(x=given, t=torch.from_numpy(labels.astype(np.float32)))
    module.loss(outputs).backward()
    softmax = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    counted = labels != 3
    each = np.where(counted, -np.log(np.take_along_axis(softmax, labels, 1)), 0)
    np.testing.assert_allclose(outputs["p"].detach(), softmax, rtol=1e-4)
    np.testing.assert_allclose(outputs["each"].detach(), each, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(outputs["y"].item(), each.sum() / by, rtol=1e-4)
    gradient = (softmax - (np.arange(4)[:, None, None] == labels)) * counted / by
    np.testing.assert_allclose(given.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("places", [(), (1, 1), (3, 2)])
def test_the_hardest_regions_of_each_image_keep_their_labels(places: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    count = 20
    rois = random.normal(size=(count, 5, *places)).astype(np.float32)
    rois[:, 0] = random.integers(0, 3, (count, *places))
    loss = random.permutation(count * int(np.prod(places))).reshape(count, 1, *places)
    labels = random.integers(0, 4, loss.shape)
    weights = random.normal(size=(count, 8, *places)).astype(np.float32)
    given: dict[str, np.ndarray] = {"rois": rois, "loss": loss, "labels": labels, "w": weights}
    layer = (
        'type: "BoxAnnotatorOHEM" top: "l1" top: "w1" '
        "box_annotator_ohem_param { roi_per_img: 4 ignore_label: 255 }"
    )
    net = netspec.loads(net_text(layer, **{name: value.shape for name, value in given.items()}))
    outputs = netspec.compile(net)(
        **{name: torch.from_numpy(value.astype(np.float32)) for name, value in given.items()}
    )
    wanted, wanted_weights = np.full(labels.shape, 255), np.zeros_like(weights)
    left = {0: 4, 1: 4, 2: 4}
    for place in sorted(np.ndindex(loss.shape), key=lambda at: -loss[at]):
        image = int(rois[place])
        if left[image]:
            left[image] -= 1
            wanted[place] = labels[place]
            at = (place[0], slice(None), *place[2:])
            wanted_weights[at] = weights[at]
    np.testing.assert_array_equal(outputs["l1"], wanted)
    np.testing.assert_array_equal(outputs["w1"], wanted_weights)


def test_faults_of_the_annotator_are_reported_at_their_lines(load_text: Load) -> None:
    shapes = {"rois": (4, 5), "loss": (4, 1), "labels": (3, 1), "w": (4, 8)}
    layer = 'type: "BoxAnnotatorOHEM" top: "a" top: "b"\nbox_annotator_ohem_param {{ {} }}'
    with pytest.raises(NetspecError, match="'roi_per_img' must be at least 1") as caught:
        load_text(net_text(layer.format("ignore_label: 0"), **shapes))
    assert caught.value.diagnostics[0].span.line == 6
    with pytest.raises(
        NetspecError, match="'labels' must hold one value for each of the 4 regions, got 3×1"
    ):
        load_text(net_text(layer.format("roi_per_img: 2"), **shapes))
