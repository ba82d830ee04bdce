"""Regions of interest: pooled, and proposed by an RPN."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netspec.exporters.not_exported import not_exported
from netspec.exporters.onnx_graph import FLOAT, OnnxGraph

DOUBLE, INT64 = 11, 7  # TensorProto.DataType
_LOWEST = float(np.finfo(np.float32).min)


def emit_roi_pooling(graph: OnnxGraph) -> None:
    p = graph.layer.field("roi_pooling_param")
    graph.opset = 21  # the last whose MaxRoiPool onnxruntime 1.32 has; nothing here needs more
    rois = graph.node("Reshape", [graph.bottoms[1], graph.sizes(-1, 5)])
    graph.node(
        "MaxRoiPool",
        [graph.bottoms[0], rois],
        graph.tops[0],
        pooled_shape=[p.pooled_h, p.pooled_w],
        spatial_scale=p.spatial_scale,
    )


def emit_psroi_pooling(graph: OnnxGraph) -> None:
    """Sums of rectangles from a table of the sums of all that begin at the map's corner."""
    p = graph.layer.field("psroi_pooling_param")
    _, channels, height, width = graph.layer.bottom_blobs[0].shape or ()
    group, scale = p.group_size, graph.constant(p.spatial_scale, "scale")
    rois = graph.node("Reshape", [graph.bottoms[1], graph.sizes(-1, 5)])
    corners = _rounded(graph, graph.pick(rois, (1, 2, 3, 4), 1))
    one = graph.constant(1, "one")
    start = graph.node("Mul", [graph.pick(corners, (0, 1), 1), scale])
    end = graph.node("Mul", [graph.node("Add", [graph.pick(corners, (2, 3), 1), one]), scale])
    least = graph.constant(0.1, "least")
    size = graph.node("Max", [graph.node("Sub", [end, start]), least])
    rows, columns = (
        _bins(graph, graph.pick(start, axis, 1), graph.pick(size, axis, 1), group, limit)
        for axis, limit in ((1, height), (0, width))
    )
    sums = graph.node("Cast", [graph.bottoms[0]], to=DOUBLE)
    for axis in (2, 3):
        sums = graph.node("CumSum", [sums, graph.constant(axis, "axis", np.int64)])
    sums = graph.node("Pad", [sums, graph.sizes(0, 0, 1, 1, 0, 0, 0, 0)])
    flat = graph.node("Reshape", [sums, graph.sizes(-1)])
    image = graph.node("Cast", [graph.pick(rois, 0, 1)], to=INT64)
    image = graph.node("Reshape", [image, graph.sizes(-1, 1, 1, 1)])
    first = graph.node("Mul", [image, graph.sizes(channels)])
    channel = np.arange(channels).reshape(1, p.output_dim, group, group)
    plane = graph.node("Add", [first, graph.constant(channel, "channel", np.int64)])
    table = _Table(flat, plane, height, width)
    total = _rectangles(graph, table, rows, columns)
    area = graph.node("Mul", [_extents(graph, rows, 3), _extents(graph, columns, 2)])
    divisor = graph.node("Cast", [graph.node("Max", [area, graph.sizes(1)])], to=DOUBLE)
    mean = graph.node("Cast", [graph.node("Div", [total, divisor])], to=FLOAT)
    has_any = graph.node("Greater", [area, graph.sizes(0)])
    graph.node("Where", [has_any, mean, graph.constant(0, "zero")], graph.tops[0])


class _Bins(NamedTuple):
    """Where bins begin and end along an axis of the map, whole numbers: (R, group)."""

    begin: str
    end: str


class _Table(NamedTuple):
    """The table of sums as a row, the plane of each value of the top in it, the map's size."""

    flat: str
    plane: str
    height: int
    width: int


def _rounded(graph: OnnxGraph, x: str) -> str:
    """As C's round: halves go away from zero."""
    size = graph.node("Abs", [x])
    whole = graph.node("Floor", [size])
    rest = graph.node("Sub", [size, whole])
    up = graph.node("GreaterOrEqual", [rest, graph.constant(0.5, "half")])
    made = graph.node("Add", [whole, graph.node("Cast", [up], to=FLOAT)])
    return graph.node("Mul", [graph.node("Sign", [x]), made])


def _bins(graph: OnnxGraph, start: str, size: str, count: int, limit: int) -> _Bins:
    step = graph.node("Div", [size, graph.constant(count, "count")])
    bounds = [graph.constant(value, "limit") for value in (0, limit)]
    found = []
    for op, places in (("Floor", np.arange(count)), ("Ceil", np.arange(1, count + 1))):
        along = graph.node("Mul", [graph.constant(places.reshape(1, -1), "steps"), step])
        edge = graph.node(op, [graph.node("Add", [along, start])])
        inside = graph.node("Min", [graph.node("Max", [edge, bounds[0]]), bounds[1]])
        found.append(graph.node("Cast", [inside], to=INT64))
    return _Bins(*found)


def _rectangles(graph: OnnxGraph, table: _Table, rows: _Bins, columns: _Bins) -> str:
    """The sum over each bin: of the table's four corners."""

    def corner(row: str, column: str) -> str:
        below = graph.node("Mul", [table.plane, graph.sizes(table.height + 1)])
        above = graph.node("Add", [below, graph.node("Unsqueeze", [row, graph.sizes(1, 3)])])
        line = graph.node("Mul", [above, graph.sizes(table.width + 1)])
        place = graph.node("Add", [line, graph.node("Unsqueeze", [column, graph.sizes(1, 2)])])
        return graph.node("Gather", [table.flat, place])

    total = corner(rows.end, columns.end)
    for op, row, column in (
        ("Sub", rows.begin, columns.end),
        ("Sub", rows.end, columns.begin),
        ("Add", rows.begin, columns.begin),
    ):
        total = graph.node(op, [total, corner(row, column)])
    return total


def _extents(graph: OnnxGraph, bins: _Bins, axis: int) -> str:
    length = graph.node("Max", [graph.node("Sub", [bins.end, bins.begin]), graph.sizes(0)])
    return graph.node("Unsqueeze", [length, graph.sizes(1, axis)])


class Rule(NamedTuple):
    """What proposals are made by.

    `leaves_small` says whether a box with a side below `min_size` pixels of the unscaled image
    stays, with a score of 0.
    """

    anchors: NDArray[np.float32]
    stride: int
    min_size: int
    before: int
    after: int
    threshold: float
    leaves_small: bool


def emit_proposal(graph: OnnxGraph) -> None:
    p = graph.layer.field("proposal_param")
    if not p.nms_thresh >= 0:
        reason = "ONNX's suppression takes a threshold from 0 on"
        raise not_exported(graph.layer, reason, "proposal_param", "nms_thresh")
    rule = Rule(
        _anchors(p.base_size, list(p.ratio), list(p.scale)),
        p.feat_stride,
        p.min_size,
        p.pre_nms_topn,
        p.post_nms_topn,
        p.nms_thresh,
        True,
    )
    emit_proposals(graph, rule, (2, 3))


def _anchors(base: int, ratios: list[float], scales: list[float]) -> NDArray[np.float32]:
    """A row of corners for each ratio and, within it, each scale: see Proposal's builder."""
    ratio, scale = np.array(ratios, np.float32)[:, None], np.array(scales, np.float32)
    width = np.sqrt(np.float32(base * base) / ratio)
    half = [
        # Caffe's macro ROUND cuts off towards zero after it has added a half
        np.float32(0.5) * np.trunc(side * scale / np.float32(base) - 1 + np.float32(0.5)).ravel()
        for side in (width, width * ratio)
    ]
    center = np.float32(0.5 * (base - 1))
    return np.stack([center - half[0], center - half[1], center + half[0], center + half[1]], 1)


def emit_proposals(graph: OnnxGraph, rule: Rule, scales: tuple[int, int]) -> None:
    """The best boxes after suppression; `scales` says which of the info's numbers are x's and y's.

    Boxes are in whole pixels: from x1 to x2 there are x2 - x1 + 1.
    """
    _, channels, height, width = graph.layer.bottom_blobs[0].shape or ()
    places = height * width * channels // 2
    info = graph.node("Reshape", [graph.bottoms[2], graph.sizes(-1)])
    half = graph.pick(graph.bottoms[0], range(channels // 2, channels), 1)
    by_place = graph.node("Transpose", [half], perm=[0, 2, 3, 1])
    scores = graph.node("Reshape", [by_place, graph.sizes(0, places)])
    boxes = _clipped(graph, _decoded(graph, rule, height, width), info)
    is_small = _is_small(graph, boxes, info, rule, scales)
    instead = graph.constant(0 if rule.leaves_small else -np.inf, "instead")
    scores = graph.node("Where", [is_small, instead, scores])
    ranks = min(rule.before, places)
    best, order = (f"{graph.tops[0]}/{what}" for what in ("scores", "order"))
    graph.node("TopK", [scores, graph.sizes(ranks)], [best, order], axis=1)
    index = graph.node("Unsqueeze", [order, graph.sizes(2)])
    chosen = graph.node("GatherND", [boxes, index], batch_dims=1)
    ends = graph.node("Add", [graph.pick(chosen, (2, 3), 2), graph.constant(1, "pixel")])
    whole = graph.node("Concat", [graph.pick(chosen, (0, 1), 2), ends], axis=2)
    settings = [
        graph.sizes(rule.after),
        graph.constant(min(rule.threshold, 1), "overlap"),
        *([] if rule.leaves_small else [graph.constant(_LOWEST, "lowest")]),
    ]
    each = graph.node("Unsqueeze", [best, graph.sizes(1)])
    selected = graph.node("NonMaxSuppression", [whole, each, *settings])
    found = graph.pick(selected, (0, 2), 1)
    image = graph.node("Cast", [graph.pick(found, 0, 1)], to=FLOAT)
    graph.node("Concat", [image, graph.node("GatherND", [chosen, found])], graph.tops[0], axis=1)
    graph.dims[graph.tops[0]] = ("regions", 5)
    if len(graph.tops) > 1:
        behind = [1] * (not rule.leaves_small)  # py-faster-rcnn's scores are a column
        values = graph.node("GatherND", [best, found])
        graph.node("Reshape", [values, graph.sizes(-1, *behind)], graph.tops[1])
        graph.dims[graph.tops[1]] = ("regions", *behind)


def _decoded(graph: OnnxGraph, rule: Rule, height: int, width: int) -> list[str]:
    """The boxes that the deltas mean, as their four coordinates, each (N, places, 1)."""
    y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (height, width)), indexing="ij")
    shifts = np.stack((x, y, x, y), -1)[:, :, None] * np.float32(rule.stride)
    anchors = (shifts + rule.anchors).reshape(-1, 4)
    moved = graph.node("Transpose", [graph.bottoms[1]], perm=[0, 2, 3, 1])
    deltas = graph.node("Reshape", [moved, graph.sizes(0, len(anchors), 4)])
    low, high = [], []
    for axis in (0, 1):
        side = anchors[:, axis + 2] - anchors[:, axis] + np.float32(1)
        middle = anchors[:, axis] + np.float32(0.5) * side
        sides, middles = (graph.constant(v[:, None], "anchors") for v in (side, middle))
        shift = graph.node("Mul", [graph.pick(deltas, axis, 2), sides])
        centre = graph.node("Add", [shift, middles])
        growth = graph.node("Exp", [graph.pick(deltas, axis + 2, 2)])
        reach = graph.node("Mul", [growth, graph.constant(0.5, "half")])
        reach = graph.node("Mul", [reach, sides])
        low.append(graph.node("Sub", [centre, reach]))
        high.append(graph.node("Add", [centre, reach]))
    return [*low, *high]


def _clipped(graph: OnnxGraph, corners: list[str], info: str) -> str:
    """The boxes with their corners inside the image, (N, places, 4)."""
    one, zero = graph.constant(1, "one"), graph.constant(0, "zero")
    last = [graph.node("Sub", [graph.pick(info, i, 0), one]) for i in (1, 0)]
    inside = [
        graph.node("Max", [graph.node("Min", [corner, last[i % 2]]), zero])
        for i, corner in enumerate(corners)
    ]
    return graph.node("Concat", inside, axis=2)


def _is_small(graph: OnnxGraph, boxes: str, info: str, rule: Rule, scales: tuple[int, int]) -> str:
    """Whether a side of a box is below the least, (N, places)."""
    found = []
    for axis, scale in enumerate(scales[::-1]):
        span = graph.node("Sub", [graph.pick(boxes, axis + 2, 2), graph.pick(boxes, axis, 2)])
        size = graph.node("Add", [span, graph.constant(1, "pixel")])
        least = graph.node(
            "Mul", [graph.pick(info, scale, 0), graph.constant(rule.min_size, "least")]
        )
        found.append(graph.node("Less", [size, least]))
    return graph.node("Squeeze", [graph.node("Or", found), graph.sizes(2)])


EMITTERS = {
    "ROIPooling": emit_roi_pooling,
    "PSROIPooling": emit_psroi_pooling,
    "Proposal": emit_proposal,
}
