"""Object detection: SSD's boxes, and their comparison with the ground truth.

Source: weiliu89/caffe, branch ssd (PermuteLayer, NormalizeLayer, DetectionOutputLayer,
DetectionEvaluateLayer); sfzhang15/RefineDet (DetectionOutput's fourth and fifth bottom).
"""

from __future__ import annotations

import os
from math import prod
from typing import Any

from netspec.files.paths import net_path, resolve_path
from netspec.graph import Layer, Shape, shape_text
from netspec.layers.example import MAPS, SAME, Example
from netspec.layers.kept import BOTTOM_ALONE, Kept
from netspec.layers.layer_context import MISSING_DATA, LayerContext
from netspec.layers.operations import Operations
from netspec.layers.reach import Reach
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec
from netspec.schema.forks import stated


class Permute(Spec):
    """Puts the axes in another order; those that `order` leaves out follow in theirs."""

    type = "Permute"
    param = "permute_param"
    keeps = Kept(top_is_free=True)
    keeps_places = False
    shown = (Setting("order", "order {}"),)
    example = Example(
        MAPS,
        "permute_param { order: 0 order: 2 order: 3 order: 1 }",
        shapes="axis i of the top is axis order[i] of the bottom",
    )

    def shares_memory(self, layer: Layer) -> bool:
        # the axes that are left out follow in their order, so that a run from 0 on changes nothing
        order = list(layer.field(self.param).order)
        return order == list(range(len(order)))

    def check(self, context: LayerContext) -> None:
        order = context.param.order
        for i, axis in enumerate(order):
            if axis in order[:i]:
                context.error(f"'order' names axis {axis} twice", "order", i)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        for i, axis in enumerate(context.param.order):
            if axis >= len(bottom):
                raise context.stop(
                    f"'order' names axis {axis}, out of range for a blob of {len(bottom)} axes",
                    "order",
                    i,
                    notes=[context.made_here(0)],
                )
        return [tuple(bottom[axis] for axis in axes_in_order(context.param.order, len(bottom)))]


def axes_in_order(order: list[int], axes: int) -> list[int]:
    """The axes of a bottom in the order in which the top has them."""
    return [*order, *(axis for axis in range(axes) if axis not in order)]


class Normalize(Spec):
    """Divides an image or each pixel by its L2 norm, and multiplies by a learned scale."""

    type = "Normalize"
    rule = "ssd"
    dialects = ("ssd",)
    differs = "norm_param: L2 over an image or a pixel, with a learned scale"
    param = "norm_param"
    keeps = BOTTOM_ALONE
    shown = (
        Setting("across_spatial", "each pixel"),
        Setting("channel_shared", "a scale for each channel"),
    )
    example = Example(
        MAPS,
        "norm_param { across_spatial: false channel_shared: false "
        'scale_filler { type: "constant" value: 20 } }',
        shapes=SAME,
    )

    def evidence(self, message: Any) -> bool | None:
        if stated(message, "norm_param") is not None:
            return True
        return None if stated(message, "normalize_param") is None else False

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        if not 2 <= len(bottom) <= 4:
            raise context.stop(
                f"Normalize takes a blob of 2 to 4 axes (N×C×H×W), got {len(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        shape = () if context.param.channel_shared else (bottom[1],)
        context.add_param(shape, "scale_filler", 1.0)
        return [bottom]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count * 2

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        over_all = layer.field(self.param).across_spatial
        return None if over_all else super().reach(layer, bottom)

    def operations(self, layer: Layer) -> Operations:
        items, _, *sizes = layer.bottom_blobs[0].shape or (0, 0)
        norms = items * (1 if layer.field(self.param).across_spatial else prod(sizes))
        return Operations(exponentials=norms, divisions=layer.top_blobs[0].count)


class DetectionOutput(Spec):
    """Decodes predicted boxes, suppresses those that overlap a better one and lists the rest."""

    type = "DetectionOutput"
    param = "detection_output_param"
    bottoms = (3, 5)
    keeps = Kept(top_is_free=True)
    unforced = (0, 1, 2, 3, 4)  # a list of detections has no gradient
    shown = (
        Setting("num_classes", "{} classes", True),
        Setting("code_type", "{}", True),
        Setting("keep_top_k", "keeps {}"),
    )
    example = Example(
        {"loc": (1, 34928), "conf": (1, 183372), "prior": (1, 2, 34928)},
        "detection_output_param { num_classes: 21 code_type: CENTER_SIZE keep_top_k: 200 "
        "confidence_threshold: 0.01 nms_param { nms_threshold: 0.45 top_k: 400 } }",
        tops=("detections",),
        shapes="1×1×M×7 for M detections, known at run time only; 1×1×1×7 before data comes",
    )

    def check(self, context: LayerContext) -> None:
        p = context.param
        require_classes(context)
        nms = p.nms_param
        if not nms.nms_threshold >= 0:
            message = f"'nms_threshold' must be at least 0, got {nms.nms_threshold:g}"
            context.error(message, "nms_param", "nms_threshold")
        if not 0 < nms.eta <= 1:
            context.error(f"'eta' must be in (0, 1], got {nms.eta:g}", "nms_param", "eta")
        if p.share_location and p.background_label_id == -1:
            context.error(
                "'background_label_id' -1 needs 'share_location' false",
                "background_label_id",
                hint="Caffe takes the label -1 of shared boxes for the background",
            )
        if p.save_output_param.output_directory:
            context.warn(
                "netspec writes no files of detections", "save_output_param", "output_directory"
            )
        if p.visualize:
            context.warn("netspec shows no detections on a screen", "visualize")

    def infer(self, context: LayerContext) -> list[Shape]:
        p = context.param
        count = require_predictions(context)
        rows = context.bottoms[0][0]
        extra = len(context.bottoms)
        if extra > 4:
            require_arm(context, 3, count, p.share_location)
        elif extra > 3 and prod(context.bottoms[3]) != rows * count * 2 and not p.visualize:
            context.warn(
                f"'{context.layer.bottoms[3]}' is not read: only 'visualize' shows images, and "
                f"RefineDet's scores would be {rows}×{count * 2}",
                "bottom",
                3,
            )
        return [(1, 1, 1, 7)]


class DetectionEvaluate(Spec):
    """Marks each detection as a true or a false positive and counts the true boxes."""

    type = "DetectionEvaluate"
    param = "detection_evaluate_param"
    is_metric = lists_detections = True
    is_repeatable = False  # it counts its images
    bottoms = (2, 2)
    keeps = Kept(top_is_free=True)
    unforced = (0, 1)
    shown = (
        Setting("num_classes", "{} classes", True),
        Setting("overlap_threshold", "overlap {}", True),
    )
    example = Example(
        {"detections": (1, 1, 200, 7), "label": (1, 1, 16, 8)},
        "detection_evaluate_param { num_classes: 21 overlap_threshold: 0.5 }",
        shapes="1×1×(classes without the background + detections)×5",
    )

    def check(self, context: LayerContext) -> None:
        p = context.param
        require_classes(context)
        if p.num_classes and p.background_label_id >= p.num_classes:
            context.error(
                f"'background_label_id' {p.background_label_id} is out of range: expected below "
                f"'num_classes' {p.num_classes}",
                "background_label_id",
            )
        if not p.overlap_threshold > 0:
            context.error(
                f"'overlap_threshold' must be above 0, got {p.overlap_threshold:g}",
                "overlap_threshold",
            )
        resize = p.resize_param
        if context.has("resize_param") and not (resize.height and resize.width):
            context.error("'resize_param' needs 'height' and 'width' above 0", "resize_param")

    def infer(self, context: LayerContext) -> list[Shape]:
        if context.has("name_size_file"):
            _find_sizes(context)
        require_rows(context, 0, 7, "detections")
        require_rows(context, 1, 8, "true boxes")
        classes = context.param.num_classes - 1
        return [(1, 1, classes + context.bottoms[0][2], 5)]


def _find_sizes(context: LayerContext) -> None:
    """Warns where the list of the images' sizes does not exist: nothing but its values needs it."""
    name = context.param.name_size_file
    if not os.path.exists(resolve_path(name, net_path(context.layer))):
        context.report.warning(
            f"{context.layer.label}: the file '{name}' does not exist",
            context.layer.spans.at(context.spec.param, "name_size_file"),
            "it lists the images' names, heights and widths",
            kind=MISSING_DATA,
        )


def require_classes(context: LayerContext) -> None:
    """Requires the number of classes."""
    if context.param.num_classes:
        return
    if context.has("num_classes"):
        context.error("'num_classes' must be at least 1, got 0", "num_classes")
    else:
        hint = "the number of classes with the background, such as num_classes: 21"
        context.error("'num_classes' is missing", hint=hint)


def require_rows(context: LayerContext, index: int, width: int, what: str) -> None:
    """Requires a bottom to list what it holds in rows of that many values: 1×1×rows×width."""
    shape = context.bottoms[index]
    if len(shape) != 4 or shape[:2] != (1, 1) or shape[3] != width:
        message = (
            f"'{context.layer.bottoms[index]}' ({shape_text(shape)}) must list {what} as "
            f"1×1×rows×{width}"
        )
        raise context.stop(message, "bottom", index, notes=[context.made_here(index)])


def require_predictions(context: LayerContext) -> int:
    """Requires boxes and scores for each prior box, the first three bottoms.

    Returns: the number of priors.
    """
    p, priors = context.param, context.bottoms[2]
    if len(priors) < 3 or priors[:2] != (1, 2) or prod(priors[3:]) != 1 or priors[2] % 4:
        message = (
            f"'{context.layer.bottoms[2]}' ({shape_text(priors)}) must hold prior boxes and their "
            "variances as 1×2×(4·priors)"
        )
        raise context.stop(message, "bottom", 2, notes=[context.made_here(2)])
    count = priors[2] // 4
    classes = 1 if p.share_location else p.num_classes
    require_count(context, 0, count * classes * 4, "4 values", classes, count)
    require_count(context, 1, count * p.num_classes, "a score", p.num_classes, count)
    context.same_first()
    return count


def require_arm(context: LayerContext, index: int, count: int, share_location: bool) -> None:
    """Requires RefineDet's two bottoms of its first stage: scores and boxes of each prior."""
    if not share_location:
        raise context.stop(
            f"'{context.layer.bottoms[index + 1]}' needs 'share_location' true",
            "share_location",
        )
    require_count(context, index, count * 2, "a score", 2, count)
    require_count(context, index + 1, count * 4, "4 values", 1, count)


def require_count(
    context: LayerContext, index: int, wanted: int, each: str, classes: int, priors: int
) -> None:
    """Requires so many values for each item of a bottom, and as many items as the first has."""
    shape = context.bottoms[index]
    first = context.bottoms[0][:1]
    if len(shape) < 2 or prod(shape[1:]) != wanted or shape[:1] != first:
        times = f" for each of {classes} classes" if classes > 1 else ""
        message = (
            f"'{context.layer.bottoms[index]}' ({shape_text(shape)}) must hold {wanted} values an "
            f"item: {each}{times} of {priors} priors"
        )
        notes = [context.made_here(index), context.made_here(2)]
        raise context.stop(message, "bottom", index, notes=notes)


SPECS: tuple[type[Spec], ...] = (Permute, Normalize, DetectionOutput, DetectionEvaluate)
