"""Interp, Upsample and Unpooling: sizes and faults, and values by rules of their own in numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from tests.layers.test_other_sizes import agree
from tests.nets import Shape, net_text

Load = Callable[..., Net]
rng = np.random.default_rng(3)


def values(*shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def interp(fields: str, shape: Shape = (2, 3, 7, 9)) -> str:
    return net_text(f'type: "Interp" top: "y" interp_param {{ {fields} }}', True, x=shape)


def bilinear(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The corners of both meet; a neighbour beyond the edge is the edge."""
    y = np.zeros((*x.shape[:2], rows, columns))
    steps = [
        (x.shape[2 + i] - 1) / (out - 1) if out > 1 else 0 for i, out in enumerate((rows, columns))
    ]
    for i in range(rows):
        for j in range(columns):
            top, left = steps[0] * i, steps[1] * j
            h, w = int(top), int(left)
            below, right = min(h + 1, x.shape[2] - 1), min(w + 1, x.shape[3] - 1)
            p, q = top - h, left - w
            y[:, :, i, j] = (1 - p) * ((1 - q) * x[:, :, h, w] + q * x[:, :, h, right]) + p * (
                (1 - q) * x[:, :, below, w] + q * x[:, :, below, right]
            )
    return y


@pytest.mark.parametrize(
    ("fields", "sizes"),
    [
        ("height: 5 width: 11", (5, 11)),
        ("height: 1 width: 1", (1, 1)),
        ("zoom_factor: 3", (19, 25)),
        ("shrink_factor: 4", (2, 3)),
        ("shrink_factor: 2 zoom_factor: 3", (10, 13)),
        ("shrink_factor: 2 zoom_factor: 3 height: 4 width: 6", (4, 6)),
        ("zoom_factor: 2 height: 4 width: 6", (13, 17)),
        ("shrink_factor: 2 height: 4 width: 6", (4, 5)),
    ],
)
def test_which_size_interp_makes(fields: str, sizes: Shape, load_text: Load) -> None:
    net = load_text(interp(fields))
    assert net.blobs["y"].shape == (2, 3, *sizes)
    x = values(2, 3, 7, 9)
    y = netspec.compile(net)(x)["y"].numpy()
    np.testing.assert_allclose(y, bilinear(x.numpy(), *sizes), atol=1e-5)


def test_interp_crops_both_axes_before_it_measures(load_text: Load) -> None:
    net = load_text(interp("zoom_factor: 2 pad_beg: -1 pad_end: -3"))
    x = values(2, 3, 7, 9)
    y = netspec.compile(net)(x)["y"].numpy()
    np.testing.assert_allclose(y, bilinear(x.numpy()[:, :, 1:4, 1:6], 5, 9), atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("height: 5", "layer 'l': the top's size is missing"),
        ("", "layer 'l': the top's size is missing"),
        ("zoom_factor: 0", "'zoom_factor' must be at least 1, got 0"),
        ("height: -2 width: 3", "'height' must be at least 1, got -2"),
        ("zoom_factor: 2 pad_end: 1", "'pad_end' can only crop: it must be at most 0, got 1"),
        ("zoom_factor: 2 pad_beg: -7", "the crop leaves nothing of a height of 7"),
    ],
)
def test_faults_of_interp(fields: str, message: str, load_text: Load) -> None:
    with pytest.raises(NetspecError) as caught:
        load_text(interp(fields))
    fault = caught.value.diagnostics[0]
    assert message in fault.message
    assert fault.span is not None
    assert fault.span.line == 3


def test_a_field_of_an_unknown_interp_is_not_computed(load_text: Load) -> None:
    report = Report()
    net = load_text(interp("zoom_factor: 2 is_seglabel: true"), report=report)
    assert net.blobs["y"].shape == (2, 3, 13, 17)
    assert "'is_seglabel'" in report.diagnostics[0].message
    with pytest.raises(NetspecError, match="'is_seglabel' is a field of a fork"):
        netspec.compile(net)


def masked(fields: str, shape: Shape = (1, 2, 3, 4)) -> str:
    layer = f'type: "Upsample" top: "y" upsample_param {{ {fields} }}'
    return net_text(layer, True, x=shape, mask=shape)


def test_of_values_at_one_place_the_last_stays_and_all_take_its_gradient(load_text: Load) -> None:
    module = netspec.compile(load_text(masked("", (1, 1, 2, 2))))
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], requires_grad=True)
    mask = torch.tensor([[[[5.0, 5.0], [0.0, 5.0]]]])
    y = module(x, mask)["y"]
    assert y.flatten().tolist() == [3, 0, 0, 0, 0, 4, *[0] * 10]
    (y * torch.arange(16.0).view(4, 4)).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [5, 5, 0, 5]


def test_a_place_outside_of_the_top(load_text: Load) -> None:
    module = netspec.compile(load_text(masked("", (1, 1, 2, 2))))
    for bad in (16.0, -1.0):
        with pytest.raises(NetspecError, match=f"the mask holds place {bad:.0f}, out of range"):
            module(torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), bad))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("upsample_h: 5", "give 'upsample_h' and 'upsample_w', or none of them"),
        ("scale_w: 5", "give 'scale_h' and 'scale_w', or none of them"),
        ("scale: 2 scale_h: 2 scale_w: 2", "give 'scale' or 'scale_h' and 'scale_w', not both"),
        ("scale: 1", "'scale' must be at least 2, got 1"),
        ("scale: 3 pad_out_w: true", "'pad_out_w' goes with a scale of 2, got 3"),
    ],
)
def test_faults_of_a_masked_upsample(fields: str, message: str, load_text: Load) -> None:
    with pytest.raises(NetspecError, match=message) as caught:
        load_text(masked(fields))
    assert caught.value.diagnostics[0].span.line == 4


def test_bottoms_of_two_shapes(load_text: Load) -> None:
    text = net_text('type: "Upsample" top: "y"', x=(1, 2, 3, 4), mask=(1, 2, 3, 5))
    with pytest.raises(NetspecError, match="must agree in every axis"):
        load_text(text)


@pytest.mark.parametrize("dialect", [None, "segnet", "yolo"])
@pytest.mark.parametrize(
    ("bottoms", "fields", "rule"),
    [
        (1, "scale: 2", "Upsample (yolo)"),
        (1, "", "Upsample (yolo)"),
        (2, "scale: 2", "Upsample (segnet)"),
    ],
)
def test_the_bottoms_decide_the_rule_of_upsample(
    bottoms: int, fields: str, rule: str, dialect: str | None, load_text: Load
) -> None:
    shapes = dict.fromkeys(("x", "m")[:bottoms], (1, 2, 3, 4))
    text = net_text(f'type: "Upsample" top: "y" upsample_param {{ {fields} }}', **shapes)
    assert load_text(text, dialect=dialect).layers[-1].spec_name == rule


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (1, 2, 2, 3, 4)])
def test_upsample_repeats_along_the_last_two_axes(shape: Shape, load_text: Load) -> None:
    text = net_text('type: "Upsample" top: "y" upsample_param { scale: 3 }', True, x=shape)
    x = values(*shape).requires_grad_()
    y = netspec.compile(load_text(text))(x)["y"]
    wanted = x.detach().numpy().repeat(3, -1).repeat(3, -2)
    assert np.array_equal(y.detach().numpy(), wanted)
    y.sum().backward()
    assert torch.equal(x.grad, torch.full(shape, 9.0))


def test_upsample_without_a_scale_copies(load_text: Load) -> None:
    x = values(1, 2, 3, 4)
    text = net_text('type: "Upsample" top: "y"', x=(1, 2, 3, 4))
    assert torch.equal(netspec.compile(load_text(text))(x)["y"], x)
    with pytest.raises(NetspecError, match="'scale' must be at least 1, got 0"):
        load_text(net_text('type: "Upsample" top: "y" upsample_param { scale: 0 }', x=(1, 2)))


def unpooling(fields: str, shape: Shape = (2, 2, 3, 4)) -> str:
    return net_text(f'type: "Unpooling" top: "y" unpooling_param {{ {fields} }}', True, x=shape)


def windows(x: np.ndarray, kernel: Shape, stride: Shape, sizes: Shape) -> list[tuple]:
    """Of each value of a plane its window's part of the top."""
    found = []
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            h, w = i * stride[0], j * stride[1]
            rows = slice(h, min(h + kernel[0], sizes[0]))
            found.append((i, j, rows, slice(w, min(w + kernel[1], sizes[1]))))
    return found


@pytest.mark.parametrize("method", ["AVE", "TILE"])
@pytest.mark.parametrize(
    ("kernel", "stride", "sizes"),
    [((3, 3), (2, 2), (7, 9)), ((2, 3), (1, 2), (3, 6)), ((2, 2), (3, 3), (12, 14))],
)
def test_unpooling_over_windows(
    method: str, kernel: Shape, stride: Shape, sizes: Shape, load_text: Load
) -> None:
    fields = (
        f"unpool: {method} kernel_h: {kernel[0]} kernel_w: {kernel[1]} "
        f"stride_h: {stride[0]} stride_w: {stride[1]} unpool_h: {sizes[0]} unpool_w: {sizes[1]}"
    )
    x = values(2, 2, 3, 4).requires_grad_()
    y = netspec.compile(load_text(unpooling(fields)))(x)["y"]
    slope = rng.standard_normal(y.shape).astype(np.float32)
    (y * torch.from_numpy(slope)).sum().backward()
    top, gradient = np.zeros(y.shape), np.zeros(x.shape)
    plain = x.detach().numpy()
    for i, j, rows, columns in windows(plain, kernel, stride, sizes):
        count = top[:, :, rows, columns].shape[2:]
        if not count[0] * count[1]:
            continue  # the window begins behind the top
        share = count[0] * count[1] if method == "AVE" else 1
        top[:, :, rows, columns] += plain[:, :, i, j][:, :, None, None] / share
        gradient[:, :, i, j] = slope[:, :, rows, columns].mean((2, 3))
    np.testing.assert_allclose(y.detach().numpy(), top, atol=1e-5)
    np.testing.assert_allclose(x.grad.numpy(), gradient, atol=1e-5)


def test_unpooling_without_a_mask_takes_the_first_place_and_the_last_row(load_text: Load) -> None:
    text = unpooling("kernel_size: 2 stride: 2 unpool_h: 4 unpool_w: 3", (1, 1, 3, 2))
    x = torch.arange(1.0, 7).view(1, 1, 3, 2).requires_grad_()
    y = netspec.compile(load_text(text))(x)["y"]
    assert y[0, 0].tolist() == [[1, 0, 2], [0, 0, 0], [3, 0, 4], [5, 0, 6]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("unpool_size: 7", "'kernel_size' must be given"),
        ("kernel_size: 2", "'unpool_size' must be given"),
        ("kernel_size: 2 unpool_h: 7", "'unpool_h' stands here without 'unpool_w'"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2 unpool_size: 7", "give 'kernel_size' or"),
        ("kernel_size: 2 pad: 1 unpool_size: 7", "'pad' must be 0, got 1"),
        ("kernel_size: 2 stride: 0 unpool_size: 7", "'stride' must be at least 1, got 0"),
    ],
)
def test_faults_of_unpooling(fields: str, message: str, load_text: Load) -> None:
    with pytest.raises(NetspecError, match=message) as caught:
        load_text(unpooling(fields))
    assert caught.value.diagnostics[0].span.line == 3


@pytest.mark.parametrize("change", [(2, 0, 0), (0, 3, 2), (0, -1, -2)])
@pytest.mark.parametrize(
    "layer",
    [
        'type: "Interp" interp_param { zoom_factor: 2 }',
        'type: "Interp" interp_param { shrink_factor: 2 pad_end: -1 }',
        'type: "Upsample" upsample_param { scale: 2 }',
        'type: "Unpooling" unpooling_param { unpool: AVE kernel_size: 2 stride: 2 unpool_size: 9 }',
        'type: "Unpooling" unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_size: 9 }',
    ],
)
def test_another_size_than_declared(
    layer: str, change: tuple[int, int, int], tmp_path: Path
) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(net_text(f'top: "y" {layer}', x=(2, 3, 5, 6)))
    assert agree(path, "TEST", change)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_segmentation_layers_compile_and_export(load_text: Load) -> None:
    text = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
    layer { name: "p" type: "Pooling" bottom: "x" top: "p" top: "m"
      pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "u" type: "Upsample" bottom: "p" bottom: "m" top: "u" }
    layer { name: "i" type: "Interp" bottom: "u" top: "i" interp_param { zoom_factor: 2 } }
    layer { name: "v" type: "Unpooling" bottom: "i" top: "v"
      unpooling_param { unpool: TILE kernel_size: 2 stride: 2 unpool_size: 30 } }
    """
    module = netspec.compile(load_text(text))
    x = values(2, 3, 8, 8)
    wanted = module(x)["v"]
    traced = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert torch.allclose(traced(x)["v"], wanted, atol=1e-5)
    assert torch.allclose(torch.export.export(module, (x,)).module()(x)["v"], wanted, atol=1e-5)
