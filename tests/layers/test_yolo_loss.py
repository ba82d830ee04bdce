"""YOLO's losses against the fork's two loops, and a small net that trains by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from tests.layers.test_yolo import BIASES, BIASES_TEXT, faults, iou, sigmoid, warnings
from tests.nets import net_text


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
