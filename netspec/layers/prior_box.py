"""The boxes that SSD lays over a feature map.

Source: weiliu89/caffe, branch ssd (PriorBoxLayer); chuanqi305/ssd (reduce_boxes),
lippman1125/faceboxes_lqy (fixed_size), MhLiao/TextBoxes_plusplus (denser_prior_boxes),
julimueller/tl_ssd (offset_w), openvinotoolkit/training_toolbox_caffe (PriorBoxClusteredLayer).
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

from netspec.graph import Shape
from netspec.layers.example import Example
from netspec.layers.kept import Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec

_NEAR = 1e-6  # ratios no further apart are the same
# The fields of each fork that lays its boxes in a way of its own.
_FORKS = {
    "fixed_size": ("fixed_size", "fixed_ratio", "density"),
    "denser_prior_boxes": ("denser_prior_boxes",),
    "offset_w": ("offset_w", "offset_h"),
    "reduce_boxes": ("reduce_boxes",),
}


class CellBox(NamedTuple):
    """A box of every cell: its size in pixels and where its centre is.

    The centre is `offset` cells from the cell's corner and `shift` pixels from there.
    """

    width: float
    height: float
    offset_x: float
    offset_y: float
    shift_x: float = 0.0
    shift_y: float = 0.0


class DefaultBoxes(Spec):
    """What the layers of default boxes share: the grid, the variances, the top's shape."""

    param = "prior_box_param"
    bottoms = (2, 2)
    keeps = Kept(top_is_free=True)
    unforced = sizes_only = (0, 1)  # the boxes follow from sizes alone

    def check(self, context: LayerContext) -> None:
        _check_variances(context)
        _check_pair(context, "img_size", "img_h", "img_w")
        _check_pair(context, "step", "step_h", "step_w")

    def infer(self, context: LayerContext) -> list[Shape]:
        for i, bottom in enumerate(context.bottoms):
            if len(bottom) != 4:
                message = (
                    f"'{context.layer.bottoms[i]}' must have 4 axes (N×C×H×W), got {len(bottom)}"
                )
                raise context.stop(message, "bottom", i, notes=[context.made_here(i)])
        height, width = context.bottoms[0][2:]
        return [(1, 2, height * width * len(self.cell_boxes(context.param)) * 4)]

    def cell_boxes(self, param: Any) -> list[CellBox]:
        """The boxes of one cell, in the order in which the top has them."""
        raise NotImplementedError


class PriorBox(DefaultBoxes):
    """Default boxes over a feature map, and their variances, as parts of the image's size."""

    type = "PriorBox"
    shown = (
        Setting("min_size", "min {}", True),
        Setting("max_size", "max {}"),
        Setting("aspect_ratio", "aspect {}"),
        Setting("step", "step {}"),
    )
    example = Example(
        {"conv4_3_norm": (1, 512, 38, 38), "data": (1, 3, 300, 300)},
        "prior_box_param { min_size: 30 max_size: 60 aspect_ratio: 2 step: 8 "
        "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }",
        tops=("prior",),
        shapes="1×2×(H·W·boxes·4): row 0 the boxes, row 1 their variances",
    )

    def check(self, context: LayerContext) -> None:
        super().check(context)
        p = context.param
        forks = [name for name, fields in _FORKS.items() if any(_states(p, f) for f in fields)]
        if len(forks) > 1:
            context.error(f"'{forks[0]}' and '{forks[1]}' are of different forks", forks[1])
        for field in ("min_size", "max_size", "aspect_ratio", "fixed_size", "fixed_ratio"):
            _check_positive(context, field)
        if "fixed_size" in forks:
            _check_fixed(context)
        elif not p.min_size:
            context.error("'min_size' is missing", "min_size", hint="the side of a box in pixels")
        if "offset_w" in forks:
            _check_offsets(context)
        _check_max(context)

    def cell_boxes(self, param: Any) -> list[CellBox]:
        if param.fixed_size:
            return _dense_boxes(param)
        if param.offset_w:
            return _offset_boxes(param)
        offset, boxes = param.offset, []
        for i, size in enumerate(param.min_size):
            # Quirk: sizes are cut to whole pixels
            side = float(int(size))
            first = side / 2 if param.reduce_boxes else side
            sizes = [(first, first)]
            if param.max_size:
                between = sqrt(int(size) * int(param.max_size[i]))
                sizes.append((between, between))
            sizes += [(side * sqrt(r), side / sqrt(r)) for r in _ratios(param, [1.0])[1:]]
            for width, height in sizes:
                boxes.append(CellBox(width, height, offset, offset))
                if param.denser_prior_boxes:  # a second row, at the lower edge of the cells
                    boxes.append(CellBox(width, height, offset, 1.0))
        return boxes


class PriorBoxClustered(DefaultBoxes):
    """Default boxes of given widths and heights in pixels over a feature map."""

    type = "PriorBoxClustered"
    shown = (Setting("width", "widths {}", True), Setting("height", "heights {}", True))
    example = Example(
        {"conv": (1, 512, 20, 20), "data": (1, 3, 320, 320)},
        "prior_box_param { width: 30 width: 60 height: 40 height: 50 step: 16 }",
        tops=("prior",),
        shapes="1×2×(H·W·boxes·4): row 0 the boxes, row 1 their variances",
    )

    def check(self, context: LayerContext) -> None:
        super().check(context)
        p = context.param
        for field in ("width", "height"):
            _check_positive(context, field)
        if not p.width:
            context.error("'width' is missing", "width", hint="the widths of the boxes in pixels")
        elif len(p.width) != len(p.height):
            context.error(
                f"there are {len(p.width)} of 'width' and {len(p.height)} of 'height'; "
                "expected as many",
                "height" if p.height else "width",
            )

    def cell_boxes(self, param: Any) -> list[CellBox]:
        sizes = zip(param.width, param.height, strict=False)
        return [CellBox(w, h, param.offset, param.offset) for w, h in sizes]


def _ratios(param: Any, first: list[float]) -> list[float]:
    """The aspect ratios, each followed by its inverse with `flip`.

    One that is there already is left out with its inverse.
    """
    ratios = list(first)
    for ratio in param.aspect_ratio:
        if all(abs(ratio - other) >= _NEAR for other in ratios):
            ratios += [ratio, 1 / ratio] if param.flip else [ratio]
    return ratios


def _dense_boxes(param: Any) -> list[CellBox]:
    """FaceBoxes': each size on a grid of density × density within its own square."""
    boxes = []
    for size, density in zip(param.fixed_size, map(int, param.density), strict=True):
        side = float(int(size))
        if param.fixed_ratio:
            shapes = [(size * sqrt(r), size / sqrt(r)) for r in param.fixed_ratio]
        else:
            shapes = [(side, side)]
            shapes += [(size * sqrt(r), size / sqrt(r)) for r in _ratios(param, [1.0])[1:]]
        step = int(size / density)
        shifts = [step / 2 + i * step - int(side) // 2 for i in range(density)]
        boxes += [
            CellBox(width, height, param.offset, param.offset, x, y)
            for width, height in shapes
            for y in shifts
            for x in shifts
        ]
    return boxes


def _offset_boxes(param: Any) -> list[CellBox]:
    """tl_ssd's: no square boxes, and several centres in a cell."""
    return [
        CellBox(int(size) * sqrt(r), int(size) / sqrt(r), x, y)
        for x in param.offset_w
        for y in param.offset_h
        for size in param.min_size
        for r in _ratios(param, [])
    ]


def _states(param: Any, field: str) -> bool:
    value = getattr(param, field)
    return bool(value) if isinstance(value, bool) else bool(len(value))


def _check_positive(context: LayerContext, field: str) -> None:
    for i, value in enumerate(getattr(context.param, field)):
        if not value > 0:
            context.error(f"'{field}' must be above 0, got {value:g}", field, i)


def _check_max(context: LayerContext) -> None:
    p = context.param
    if p.max_size and len(p.max_size) != len(p.min_size):
        context.error(
            f"there are {len(p.min_size)} of 'min_size' and {len(p.max_size)} of 'max_size'; "
            "expected as many, or no 'max_size'",
            "max_size",
            0,
        )
        return
    for i, (least, most) in enumerate(zip(p.min_size, p.max_size, strict=False)):
        if not most > least:
            context.error(
                f"'max_size' must be above 'min_size' {least:g}, got {most:g}", "max_size", i
            )


def _check_fixed(context: LayerContext) -> None:
    p = context.param
    if len(p.fixed_size) != len(p.density):
        context.error(
            f"there are {len(p.fixed_size)} of 'fixed_size' and {len(p.density)} of 'density'; "
            "expected as many",
            "density" if p.density else "fixed_size",
        )
    for i, density in enumerate(p.density):
        if not density >= 1:
            context.error(f"'density' must be at least 1, got {density:g}", "density", i)
    if p.fixed_ratio and p.aspect_ratio:
        context.error("'fixed_ratio' and 'aspect_ratio' exclude each other", "fixed_ratio", 0)
    # Quirk: the fork counts its boxes for these two as fewer or more than it writes
    if len(p.fixed_ratio) > 1:
        context.error("'fixed_ratio' takes one value in the fork", "fixed_ratio", 1)
    if p.min_size:
        context.error("'fixed_size' and 'min_size' exclude each other", "min_size", 0)


def _check_offsets(context: LayerContext) -> None:
    p = context.param
    for field in ("offset_w", "offset_h"):
        if not getattr(p, field):
            context.error(
                f"'{field}' is missing", *(("offset_h",) if p.offset_h else ("offset_w",))
            )
        for i, value in enumerate(getattr(p, field)):
            if not 0 <= value <= 1:
                context.error(f"'{field}' must be from 0 to 1, got {value:g}", field, i)
    if not p.aspect_ratio:
        context.error("'aspect_ratio' is missing: with 'offset_w' no box is square", "offset_w")
    for i, ratio in enumerate(p.aspect_ratio):
        if abs(ratio - 1) < _NEAR:  # Quirk: tl_ssd counts such a box and never writes it
            context.error("'aspect_ratio' 1 makes no box with 'offset_w'", "aspect_ratio", i)


def _check_variances(context: LayerContext) -> None:
    count = len(context.param.variance)
    if count not in (0, 1, 4):
        context.error(f"'variance' takes 1 or 4 values, got {count}", "variance", 0)
    _check_positive(context, "variance")


def _check_pair(context: LayerContext, both: str, *pair: str) -> None:
    """A size is given once for both axes, or for each of them, or not at all."""
    stated = [field for field in (both, *pair) if context.has(field)]
    if both in stated and len(stated) > 1:
        context.error(f"'{both}' and '{stated[1]}' exclude each other", stated[1])
        return
    for field in pair if stated and both not in stated else stated:
        value = getattr(context.param, field)
        if not value > 0:
            where = field if context.has(field) else stated[0]
            context.error(f"'{field}' must be above 0, got {value:g}", where)


def stated_pair(param: Any, both: str, height: str, width: str) -> tuple[Any, Any] | None:
    """(height, width) as a layer states them, None where it does not."""
    if param.HasField(both):
        return getattr(param, both), getattr(param, both)
    stated = param.HasField(height) or param.HasField(width)
    return (getattr(param, height), getattr(param, width)) if stated else None


SPECS: tuple[type[Spec], ...] = (PriorBox, PriorBoxClustered)
