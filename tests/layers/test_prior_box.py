"""The default boxes of SSD and of the forks that lay theirs otherwise, against loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from tests.nets import net_text

Load = Callable[..., Net]
ROWS, COLUMNS, HEIGHT, WIDTH = 3, 2, 33, 47
SHAPES = {"x": (2, 1, ROWS, COLUMNS), "image": (2, 3, HEIGHT, WIDTH)}
Cells = Callable[[float, float], Iterator[tuple[float, float, float, float]]]


def compiled(load_text: Load, settings: str, kind: str = "PriorBox") -> Any:
    layer = f'type: "{kind}" prior_box_param {{ {settings} }} top: "y"'
    return netspec.compile(load_text(net_text(layer, **SHAPES)))


def boxes(load_text: Load, settings: str, kind: str = "PriorBox") -> np.ndarray:
    module = compiled(load_text, settings, kind)
    feed = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    top: torch.Tensor = module(**feed)["y"]
    return top.numpy().reshape(2, -1, 4)


def laid(cells: Cells, step: tuple[float, float]) -> np.ndarray:
    """`cells` gives (x, y, width, height) in pixels of the boxes of a cell at (column, row)."""
    rows = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            for x, y, w, h in cells(column * step[0], row * step[1]):
                edges = ((x - w / 2) / WIDTH, (y - h / 2) / HEIGHT)
                rows.append([*edges, (x + w / 2) / WIDTH, (y + h / 2) / HEIGHT])
    return np.array(rows)


def test_textboxes_puts_each_box_at_the_lower_edge_too(load_text: Load) -> None:
    def cells(x: float, y: float) -> Iterator[tuple[float, float, float, float]]:
        for w, h in ((7, 7), (sqrt(7 * 12), sqrt(7 * 12)), (7 * sqrt(3), 7 / sqrt(3))):
            yield x + 4, y + 4, w, h
            yield x + 4, y + 8, w, h

    settings = "min_size: 7.9 max_size: 12 aspect_ratio: 3 flip: false step: 8"
    got = boxes(load_text, f"{settings} denser_prior_boxes: true")[0]
    np.testing.assert_allclose(got, laid(cells, (8, 8)), atol=1e-6)


@pytest.mark.parametrize("ratios", ["fixed_ratio: 2", "aspect_ratio: 2 flip: false", ""])
def test_faceboxes_lays_a_size_on_a_grid(load_text: Load, ratios: str) -> None:
    def cells(x: float, y: float) -> Iterator[tuple[float, float, float, float]]:
        for size, density in ((9.5, 2), (6, 1)):
            shapes = [] if "fixed" in ratios else [(int(size), int(size))]
            shapes += [(size * sqrt(2), size / sqrt(2))] if ratios else []
            shift = int(size / density)
            for w, h in shapes:
                for r in range(density):
                    for c in range(density):
                        start = -(int(size) // 2) + shift / 2
                        yield x + 4 + start + c * shift, y + 4 + start + r * shift, w, h

    settings = f"fixed_size: 9.5 fixed_size: 6 density: 2 density: 1 {ratios} step: 8"
    wanted = laid(cells, (8, 8))
    wanted = np.concatenate((wanted[:, :2].clip(min=0), wanted[:, 2:].clip(max=1)), 1)
    np.testing.assert_allclose(boxes(load_text, settings)[0], wanted, atol=1e-6)


def test_tl_ssd_has_several_centres_and_no_squares(load_text: Load) -> None:
    def cells(x: float, y: float) -> Iterator[tuple[float, float, float, float]]:
        for a in (0.25, 0.75):
            for b in (0, 0.5, 1):
                for r in (0.5, 2):
                    yield x + a * 10, y + b * 6, 5 * sqrt(r), 5 / sqrt(r)

    settings = (
        "min_size: 5 aspect_ratio: 0.5 offset_w: 0.25 offset_w: 0.75 "
        "offset_h: 0 offset_h: 0.5 offset_h: 1 step_w: 10 step_h: 6"
    )
    np.testing.assert_allclose(boxes(load_text, settings)[0], laid(cells, (10, 6)), atol=1e-6)


def test_clustered_boxes_have_the_given_widths_and_heights(load_text: Load) -> None:
    def cells(x: float, y: float) -> Iterator[tuple[float, float, float, float]]:
        for w, h in ((7.5, 3.25), (9, 20)):
            yield x + WIDTH / COLUMNS / 2, y + HEIGHT / ROWS / 2, w, h

    settings = "width: 7.5 width: 9 height: 3.25 height: 20 variance: 1 variance: 2"
    got = boxes(load_text, f"{settings} variance: 3 variance: 4 clip: true", "PriorBoxClustered")
    wanted = laid(cells, (WIDTH / COLUMNS, HEIGHT / ROWS)).clip(0, 1)
    np.testing.assert_allclose(got[0], wanted, atol=1e-6)
    assert (got[1] == [1, 2, 3, 4]).all()


def test_its_sizes_are_those_that_are_fed(load_text: Load, tmp_path: Any) -> None:
    settings = "min_size: 7 max_size: 12 aspect_ratio: 3"
    module = compiled(load_text, settings)
    x, image = torch.zeros(1, 1, 4, 5), torch.zeros(1, 3, 20, 60)
    layer = f'type: "PriorBox" prior_box_param {{ {settings} }} top: "y"'
    other = netspec.compile(load_text(net_text(layer, x=x.shape, image=image.shape)))
    assert torch.equal(module(x=x, image=image)["y"], other(x=x, image=image)["y"])


def test_it_can_be_exported(load_text: Load) -> None:
    module = compiled(load_text, "min_size: 7")
    feed = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    exported = torch.export.export(module, (), feed, strict=False)
    assert torch.equal(exported.module()(**feed)["y"], module(**feed)["y"])


WRONG = [
    ("", "'min_size' is missing"),
    ("min_size: 0", "'min_size' must be above 0, got 0"),
    ("min_size: 4 max_size: 4", "'max_size' must be above 'min_size' 4, got 4"),
    (
        "min_size: 4 min_size: 5 max_size: 6",
        "there are 2 of 'min_size' and 1 of 'max_size'; expected as many, or no 'max_size'",
    ),
    ("min_size: 4 variance: 1 variance: 1", "'variance' takes 1 or 4 values, got 2"),
    ("min_size: 4 variance: -1", "'variance' must be above 0, got -1"),
    ("min_size: 4 img_size: 9 img_h: 9", "'img_size' and 'img_h' exclude each other"),
    ("min_size: 4 img_h: 9", "'img_w' must be above 0, got 0"),
    ("min_size: 4 step: 0", "'step' must be above 0, got 0"),
    ("min_size: 4 step_w: 3", "'step_h' must be above 0, got 0"),
    ("min_size: 4 aspect_ratio: -2", "'aspect_ratio' must be above 0, got -2"),
    (
        "min_size: 4 reduce_boxes: true denser_prior_boxes: true",
        "'denser_prior_boxes' and 'reduce_boxes' are of different forks",
    ),
    ("fixed_size: 4", "there are 1 of 'fixed_size' and 0 of 'density'; expected as many"),
    (
        "fixed_size: 4 density: 1 min_size: 4",
        "'fixed_size' and 'min_size' exclude each other",
    ),
    ("min_size: 4 offset_w: 0.5 aspect_ratio: 2", "'offset_h' is missing"),
    (
        "min_size: 4 offset_w: 0.5 offset_h: 0.5 aspect_ratio: 1",
        "'aspect_ratio' 1 makes no box with 'offset_w'",
    ),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_a_fault_is_reported(load_text: Load, settings: str, message: str) -> None:
    with pytest.raises(NetspecError) as caught:
        compiled(load_text, settings)
    (fault,) = caught.value.diagnostics
    assert fault.message == f"layer 'l': {message}"
    assert fault.span.line == 3
