"""Openpose's layers against rules written in plain loops, and what is wrong in them."""

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


def cubic(v, d: float) -> float:
    """Catmull-Rom between v[1] and v[2]."""
    a = -0.5 * v[0] + 1.5 * v[1] - 1.5 * v[2] + 0.5 * v[3]
    b = v[0] - 2.5 * v[1] + 2 * v[2] - 0.5 * v[3]
    return ((a * d + b) * d + 0.5 * (v[2] - v[0])) * d + v[1]


def enlarged(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """A plane by the fork's cubic interpolation, first its rows, then its columns."""

    def along(row, target):
        size, found = len(row), []
        for i in range(target):
            at = (i - (target / size / 2 - 0.5)) * size / target
            first = max(int(at + 1e-5), 0)
            near = [max(first - 1, 0), first, min(first + 1, size - 1)]
            near.append(min(near[2] + 1, size - 1))
            found.append(cubic([row[j] for j in near], at - first))
        return found

    rows = np.array([along(row, width) for row in plane.astype(np.float64)])
    return np.array([along(column, height) for column in rows.T]).T


@pytest.mark.parametrize(
    ("settings", "shape", "size", "pads"),
    [
        ("factor: 3", (1, 2, 5, 4), (15, 12), [(0, 0)]),
        ("target_spatial_height: 7 target_spatial_width: 3", (1, 1, 9, 8), (7, 3), [(0, 0)]),
        ("factor: 2.5 scale_gap: 0.2", (3, 2, 10, 13), (25, 32), [(0, 0), (1, 1), (2, 2)]),
        ("factor: 2 start_scale: 0.5 scale_gap: 0.1", (2, 1, 8, 12), (16, 24), [(2, 3), (2, 3)]),
    ],
)
def test_im_resize_is_the_mean_of_the_cropped_scales(load_text, settings, shape, size, pads):
    text = net_text(f'type: "ImResize" top: "y" imresize_param {{ {settings} }}', x=shape)
    net = load_text(text)
    assert net.blobs["y"].shape == (1, shape[1], *size)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    wanted = np.zeros((1, shape[1], *size))
    for image, (top, left) in zip(x, pads, strict=True):
        for c, plane in enumerate(image):
            part = plane[top : shape[2] - top, left : shape[3] - left]
            wanted[0, c] += enlarged(part, *size) / len(x)
    got = netspec.compile(net)(torch.from_numpy(x))["y"]
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_im_resize_takes_the_size_that_is_fed(load_text):
    text = net_text('type: "ImResize" top: "y" imresize_param { factor: 2 }', x=(1, 1, 4, 4))
    x = np.random.default_rng(1).normal(size=(1, 1, 6, 5)).astype(np.float32)
    got = netspec.compile(load_text(text))(torch.from_numpy(x))["y"].numpy()
    np.testing.assert_allclose(got[0, 0], enlarged(x[0, 0], 12, 10), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ("factor: 0.1", (1, 1, 4, 4), "the top would be 0×0 pixels"),
        ("factor: 2", (1, 1, 4), "'x' must be N×C×H×W, got 1×1×4"),
        ("start_scale: 1.5", (1, 1, 8, 8), "image 0 of the batch would lose -2 of its 8 pixels"),
        ("scale_gap: 1", (2, 1, 8, 8), "image 1 of the batch would lose 4 of its 8 pixels"),
    ],
)
def test_an_im_resize_that_does_not_fit(load_text, settings, shape, message):
    text = net_text(f'type: "ImResize" top: "y" imresize_param {{ {settings} }}', x=shape)
    assert message in faults(load_text, text)


def test_a_batch_of_more_scales_than_can_be_cropped(load_text):
    layer = 'type: "ImResize" top: "y" imresize_param { factor: 2 scale_gap: 0.5 }'
    module = netspec.compile(load_text(net_text(layer, x=(1, 1, 8, 8))))
    with pytest.raises(NetspecError, match="image 2 of the batch would lose 4 of its 8 pixels"):
        module(torch.rand(3, 1, 8, 8))


def peak_rows(plane: np.ndarray, threshold: float, most: int) -> np.ndarray:
    h, w = plane.shape
    found = np.zeros((most + 1, 3))
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            around = plane[y - 1 : y + 2, x - 1 : x + 2].copy()
            around[1, 1] = -np.inf
            if plane[y, x] <= threshold or plane[y, x] <= around.max():
                continue
            found[0, 0] += 1
            k = int(found[0, 0])
            if k > most:
                continue
            sums = np.zeros(3)
            for j in range(y - 3, y + 4):
                for i in range(x - 3, x + 4):
                    if 0 < i < w and 0 < j < w and j < h and plane[j, i] > 0:
                        sums += plane[j, i] * np.array([i, j, 1])
            found[k] = sums[0] / sums[2], sums[1] / sums[2], plane[y, x]
    return found


@pytest.mark.parametrize(("height", "width"), [(17, 17), (9, 21), (21, 13), (5, 2)])
def test_nms_finds_the_peaks(load_text, height, width):
    layer = 'type: "Nms" top: "y" nms_param { threshold: 0.4 max_peaks: 5 num_parts: 2 }'
    net = load_text(net_text(layer, x=(1, 2, 30, 30)))
    assert net.blobs["y"].shape == (1, 2, 6, 3)
    x = np.random.default_rng(2).normal(size=(2, 2, height, width)).astype(np.float32)
    if height > 12:
        x[0, 0, 4:7, 4:7] = 0.7  # a plateau has no peak
    wanted = np.array([[peak_rows(p.astype(np.float64), 0.4, 5) for p in image] for image in x])
    got = netspec.compile(net)(torch.from_numpy(x))["y"].numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_nms_of_fewer_parts_reads_on_from_image_to_image(load_text):
    layer = 'type: "Nms" top: "y" nms_param { threshold: 0 max_peaks: 3 num_parts: 2 }'
    text, report = net_text(layer, x=(2, 3, 9, 9)), Report()
    net = load_text(text, report=report)
    assert "image i begins at the 2·i-th channel" in str(report.diagnostics[0])
    x = np.random.default_rng(5).normal(size=(2, 3, 9, 9)).astype(np.float32)
    got = netspec.compile(net)(torch.from_numpy(x))["y"].numpy()
    planes = x.reshape(6, 9, 9).astype(np.float64)[:4]
    wanted = np.array([peak_rows(plane, 0, 3) for plane in planes]).reshape(2, 2, 4, 3)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_more_parts_than_channels(load_text):
    text = net_text('type: "Nms" top: "y"', x=(1, 3, 9, 9))
    assert "'num_parts' is 15, but 'x' has 3 channels" in faults(load_text, text)


def test_both_are_exported(load_text):
    """Maps enlarged and searched, at fixed sizes, without a loop over peaks."""
    text = net_text('type: "ImResize" top: "big" imresize_param { factor: 2 }', x=(1, 2, 6, 6))
    text += 'layer { name: "n" type: "Nms" bottom: "big" top: "y" nms_param { num_parts: 2 } }'
    module, x = netspec.compile(load_text(text)), torch.rand(1, 2, 6, 6)
    exported = torch.export.export(module, (x,), strict=False).module()
    assert torch.equal(exported(x)["y"], module(x)["y"])
