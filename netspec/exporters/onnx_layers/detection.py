"""SSD's layers: its normalisation, and detections, whose number depends on the data.

Detections are a dense mask over (image, class, rank of the score in its class): what stays of it
is in the order in which Caffe writes its rows.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from netspec.exporters.not_exported import not_exported
from netspec.exporters.onnx_graph import FLOAT, OnnxGraph
from netspec.layers.detection import axes_in_order

BOOL = 9  # TensorProto.DataType
_LOWEST = float(np.finfo(np.float32).min)
_CORNER, _CENTER_SIZE, _CORNER_SIZE = 1, 2, 3  # PriorBoxParameter.CodeType


def emit_permute(graph: OnnxGraph) -> None:
    axes = len(graph.layer.bottom_blobs[0].shape or ())
    order = graph.layer.field("permute_param").order
    graph.node("Transpose", [graph.bottoms[0]], graph.tops[0], perm=axes_in_order(order, axes))


def emit_normalize(graph: OnnxGraph) -> None:
    p, bottom = graph.layer.field("norm_param"), graph.layer.bottom_blobs[0].shape or ()
    x = graph.bottoms[0]
    along = graph.sizes(*(range(1, len(bottom)) if p.across_spatial else (1,)))
    squares = graph.node("ReduceSumSquare", [x, along])
    norm = graph.node("Sqrt", [graph.node("Add", [squares, graph.constant(p.eps, "eps")])])
    scale = np.asarray(graph.params[0])
    shape = (1,) if prod(scale.shape) == 1 else (-1, *[1] * (len(bottom) - 2))
    factor = graph.constant(scale.reshape(shape), "0")
    graph.node("Mul", [graph.node("Div", [x, norm]), factor], graph.tops[0])


class _Candidates(NamedTuple):
    """The best boxes of each class, by score, and how many there are of each.

    Shapes: boxes (N, C·ranks, 4), scores (N, C, ranks)
    """

    boxes: str
    scores: str
    ranks: int


def emit_detection_output(graph: OnnxGraph) -> None:
    p = graph.layer.field("detection_output_param")
    _require_exact(graph)
    classes = [c for c in range(p.num_classes) if c != p.background_label_id]
    priors = (graph.layer.bottom_blobs[2].shape or ())[2] // 4
    found = _candidates(graph, classes, priors)
    width = len(classes) * found.ranks
    mask = _suppressed(graph, found)
    dense = graph.node("Reshape", [mask, graph.sizes(-1, width)])
    scores = graph.node("Reshape", [found.scores, graph.sizes(-1, width)])
    if -1 < p.keep_top_k < width:
        dense = _best(graph, dense, scores, p.keep_top_k)
    places = graph.node("Transpose", [graph.node("NonZero", [dense])], perm=[1, 0])
    ranks = graph.constant(found.ranks, "ranks", np.int64)
    label = graph.node("Div", [graph.pick(places, 1, 1), ranks])
    labels = graph.constant(classes, "classes")
    score = graph.node("GatherND", [scores, places])
    row = [
        graph.node("Cast", [graph.pick(places, 0, 1)], to=FLOAT),
        graph.node("Gather", [labels, label]),
        graph.node("Reshape", [score, graph.sizes(-1, 1)]),
        graph.node("GatherND", [found.boxes, places]),
    ]
    rows = graph.node("Concat", row, axis=1)
    every = graph.node("Concat", [rows, _nothing(graph, rows)], axis=0)
    graph.node("Reshape", [every, graph.sizes(1, 1, -1, 7)], graph.tops[0])
    graph.dims[graph.tops[0]] = (1, 1, "detections", 7)


def _require_exact(graph: OnnxGraph) -> None:
    """Raises NetspecError for rules that ONNX has no operator for."""
    p = graph.layer.field("detection_output_param")
    nms = p.nms_param
    path = ("detection_output_param", "nms_param")
    if nms.eta < 1 and nms.nms_threshold > 0.5:
        reason = "ONNX's suppression has one threshold, with 'eta' it shrinks"
        raise not_exported(graph.layer, reason, *path, "eta")
    if nms.HasField("top_k") and not nms.top_k:
        raise not_exported(graph.layer, "it keeps no box", *path, "top_k")
    if not p.keep_top_k:
        raise not_exported(graph.layer, "it keeps no box", path[0], "keep_top_k")
    if p.num_classes == 1 and not p.background_label_id:
        raise not_exported(graph.layer, "its one class is the background", path[0], "num_classes")


def _candidates(graph: OnnxGraph, classes: list[int], priors: int) -> _Candidates:
    p = graph.layer.field("detection_output_param")
    sets = 1 if p.share_location else p.num_classes
    scores = graph.node("Reshape", [graph.bottoms[1], graph.sizes(0, priors, -1)])
    halves = graph.node("Reshape", [graph.bottoms[2], graph.sizes(2, priors, 4)])
    boxes, variances = (graph.pick(halves, i, 0) for i in (0, 1))
    used = None if p.variance_encoded_in_target else variances
    extra = graph.bottoms[3:]
    if extra and prod((graph.layer.bottom_blobs[3].shape or ())[1:]) == priors * 2:
        scores = _objects(graph, scores, priors)
    if len(extra) > 1:
        refined = graph.node("Reshape", [extra[1], graph.sizes(0, priors, 4)])
        boxes = _decoded(graph, p.code_type, boxes, used, refined)
    per_set = graph.sizes(2)
    boxes = graph.node("Unsqueeze", [boxes, per_set])
    used = None if used is None else graph.node("Unsqueeze", [used, per_set])
    values = graph.node("Reshape", [graph.bottoms[0], graph.sizes(0, priors, sets, 4)])
    decoded = graph.node(
        "Transpose", [_decoded(graph, p.code_type, boxes, used, values)], perm=[0, 2, 1, 3]
    )
    by_class = graph.pick(graph.node("Transpose", [scores], perm=[0, 2, 1]), classes, 1)
    top_k = p.nms_param.top_k if p.nms_param.HasField("top_k") else -1
    ranks = priors if top_k < 0 else min(top_k, priors)
    best, places = (f"{graph.tops[0]}/{what}" for what in ("scores", "places"))
    graph.node("TopK", [by_class, graph.sizes(ranks)], [best, places], axis=2)
    if sets == 1:
        decoded = graph.node("Reshape", [decoded, graph.sizes(0, priors, 4)])
        index = graph.node("Reshape", [places, graph.sizes(0, -1, 1)])
        chosen = graph.node("GatherND", [decoded, index], batch_dims=1)
    else:
        index = graph.node("Unsqueeze", [places, graph.sizes(3)])
        own = graph.node("GatherND", [graph.pick(decoded, classes, 1), index], batch_dims=2)
        chosen = graph.node("Reshape", [own, graph.sizes(0, -1, 4)])
    return _Candidates(chosen, best, ranks)


def _objects(graph: OnnxGraph, scores: str, priors: int) -> str:
    """RefineDet's scores: where the first stage sees no object, all are the background's."""
    p = graph.layer.field("detection_output_param")
    arm = graph.node("Reshape", [graph.bottoms[3], graph.sizes(0, priors, 2)])
    limit = graph.constant(p.objectness_score, "objectness")
    is_low = graph.node("Less", [graph.pick(arm, 1, 2), limit])
    none = np.zeros(p.num_classes)
    none[0] = 1  # Quirk: class 0, whatever the background's label is
    return graph.node("Where", [is_low, graph.constant(none, "none"), scores])


def _decoded(graph: OnnxGraph, code: int, priors: str, variances: str | None, values: str) -> str:
    """The boxes that predictions mean: netspec.pytorch.boxes.decode."""
    scaled = values if variances is None else graph.node("Mul", [variances, values])
    if code == _CORNER:
        return graph.node("Add", [priors, scaled])
    low, high = graph.pick(priors, (0, 1), -1), graph.pick(priors, (2, 3), -1)
    sizes = graph.node("Sub", [high, low])
    if code == _CORNER_SIZE:
        both = graph.node("Concat", [sizes, sizes], axis=-1)
        return graph.node("Add", [priors, graph.node("Mul", [scaled, both])])
    two = graph.constant(2, "two")
    middle = graph.node("Div", [graph.node("Add", [low, high]), two])
    shift = graph.node("Mul", [graph.pick(scaled, (0, 1), -1), sizes])
    centres = graph.node("Add", [shift, middle])
    growth = graph.node("Exp", [graph.pick(scaled, (2, 3), -1)])
    halves = graph.node("Div", [graph.node("Mul", [growth, sizes]), two])
    ends = [graph.node(op, [centres, halves]) for op in ("Sub", "Add")]
    return graph.node("Concat", ends, axis=-1)


def _suppressed(graph: OnnxGraph, found: _Candidates) -> str:
    """Which candidates stay: 1 or 0 for each class of each image, (N·C, ranks)."""
    p = graph.layer.field("detection_output_param")
    boxes = graph.node("Reshape", [found.boxes, graph.sizes(-1, found.ranks, 4)])
    if p.code_type != _CENTER_SIZE:
        # of a box whose right edge lies left of its left one ONNX takes the mirror image; for
        # Caffe it is empty
        low, high = graph.pick(boxes, (0, 1), 2), graph.pick(boxes, (2, 3), 2)
        boxes = graph.node("Concat", [low, graph.node("Max", [low, high])], axis=2)
    scores = graph.node("Reshape", [found.scores, graph.sizes(-1, 1, found.ranks)])
    stays = p.confidence_threshold if p.HasField("confidence_threshold") else _LOWEST
    settings = [
        graph.sizes(found.ranks),
        graph.constant(min(p.nms_param.nms_threshold, 1), "overlap"),
        graph.constant(stays, "confidence"),
    ]
    selected = graph.node("NonMaxSuppression", [boxes, scores, *settings])
    index = graph.pick(selected, (0, 2), 1)
    count = graph.node("Shape", [index], start=0, end=1)
    ones = graph.node("Expand", [graph.constant(1, "one"), count])
    rows = graph.node("Reshape", [found.scores, graph.sizes(-1, found.ranks)])
    empty = graph.node("ConstantOfShape", [graph.node("Shape", [rows])])
    return graph.node("ScatterND", [empty, index, ones])


def _best(graph: OnnxGraph, dense: str, scores: str, most: int) -> str:
    """The mask of the best scores of each image over all classes; of equal ones the first."""
    is_kept = graph.node("Cast", [dense], to=BOOL)
    left = graph.node("Where", [is_kept, scores, graph.constant(-np.inf, "none")])
    values, places = (f"{graph.tops[0]}/best{what}" for what in ("_scores", ""))
    graph.node("TopK", [left, graph.sizes(most)], [values, places], axis=1)
    ones = graph.node("ConstantOfShape", [graph.node("Shape", [places])])
    ones = graph.node("Add", [ones, graph.constant(1, "one")])
    empty = graph.node("ConstantOfShape", [graph.node("Shape", [dense])])
    chosen = graph.node("ScatterElements", [empty, places, ones], axis=1)
    return graph.node("Mul", [chosen, dense])


def _nothing(graph: OnnxGraph, rows: str) -> str:
    """What stands where no image has a detection: a row an image, all -1 but the image's number."""
    images = graph.node("Shape", [graph.bottoms[0]], start=0, end=1)
    zero, none = graph.constant(0, "zero", np.int64), graph.sizes(0)
    scalar = graph.node("Squeeze", [images])
    steps = [graph.node("Squeeze", [each]) for each in (zero, graph.sizes(1))]
    numbers = graph.node("Range", [steps[0], scalar, steps[1]])
    column = graph.node("Reshape", [graph.node("Cast", [numbers], to=FLOAT), graph.sizes(-1, 1)])
    shape = graph.node("Concat", [images, graph.sizes(6)], axis=0)
    rest = graph.node("Expand", [graph.constant(-1, "minus"), shape])
    every = graph.node("Concat", [column, rest], axis=1)
    count = graph.node("Shape", [rows], start=0, end=1)
    is_empty = graph.node("Equal", [count, none])
    end = graph.node("Where", [is_empty, images, none])
    return graph.node("Slice", [every, none, end, none])


EMITTERS = {
    "Permute": emit_permute,
    "Normalize (ssd)": emit_normalize,
    "DetectionOutput": emit_detection_output,
}
