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


# RegionLoss


def region_text(side: int, images: int = 2, **settings: object) -> str:
    stated = {"num_class": 3, "num": 2, **settings}
    fields = " ".join(f"{name}: {value}" for name, value in stated.items())
    layer = f'type: "RegionLoss" top: "y" region_loss_param {{ {fields} {BIASES_TEXT} }}'
    channels = stated["num"] * (stated["num_class"] + 1 + stated.get("coords", 4))
    return net_text(layer, True, x=(images, channels, side, side), label=(images, 1500))


def region_differences(x, labels, p):
    """The fork's two loops, in double precision."""
    n, channels, side, _ = x.shape
    anchors, length = p["num"], channels // p["num"]
    v = x.astype(np.float64).reshape(n, anchors, length, side, side)
    delta = np.zeros_like(v)
    sizes = np.array(BIASES).reshape(-1, 2)

    def box(b, a, j, i):
        t = v[b, a, :4, j, i]
        size = np.exp(t[2:]) * sizes[a] / side
        return [(i + sigmoid(t[0])) / side, (j + sigmoid(t[1])) / side, *size]

    for b in range(n):
        truths = labels[b].reshape(300, 5).astype(np.float64)
        for a, j, i in np.ndindex(anchors, side, side):
            best = 0.0
            for truth in truths:
                if truth[1] == 0:
                    break
                best = max(best, iou(box(b, a, j, i), truth[1:]))
            o = sigmoid(v[b, a, 4, j, i])
            delta[b, a, 4, j, i] = 0 if best > p["thresh"] else p["noobject"] * o * o * (1 - o)
        for truth in truths:
            if truth[3] == 0:
                break
            i, j = int(truth[1] * side), int(truth[2] * side)
            best, place = 0.0, (0, 0, 0, 0)
            for a in range(anchors):
                size = sizes[a] / side if p["bias_match"] else box(b, a, j, i)[2:]
                overlap = iou([0, 0, *size], [0, 0, *truth[3:]])
                if overlap > best:
                    best, place = overlap, (b, a, j, i)
            image, a, line, column = place
            t, d = v[image, a, :, line, column], delta[image, a, :, line, column]
            scale = p["coord"] * (1 if p["rescore"] else 2 - truth[3] * truth[4])
            o, at = sigmoid(t[4]), sigmoid(t[:2])
            centre = np.array([truth[1] * side - i, truth[2] * side - j])
            d[:2] = -scale * (centre - at) * at * (1 - at)
            d[2:4] = -scale * (np.log(truth[3:] * side / sizes[a]) - t[2:4])
            mine = [(i + at[0]) / side, (j + at[1]) / side, *np.exp(t[2:4]) * sizes[a] / side]
            wanted = iou(mine, truth[1:]) if p["rescore"] else 1
            d[4] = -p["object"] * (wanted - o) * o * (1 - o)
            e = np.exp(t[5 : 5 + p["classes"]] - t[5:].max())
            d[5 : 5 + p["classes"]] = p["class"] * (e / e.sum())
            if 0 <= truth[0] < p["classes"]:
                d[5 + int(truth[0])] -= p["class"]
    return delta.reshape(x.shape)


def truths_of(rng, images: int, counts: tuple[int, ...]) -> np.ndarray:
    labels = np.zeros((images, 300, 5), np.float32)
    for b, count in enumerate(counts):
        labels[b, :count, 0] = rng.integers(0, 3, count)
        labels[b, :count, 1:3] = rng.uniform(0.05, 0.95, (count, 2))
        labels[b, :count, 3:] = rng.uniform(0.1, 0.7, (count, 2))
    return labels.reshape(images, 1500)


@pytest.mark.parametrize("rescore", [0, 1])
@pytest.mark.parametrize("bias_match", [0, 1])
@pytest.mark.parametrize("counts", [(3, 1), (0, 12), (0, 0)])
def test_region_loss_is_the_forks(load_text, rescore, bias_match, counts):
    p = {
        "num": 2, "classes": 3, "thresh": 0.4, "rescore": rescore, "bias_match": bias_match,
        "object": 5, "noobject": 2, "class": 3, "coord": 4,
    }  # fmt: skip
    text = region_text(
        4, rescore=rescore, bias_match=bias_match, thresh=0.4, object_scale=5, noobject_scale=2,
        class_scale=3, coord_scale=4,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    # a map of another size than declared, and truths that meet at one place
    x = rng.normal(size=(2, 16, 5, 5)).astype(np.float32)
    labels = truths_of(rng, 2, counts)
    labels[:, 5:10] = labels[:, :5] * np.float32([1, 1, 1, 0.9, 1]) * (labels[:, 1:2] != 0)
    labels[:, 0] = np.where(labels[:, 1] != 0, 7, 0)  # not one of the classes
    wanted = region_differences(x, labels, p)
    module, given = netspec.compile(load_text(text)), torch.from_numpy(x).requires_grad_()
    outputs = module(x=given, label=torch.from_numpy(labels))
    np.testing.assert_allclose(outputs["y"].item(), (wanted**2).sum() / 2, rtol=1e-4)
    (3 * module.loss(outputs)).backward()
    np.testing.assert_allclose(given.grad.numpy(), 3 * wanted / 2, rtol=1e-3, atol=1e-5)


def test_a_truth_that_overlaps_no_anchor_goes_to_the_first_place_of_the_batch(load_text):
    text = region_text(4, bias_match=0)
    x = np.zeros((2, 16, 4, 4), np.float32)
    x[1, [2, 3, 10, 11]] = -np.inf  # no size at all
    labels = np.zeros((2, 300, 5), np.float32)
    labels[1, 0] = (1, 0.6, 0.6, 0.3, 0.3)
    given = torch.from_numpy(x).requires_grad_()
    module = netspec.compile(load_text(text))
    module.loss(module(x=given, label=torch.from_numpy(labels.reshape(2, 1500)))).backward()
    assert given.grad[0, 5:8, 0, 0].tolist() == pytest.approx([1 / 6, -1 / 3, 1 / 6])
    assert not given.grad[1, 5:8].any()


def test_further_coordinates_have_no_part(load_text):
    module = netspec.compile(load_text(region_text(4, 1, coords=6)))
    x = torch.rand(1, 20, 4, 4, requires_grad=True)
    labels = torch.zeros(1, 300, 5)
    labels[0, 0] = torch.tensor([2, 0.1, 0.1, 0.3, 0.3])
    module.loss(module(x=x, label=labels.view(1, 1500))).backward()
    grad = x.grad.view(2, 10, 16)
    assert not grad[:, 8:].any()
    assert grad[:, :8].any()


def test_a_truth_outside_of_the_image_names_the_item(load_text):
    module = netspec.compile(load_text(region_text(4)))
    labels = torch.zeros(2, 300, 5)
    labels[1, 0] = torch.tensor([0, 0.5, 1.5, 0.1, 0.1])
    with pytest.raises(NetspecError, match=r"item 1 of the batch has a box .* \(0.5, 1.5\)"):
        module(x=torch.rand(2, 16, 4, 4), label=labels.view(2, 1500))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num: 2", "num: 6", "6 anchors need 12 'biases', got 10"),
        ("num: 2", "num: 3", "'x' has 16 channels, expected 3 anchors of 8 values, which is 24"),
        ("num_class: 3", "num_class: 3 coords: 2", "'coords' must be at least 4, got 2"),
        ("dim: 1500", "dim: 150", "must hold 300 rows of 5 values for each image, got 150 values"),
        ("dim: 4 dim: 4", "dim: 4 dim: 5", "'x' must be as high as wide, got 4×5"),
    ],
)
def test_a_region_loss_that_does_not_fit(load_text, old, new, message):
    assert message in faults(load_text, region_text(4).replace(old, new))


def test_fewer_than_ten_biases_count_as_0(load_text):
    text = region_text(4).replace(BIASES_TEXT, "biases: 1 biases: 1")
    net = load_text(text)
    assert "fewer than 10 'biases' count as 0" in warnings(load_text, text)
    labels = torch.zeros(2, 300, 5)
    labels[0, 0] = torch.tensor([1, 0.5, 0.5, 0.3, 0.3])
    out = netspec.compile(net)(x=torch.zeros(2, 16, 4, 4), label=labels.view(2, 1500))
    assert out["y"].item() == float("inf")


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


@pytest.mark.parametrize(
    ("layer", "shapes", "top"),
    [
        ("YoloSeg", {"a": (2, 1, 8, 8), "b": (2, 1, 8, 8)}, ()),
        ("EvalDetection", {"a": (2, 1470), "b": (2, 343)}, (2, 20 + 7 * 7 * 2 * 4)),
    ],
)
def test_types_whose_shapes_alone_are_known(load_text, layer, shapes, top):
    net = load_text(net_text(f'type: "{layer}" top: "y"', **shapes))
    assert net.blobs["y"].shape == top
    with pytest.raises(NetspecError, match="checked, not computed"):
        netspec.compile(net)


# A net


def test_a_small_net_of_version_2_trains(tmp_path):
    """A pass-through by Reorg, a Concat, a RegionLoss: two steps of a solver lower the loss."""
    path = tmp_path / "net.prototxt"
    conv = (
        'layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}" convolution_param {{ '
        'num_output: {2} kernel_size: 3 pad: 1 stride: {3} weight_filler {{ type: "xavier" }} }} }}'
    )
    data = (
        'layer {{ name: "{0}" type: "DummyData" top: "{0}" dummy_data_param {{ shape {{ {1} }} '
        "data_filler {{ {2} }} }} }}"
    )
    uniform = 'type: "uniform" min: 0.3 max: 0.7'
    lines = [
        data.format("data", "dim: 2 dim: 3 dim: 8 dim: 8", uniform),
        data.format("box", "dim: 2 dim: 5", 'type: "constant" value: 0.5'),
        data.format("none", "dim: 2 dim: 1495", 'type: "constant" value: 0'),
        'layer { name: "label" type: "Concat" bottom: "box" bottom: "none" top: "label" }',
        conv.format("early", "data", 4, 1),
        conv.format("late", "early", 8, 2),
        'layer { name: "reorg" type: "Reorg" bottom: "early" top: "reorg" '
        "reorg_param { stride: 2 } }",
        'layer { name: "both" type: "Concat" bottom: "reorg" bottom: "late" top: "both" }',
        conv.format("boxes", "both", 16, 1),
        'layer { name: "loss" type: "RegionLoss" bottom: "boxes" bottom: "label" top: "loss" '
        f"region_loss_param {{ num_class: 3 num: 2 {BIASES_TEXT} }} }}",
    ]
    path.write_text("\n".join(lines))
    solver = tmp_path / "solver.prototxt"
    solver.write_text(f'net: "{path}" base_lr: 0.01 lr_policy: "fixed" max_iter: 3 random_seed: 1')
    run = netspec.Solver(solver)
    losses = [float(run.step(1)["loss"]) for _ in range(3)]
    assert losses[0] > losses[1] > losses[2] > 0
