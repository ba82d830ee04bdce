"""YOLO's layers against rules written in plain loops, and what is wrong in them at its line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from tests.nets import net_text

BIASES = (1.08, 1.19, 3.42, 4.41, 2.63, 1.38, 1.94, 0.48, 0.62, 0.52)
BIASES_TEXT = " ".join(f"biases: {bias}" for bias in BIASES)
V3_BIASES = (10, 14, 23, 27, 37, 58, 81, 82)


def faults(load_text, text: str) -> str:
    with pytest.raises(NetspecError) as caught:
        load_text(text)
    return "\n".join(str(d) for d in caught.value.diagnostics)


def warnings(load_text, text: str, **options: object) -> str:
    report = Report()
    load_text(text, report=report, **options)
    return "\n".join(str(d) for d in report.diagnostics)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def iou(a, b) -> float:
    """Of boxes by centre and size."""
    sides = [
        min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2)
        - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2)
        for i in (0, 1)
    ]
    common = 0.0 if min(sides) < 0 else sides[0] * sides[1]
    return common / (a[2] * a[3] + b[2] * b[3] - common)


# Reorg


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [(2, 8, 4, 6), (3, 18, 3, 9)])
def test_reorg_moves_values_in_darknets_order(load_text, shape, reverse):
    stride = 2 if shape[1] == 8 else 3
    declared = (1, *shape[1:])
    settings = f"stride: {stride} reverse: {str(reverse).lower()}"
    text = net_text(f'type: "Reorg" top: "y" reorg_param {{ {settings} }}', x=declared)
    module = netspec.compile(load_text(text))
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    n, c, h, w = shape
    outer, flat, wanted = c // stride**2, x.ravel(), np.zeros(x.size, np.float32)
    for b, k, j, i in np.ndindex(n, c, h, w):
        here = i + w * (j + h * (k + c * b))
        part = k // outer
        column, line = i * stride + part % stride, j * stride + part // stride
        there = column + w * stride * (line + h * stride * (k % outer + outer * b))
        if reverse:
            wanted[there] = flat[here]
        else:
            wanted[here] = flat[there]
    got = module(torch.from_numpy(x))["y"]
    assert got.shape[1] == (c // stride**2 if reverse else c * stride**2)
    np.testing.assert_array_equal(got.numpy().ravel(), wanted)


def test_reorg_sends_a_gradient_of_0_as_the_fork_does_and_says_so(load_text):
    text = net_text('type: "Reorg" top: "y" reorg_param { stride: 2 }', x=(1, 4, 2, 2))
    x = torch.rand(1, 4, 2, 2, requires_grad=True)
    module = netspec.compile(load_text("force_backward: true\n" + text, phase="TRAIN"))
    module(x)["y"].sum().backward()
    assert x.grad is not None
    assert not x.grad.any()
    assert "Reorg's gradient is 0, as in its fork" in warnings(load_text, text, phase="TRAIN")
    assert not warnings(load_text, text)


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((1, 4, 2, 2), "", "'stride' must be given"),
        ((1, 6, 4, 4), "stride: 2", "4, does not divide the 6 channels of 'x'"),
        ((1, 4, 4, 5), "stride: 2", "'stride' 2 does not divide the 4×5 pixels of 'x'"),
        ((1, 4, 4), "stride: 2", "'x' must be N×C×H×W, got 1×4×4"),
    ],
)
def test_a_reorg_that_does_not_fit(load_text, shape, settings, message):
    text = net_text(f'type: "Reorg" top: "y" reorg_param {{ {settings} }}', x=shape)
    assert message in faults(load_text, text)


# The outputs


def suppressed(found, threshold):
    """Rows of the best boxes first; found holds (score, class, box) in the fork's order."""
    left, kept = sorted(found, key=lambda row: -row[0]), []
    while left:
        first = left.pop(0)
        kept.append(first)
        left = [row for row in left if not iou(first[2], row[2]) >= threshold]
    rows = [
        [0, c + 1, score, x - w / 2, y - h / 2, x + w / 2, y + h / 2]
        for score, c, (x, y, w, h) in kept
    ]
    return np.array(rows)


def test_yolo_detection_output_is_the_forks(load_text):
    layer = (
        'type: "YoloDetectionOutput" top: "y" yolo_detection_output_param { num_classes: 3 '
        f"num_box: 2 confidence_threshold: 0.35 nms_threshold: 0.3 {BIASES_TEXT} }}"
    )
    module = netspec.compile(load_text(net_text(layer, a=(1, 16, 4, 4), b=(1, 16, 2, 2))))
    rng, found = np.random.default_rng(3), []
    maps = [rng.normal(size=(2, 16, s, s)).astype(np.float32) * 2 for s in (5, 3)]
    for x in maps:
        side = x.shape[3]
        for b, j, i, a in np.ndindex(2, side, side, 2):
            t = x.reshape(2, 2, 8, side, side)[b, a, :, j, i].astype(np.float64)
            p = np.exp(t[5:]) / np.exp(t[5:]).sum()
            score = sigmoid(t[4]) * p.max()
            if score >= 0.35:
                size = np.exp(t[2:4]) * BIASES[2 * a : 2 * a + 2] / side
                box = ((i + sigmoid(t[0])) / side, (j + sigmoid(t[1])) / side, *size)
                found.append((score, p.argmax(), box))
    wanted = suppressed(found, 0.3)
    got = module(*map(torch.from_numpy, maps))["y"].numpy()
    assert 3 < len(wanted) < len(found)
    np.testing.assert_allclose(got, wanted[None, None], rtol=1e-4, atol=1e-5)


def v3_layer(settings: str = "num_classes: 2") -> str:
    biases = " ".join(f"biases: {bias}" for bias in V3_BIASES)
    return (
        f'type: "Yolov3DetectionOutput" top: "y" yolov3_detection_output_param {{ {settings} '
        f"num_box: 2 confidence_threshold: 0.45 nms_threshold: 0.35 {biases} mask: 2 mask: 3 "
        "mask: 0 mask: 1 anchors_scale: 32 anchors_scale: 16 }"
    )


def test_yolov3_detection_output_is_the_forks(load_text):
    text = net_text(v3_layer(), a=(1, 14, 2, 3), b=(1, 14, 4, 6))
    module = netspec.compile(load_text(text))
    rng, found = np.random.default_rng(4), []
    maps = [rng.normal(size=(1, 14, s, s + 1)).astype(np.float32) * 2 for s in (2, 5)]
    for k, x in enumerate(maps):
        h, w = x.shape[2:]
        scale, masked = (32, 16)[k], ((2, 3), (0, 1))[k]
        for j, i, a, c in np.ndindex(h, w, 2, 2):
            t = x.reshape(2, 7, h, w)[a, :, j, i].astype(np.float64)
            score = sigmoid(t[4]) * sigmoid(t[5 + c])
            if score > 0.45:
                bias = V3_BIASES[2 * masked[a] : 2 * masked[a] + 2]
                size = np.exp(t[2:4]) * bias / np.array([w * scale, h * scale])
                found.append((score, c, ((i + sigmoid(t[0])) / w, (j + sigmoid(t[1])) / h, *size)))
    wanted = suppressed(found, 0.35)
    got = module(*map(torch.from_numpy, maps))["y"].numpy()
    assert 3 < len(wanted) < len(found)
    np.testing.assert_allclose(got, wanted[None, None], rtol=1e-4, atol=1e-5)


def test_where_nothing_is_found_each_image_has_a_row(load_text):
    text = net_text(v3_layer(), a=(1, 14, 2, 3), b=(1, 14, 4, 6))
    net = load_text(text)
    assert net.blobs["y"].shape == (1, 1, 1, 7)
    got = netspec.compile(net)(torch.zeros(3, 14, 2, 3), torch.zeros(3, 14, 4, 6))["y"]
    assert got[0, 0].tolist() == [[i, *[-1] * 6] for i in range(3)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_classes: 2", "", "'num_classes' must be given"),
        ("num_classes: 2", "num_classes: 2 mask_group_num: 3", "is 3, but there are 2 bottoms"),
        ("mask: 1 ", "mask: 7 ", "'mask' names anchor 7, but 'biases' has 4 (0 to 3)"),
        ("num_box: 2", "num_box: 3", "'num_box' is 3, but 'mask' has 2 anchors for each of 2"),
        ("anchors_scale: 16", "", "'anchors_scale' must be given for each of 2 bottoms, got 1"),
        ("dim: 14 dim: 4", "dim: 12 dim: 4", "'b' has 12 channels, expected 2 anchors of 7"),
    ],
)
def test_a_yolov3_output_that_does_not_fit(load_text, old, new, message):
    text = net_text(v3_layer(), a=(1, 14, 2, 3), b=(1, 14, 4, 6))
    assert old in text
    assert message in faults(load_text, text.replace(old, new))


def test_gaussian_boxes_are_checked_and_not_computed(load_text):
    text = net_text(v3_layer("num_classes: 2 gaussian_box: true"), a=(1, 22, 2, 2), b=(1, 22, 4, 4))
    net = load_text(text)
    with pytest.raises(NetspecError, match="'gaussian_box' is checked, not computed"):
        netspec.compile(net)
