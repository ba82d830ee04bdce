"""ROIPooling, PSROIPooling and Proposal, held against rules that go through every cell and box."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, sqrt

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.pytorch.layers.pixel_boxes import decode, encode, suppress
from tests.boxes import greedy, moved
from tests.nets import net_text

Load = Callable[..., Net]
F32 = np.float32
ROI = 'top: "y" type: "ROIPooling" roi_pooling_param { pooled_h: 3 pooled_w: 4 spatial_scale: 0.5 }'
PSROI = (
    'top: "y" type: "PSROIPooling" '
    "psroi_pooling_param { spatial_scale: 0.25 output_dim: 2 group_size: 3 }"
)


def half_away(x: float) -> int:
    return int(np.sign(x) * floor(abs(x) + 0.5))


def regions(count: int, images: int, seed: int) -> np.ndarray:
    """Regions inside, across and outside a map, some of them turned around, on halves of pixels."""
    random = np.random.default_rng(seed)
    corners = random.integers(-40, 120, (count, 4)) / 4
    return np.column_stack((random.integers(0, images, count), corners)).astype(F32)


def roi_pooling(x: np.ndarray, rois: np.ndarray, h: int, w: int, scale: float):
    """The top and the gradient of its sum weighted by 1, 2, 3, …, cell by cell."""
    top, gradient = np.zeros((len(rois), x.shape[1], h, w), F32), np.zeros_like(x)
    weight = np.arange(1, top.size + 1).reshape(top.shape)
    for r, (n, *corners) in enumerate(rois):
        x1, y1, x2, y2 = (half_away(F32(v) * F32(scale)) for v in corners)
        bin_h, bin_w = F32(max(y2 - y1 + 1, 1)) / F32(h), F32(max(x2 - x1 + 1, 1)) / F32(w)
        for c, i, j in np.ndindex(x.shape[1], h, w):
            best, place = -np.inf, None
            for row in range(floor(F32(i) * bin_h) + y1, ceil(F32(i + 1) * bin_h) + y1):
                for column in range(floor(F32(j) * bin_w) + x1, ceil(F32(j + 1) * bin_w) + x1):
                    on_map = 0 <= row < x.shape[2] and 0 <= column < x.shape[3]
                    if on_map and x[int(n), c, row, column] > best:
                        best, place = x[int(n), c, row, column], (int(n), c, row, column)
            if place is not None:
                top[r, c, i, j] = best
                gradient[place] += weight[r, c, i, j]
    return top, gradient


def psroi_pooling(x: np.ndarray, rois: np.ndarray, dim: int, g: int, scale: float):
    top, gradient = np.zeros((len(rois), dim, g, g)), np.zeros_like(x, dtype=float)
    weight = np.arange(1, top.size + 1).reshape(top.shape)
    s = F32(scale)
    for r, (n, *corners) in enumerate(rois):
        x1, y1 = (F32(half_away(v)) * s for v in corners[:2])
        x2, y2 = (F32(half_away(v) + 1) * s for v in corners[2:])
        bin_h, bin_w = max(y2 - y1, F32(0.1)) / F32(g), max(x2 - x1, F32(0.1)) / F32(g)
        for c, i, j in np.ndindex(dim, g, g):
            top_row, left = max(floor(F32(i) * bin_h + y1), 0), max(floor(F32(j) * bin_w + x1), 0)
            bottom = min(ceil(F32(i + 1) * bin_h + y1), x.shape[2])
            right = min(ceil(F32(j + 1) * bin_w + x1), x.shape[3])
            cells = (int(n), (c * g + i) * g + j, slice(top_row, bottom), slice(left, right))
            if bottom > top_row and right > left:
                area = (bottom - top_row) * (right - left)
                top[r, c, i, j] = x[cells].astype(float).sum() / area
                gradient[cells] += weight[r, c, i, j] / area
    return top, gradient


def run(text: str, x: np.ndarray, rois: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    module = netspec.compile(netspec.loads(text))
    given = torch.from_numpy(x.copy()).requires_grad_()
    top = next(iter(module(x=given, rois=torch.from_numpy(rois)).values()))
    (top * torch.arange(1, top.numel() + 1).view(top.shape)).sum().backward()
    return top.detach().numpy(), given.grad.numpy()


@pytest.mark.parametrize("size", [(9, 11), (1, 1), (4, 30)])
def test_roi_pooling_cell_by_cell(size: tuple[int, int]) -> None:
    # few different values, so that many maxima are tied
    x = np.random.default_rng(1).integers(-2, 3, (2, 3, *size)).astype(F32)
    rois = regions(40, 2, seed=2)
    text = net_text(ROI, x=(2, 3, 5, 6), rois=(4, 5))  # declared in another size
    wanted, gradient = roi_pooling(x, rois, 3, 4, 0.5)
    top, found = run(text, x, rois)
    np.testing.assert_array_equal(top, wanted)
    np.testing.assert_array_equal(found, gradient)


def test_roi_pooling_passes_over_nan_and_takes_no_region_at_all() -> None:
    module = netspec.compile(
        netspec.loads(
            net_text(
                'top: "y" type: "ROIPooling" roi_pooling_param { pooled_h: 1 pooled_w: 1 }',
                x=(1, 1, 2, 2),
                rois=(1, 5),
            )
        )
    )
    x = torch.tensor([[[[torch.nan, 3.0], [-5.0, torch.nan]]]])
    (top,) = module(x=x, rois=torch.tensor([[0.0, 0, 0, 1, 1]])).values()
    assert top.item() == 3
    (top,) = module(x=x, rois=torch.zeros(0, 5)).values()
    assert top.shape == (0, 1, 1, 1)


@pytest.mark.parametrize("size", [(9, 11), (2, 30)])
def test_psroi_pooling_cell_by_cell(size: tuple[int, int]) -> None:
    x = np.random.default_rng(1).normal(size=(2, 18, *size)).astype(F32)
    rois = regions(40, 2, seed=3) * np.array([1, 4, 4, 4, 4], F32)
    wanted, gradient = psroi_pooling(x, rois, 2, 3, 0.25)
    top, found = run(net_text(PSROI, x=(2, 18, 5, 6), rois=(4, 5)), x, rois)
    np.testing.assert_allclose(top, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found, gradient, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("layer", [ROI, PSROI])
@pytest.mark.parametrize("image", [-1, 2])
def test_a_region_of_an_image_that_is_not_there(layer: str, image: int) -> None:
    net = netspec.loads(net_text(layer, x=(2, 18, 5, 6), rois=(2, 5)))
    rois = torch.tensor([[0.0, 0, 0, 4, 4], [image, 0, 0, 4, 4]])
    with pytest.raises(NetspecError, match=rf"region 1 is of image {image}, but the batch has 2"):
        netspec.compile(net)(x=torch.zeros(2, 18, 5, 6), rois=rois)


RATIOS, SIZES = (0.5, 1.0, 2.0), (32.0, 50.0)
PROPOSAL = (
    'top: "y" top: "z" type: "Proposal"\nproposal_param { scale: 32 scale: 50\n'
    "ratio: 0.5 ratio: 1 ratio: 2 min_size: 10 feat_stride: 8 "
    "pre_nms_topn: 60 post_nms_topn: 12 nms_thresh: 0.5 }"
)


def proposals(score: np.ndarray, delta: np.ndarray, info: np.ndarray) -> list[list[float]]:
    rows = []
    for n in range(len(score)):
        boxes = []
        for y, x, a in np.ndindex(*score.shape[2:], 6):
            ratio, size = RATIOS[a // 2], SIZES[a % 2]
            w = sqrt(256 / ratio)
            half_w, half_h = (int(side * size / 16 - 1 + 0.5) / 2 for side in (w, w * ratio))
            anchor = [
                7.5 - half_w + 8 * x,
                7.5 - half_h + 8 * y,
                7.5 + half_w + 8 * x,
                7.5 + half_h + 8 * y,
            ]
            box = moved(anchor, delta[n, 4 * a : 4 * a + 4, y, x], info[0, 0], info[0, 1])
            is_small = (
                box[2] - box[0] + 1 < 10 * info[0, 3] or box[3] - box[1] + 1 < 10 * info[0, 2]
            )
            boxes.append((0.0 if is_small else float(score[n, 6 + a, y, x]), box))
        boxes.sort(key=lambda each: -each[0])
        rows += [[score, n, *box] for score, box in greedy(boxes[:60], 0.5, 12)]
    return rows


def test_proposals_box_by_box() -> None:
    random = np.random.default_rng(5)
    score = random.permutation(2 * 12 * 35).reshape(2, 12, 5, 7).astype(F32) / 1000
    delta = random.normal(0, 0.3, (2, 24, 5, 7)).astype(F32)
    info = np.array([[48, 70, 1, 2], [900, 900, 9, 9]], F32)  # only its first row is read
    net = netspec.loads(net_text(PROPOSAL, s=(2, 12, 4, 4), d=(2, 24, 4, 4), i=(2, 4)))
    outputs = netspec.compile(net)(
        s=torch.from_numpy(score), d=torch.from_numpy(delta), i=torch.from_numpy(info)
    )
    rois, scores = (value.numpy() for value in outputs.values())
    wanted = np.array(proposals(score, delta, info))
    assert 12 < len(wanted) <= 24
    np.testing.assert_allclose(rois, wanted[:, 1:], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(scores, wanted[:, 0], rtol=1e-5)


@pytest.mark.parametrize("most", [0, 7, 5000])
def test_suppression_of_many_boxes_is_the_greedy_one(most: int) -> None:
    random = np.random.default_rng(6)
    corner = random.integers(0, 60, (1300, 2))
    boxes = np.hstack((corner, corner + random.integers(5, 30, (1300, 2)))).astype(F32)
    kept = suppress(torch.from_numpy(boxes), 0.3, most).tolist()
    wanted = greedy([(i, box) for i, box in enumerate(boxes.tolist())], 0.3, most or 5000)
    assert kept == [int(i) for i, _ in wanted]


def test_encode_is_the_inverse_of_decode() -> None:
    anchors = torch.tensor([[0.0, 0, 15, 31], [-8, 4, 20, 12]])
    boxes = torch.tensor([[3.0, 5, 9, 20], [0, 0, 30, 30]])
    # decode ends a box a pixel later, where it counts from corner to corner
    again = decode(anchors, encode(anchors, boxes)) - torch.tensor([0, 0, 1, 1])
    torch.testing.assert_close(again, boxes, rtol=1e-4, atol=1e-4)


WRONG = [
    (
        'type: "ROIPooling"\nroi_pooling_param { pooled_w: 2 }',
        {"x": (1, 2, 5, 5), "rois": (3, 5)},
        "'pooled_h' must be at least 1, got 0",
        1,
    ),
    (
        'type: "ROIPooling"\nroi_pooling_param {\npooled_size: 2 pooled_size: 2 pooled_size: 2 }',
        {"x": (1, 2, 5, 5), "rois": (3, 5)},
        "'pooled_size' is intel's for volumes, which netspec does not carry out",
        2,
    ),
    (
        'type: "ROIPooling" roi_pooling_param { pooled_h: 2 pooled_w: 2 }',
        {"x": (1, 2, 5, 5), "rois": (3, 4)},
        "'rois' must hold 5 numbers for each region (image, x1, y1, x2, y2), got 3×4",
        -1,
    ),
    (
        'type: "ROIPooling" roi_pooling_param { pooled_h: 2 pooled_w: 2 }',
        {"x": (1, 2, 5), "rois": (3, 5)},
        "'x' must be N×C×H×W, got 1×2×5",
        -1,
    ),
    (
        'type: "PSROIPooling"\npsroi_pooling_param { spatial_scale: 1 output_dim: 2 }',
        {"x": (1, 8, 5, 5), "rois": (3, 5)},
        "'group_size' is missing",
        1,
    ),
    (
        'type: "PSROIPooling"\n'
        "psroi_pooling_param { spatial_scale: 1 group_size: 2\noutput_dim: 3 }",
        {"x": (1, 8, 5, 5), "rois": (3, 5)},
        "'x' must have output_dim·group_size² = 3·2² = 12 channels, got 8",
        2,
    ),
    (
        'type: "Proposal"\nproposal_param { scale: 32 }',
        {"s": (1, 2, 4, 4), "d": (1, 4, 4, 4), "i": (1, 4)},
        "'ratio' must be given at least once",
        1,
    ),
    (
        'type: "Proposal"\nproposal_param { scale: 32 ratio: 1 }',
        {"s": (1, 2, 4, 4), "d": (1, 8, 4, 4), "i": (1, 4)},
        "'d' must be 1×4×4×4 for 1 anchors (1 ratios × 1 scales), got 1×8×4×4",
        -1,
    ),
    (
        'type: "Proposal"\nproposal_param { scale: 32 ratio: 1 }',
        {"s": (1, 2, 4, 4), "d": (1, 4, 4, 4), "i": (1, 3)},
        "'i' must hold 4 numbers for an image (height, width, scale of y, scale of x), got 1×3",
        -1,
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "message", "line"), WRONG)
def test_a_fault_is_reported_at_its_line(
    load_text: Load, layer: str, shapes: dict, message: str, line: int
) -> None:
    layer = f'top: "y" {layer}'
    text = net_text(layer, **shapes)
    with pytest.raises(NetspecError) as caught:
        load_text(text)
    fault = caught.value.diagnostics[0]
    assert fault.message == f"layer 'l': {message}"
    first = text[: text.index(layer)].count("\n") + 1
    if line >= 0:
        assert fault.span.line == first + line


def test_a_proposal_with_synopsys_fields_has_shapes_and_is_not_computed(load_text: Load) -> None:
    layer = (
        'top: "y" type: "Proposal" proposal_param { anchor_scale: 8 anchor_ratio: 1 max_rois: 50 }'
    )
    net = load_text(net_text(layer, s=(1, 2, 4, 4), d=(1, 4, 4, 4), i=(1, 3)))
    assert net.layer("l").top_blobs[0].shape == (50, 5)
    with pytest.raises(NetspecError, match="synopsys-caffe's rule for Proposal is not known"):
        netspec.compile(net)
