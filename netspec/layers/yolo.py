"""YOLO: Darknet's reorganisation, the boxes of versions 2 and 3, their evaluation.

Source: eric612/MobileNet-YOLO; Reorg stands in intel/caffe, too.
"""

from __future__ import annotations

from netspec.diagnostics import ERROR, Diagnostic
from netspec.graph import Shape
from netspec.layers.axes import require_maps
from netspec.layers.example import Example
from netspec.layers.kept import NOTHING
from netspec.layers.layer_context import LayerContext
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec

ANCHORS = "biases: 1.08 biases: 1.19 biases: 3.42 biases: 4.41 biases: 6.63 biases: 11.38"
V3_ANCHORS = " ".join(f"biases: {size}" for size in (10, 14, 23, 27, 37, 58, 81, 82, 135, 169))


class Reorg(Spec):
    """Moves pixels to channels in Darknet's order, by `stride` along height and width.

    `reverse` moves channels to pixels. The gradient of the bottom is 0, as in the fork, which reads
    a buffer that nothing fills.
    Shapes: (N, C, H, W) → (N, C·s², H/s, W/s); with `reverse` (N, C/s², H·s, W·s).
    Source: MobileNet-YOLO's ReorgLayer.
    """

    type = "Reorg"
    param = "reorg_param"
    keeps = NOTHING
    keeps_places = False
    dialects = ("yolo",)
    shown = (Setting("stride", "stride {}", True), Setting("reverse", "reverse"))
    example = Example(
        {"data": (1, 64, 26, 26)},
        "reorg_param { stride: 2 }",
        shapes="N × C·stride² × H/stride × W/stride",
    )

    def check(self, context: LayerContext) -> None:
        if not context.param.stride:
            context.error("'stride' must be given and at least 1", "stride")
        if context.layer.phase == "TRAIN":
            context.warn("Reorg's gradient is 0, as in its fork: what is below learns nothing")

    def infer(self, context: LayerContext) -> list[Shape]:
        n, c, h, w = require_maps(context, 0)
        stride = context.param.stride or 1
        square = stride * stride
        if c % square:
            raise context.stop(
                f"the square of 'stride', {square}, does not divide the {c} channels of "
                f"'{context.layer.bottoms[0]}'",
                "stride",
                notes=[context.made_here(0)],
            )
        if context.param.reverse:
            return [(n, c // square, h * stride, w * stride)]
        if h % stride or w % stride:
            raise context.stop(
                f"'stride' {stride} does not divide the {h}×{w} pixels of "
                f"'{context.layer.bottoms[0]}'",
                "stride",
                notes=[context.made_here(0)],
            )
        return [(n, c * square, h // stride, w // stride)]


def require_channels(context: LayerContext, index: int, anchors: int, values: int) -> None:
    """Requires for each anchor of a cell so many values: a box, its objectness, the classes."""
    channels = require_maps(context, index)[1]
    if channels != anchors * values:
        raise context.stop(
            f"'{context.layer.bottoms[index]}' has {channels} channels, expected {anchors} anchors "
            f"of {values} values, which is {anchors * values}",
            "bottom",
            index,
            notes=[context.made_here(index)],
        )


def require_biases(context: LayerContext, anchors: int) -> None:
    """Requires a width and a height for so many anchors."""
    biases = len(context.param.biases)
    if biases < 2 * anchors:
        context.error(
            f"{anchors} anchors need {2 * anchors} 'biases', got {biases}",
            "biases",
            hint="a width and a height for each anchor",
        )


def require_classes(context: LayerContext) -> None:
    """Requires the number of classes, which the fork does not take from its default."""
    if not context.has("num_classes") or not context.param.num_classes:
        context.error("'num_classes' must be given and at least 1", "num_classes")


def require_square(context: LayerContext, index: int) -> None:
    """Requires as many rows as columns: the fork takes the width for both."""
    height, width = context.bottoms[index][2:]
    if height != width:
        raise context.stop(
            f"'{context.layer.bottoms[index]}' must be as high as wide, got {height}×{width}",
            "bottom",
            index,
            notes=[context.made_here(index)],
        )


class DetectionRows(Spec):
    """What the outputs of boxes share: rows of image, label, score and corners.

    How many is known only when it runs.
    """

    keeps = NOTHING

    def infer(self, context: LayerContext) -> list[Shape]:
        return [(1, 1, 1, 7)]


class YoloDetectionOutput(DetectionRows):
    """The boxes of YOLO version 2, without those that overlap a better one of any class.

    Rows are image, label, score, left, top, right, bottom. The image is always 0, a quirk of the
    fork; where nothing is found, each image has a row of -1.
    Source: MobileNet-YOLO's YoloDetectionOutputLayer.
    """

    type = "YoloDetectionOutput"
    param = "yolo_detection_output_param"
    dialects = ("yolo",)
    bottoms = (1, 2)
    shown = (
        Setting("num_classes", "{} classes", True),
        Setting("num_box", "{} anchors", True),
        Setting("confidence_threshold", "confidence {}", True),
    )
    example = Example(
        {"data": (1, 75, 13, 13)},
        f"yolo_detection_output_param {{ num_classes: 20 num_box: 3 {ANCHORS} }}",
        shapes="1 × 1 × detections × 7; 1 detection before it runs",
    )

    def check(self, context: LayerContext) -> None:
        require_classes(context)
        if not context.param.num_box:
            context.error("'num_box' must be at least 1", "num_box")
        require_biases(context, context.param.num_box)

    def infer(self, context: LayerContext) -> list[Shape]:
        p = context.param
        for i in range(len(context.bottoms)):
            require_channels(context, i, p.num_box, 5 + p.num_classes)
            require_square(context, i)
        return super().infer(context)


class Yolov3DetectionOutput(DetectionRows):
    """The boxes of YOLO version 3 at several scales, as YoloDetectionOutput gives them.

    A box has a row for each class that scores above the threshold.
    Source: MobileNet-YOLO's Yolov3DetectionOutputLayer.
    """

    type = "Yolov3DetectionOutput"
    param = "yolov3_detection_output_param"
    dialects = ("yolo",)
    bottoms = (1, None)
    shown = YoloDetectionOutput.shown
    example = Example(
        {"coarse": (1, 75, 13, 13), "fine": (1, 75, 26, 26)},
        f"yolov3_detection_output_param {{ num_classes: 20 {V3_ANCHORS} biases: 344 biases: 319 "
        "mask: 3 mask: 4 mask: 5 mask: 0 mask: 1 mask: 2 anchors_scale: 32 anchors_scale: 16 }",
        shapes="1 × 1 × detections × 7; 1 detection before it runs",
    )

    def check(self, context: LayerContext) -> None:
        p, bottoms = context.param, len(context.layer.bottom_blobs)
        require_classes(context)
        if bottoms != p.mask_group_num:
            context.error(
                f"'mask_group_num' is {p.mask_group_num}, but there are {bottoms} bottoms",
                "mask_group_num",
            )
        elif len(p.mask) < (group := len(p.mask) // bottoms) * (bottoms - 1) + p.num_box:
            context.error(
                f"'num_box' is {p.num_box}, but 'mask' has {group} anchors for each of "
                f"{bottoms} bottoms",
                "num_box" if context.has("num_box") else "mask",
            )
        if len(p.anchors_scale) < bottoms:
            context.error(
                f"'anchors_scale' must be given for each of {bottoms} bottoms, got "
                f"{len(p.anchors_scale)}",
                "anchors_scale",
            )
        require_masked(context)
        if p.gaussian_box:
            refuse_gaussian(context)

    def infer(self, context: LayerContext) -> list[Shape]:
        p = context.param
        if not p.gaussian_box:
            for i in range(len(context.bottoms)):
                require_channels(context, i, p.num_box, 5 + p.num_classes)
        return super().infer(context)


def require_masked(context: LayerContext) -> None:
    """Requires a width and a height for every anchor that `mask` names."""
    anchors = len(context.param.biases) // 2
    for i, index in enumerate(context.param.mask):
        if index >= anchors:
            context.error(
                f"'mask' names anchor {index}, but 'biases' has {anchors} (0 to {anchors - 1})",
                "mask",
                i,
            )


def refuse_gaussian(context: LayerContext) -> None:
    """Leaves a layer with `gaussian_box` uncomputed: the fork's own code for it is broken."""
    layer = context.layer
    message = (
        f"{layer.label}: 'gaussian_box' is checked, not computed: the fork reads an objectness "
        "that nothing wrote"
    )
    place = layer.spans.at(context.spec.param, "gaussian_box")
    layer.not_computed.append(Diagnostic(ERROR, message, place))
    context.report.warning(message, place)


class EvalDetection(Spec):
    """The boxes of YOLO version 1 compared with the ground truth, for a mean average precision.

    Source: intel/caffe's EvalDetectionLayer.
    """

    type = "EvalDetection"
    param = "eval_detection_param"
    dialects = ("intel",)
    bottoms = (2, 2)
    not_computed = "its forks disagree about its numbers"
    example = Example(
        {"data": (1, 1470), "label": (1, 343)},
        "eval_detection_param { side: 7 num_class: 20 num_object: 2 }",
        shapes="N × num_class + 4·num_object·side²",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        p = context.param
        rows = p.side * p.side * p.num_object
        return [(*context.bottoms[0][:1], p.num_class + 4 * rows)]


class SegmentationEvaluate(Spec):
    """The IoU of a segmentation with its label, for each channel of the first image.

    Source: MobileNet-YOLO's SegmentationEvaluateLayer.
    """

    type = "SegmentationEvaluate"
    param = "segmentation_evaluate_param"
    dialects = ("yolo",)
    bottoms = (2, 2)
    is_metric = True
    not_computed = "it resizes by OpenCV's INTER_AREA, which netspec does not have"
    example = Example(
        {"scores": (1, 1, 52, 52), "label": (1, 1, 104, 104)},
        "segmentation_evaluate_param { num_classes: 1 }",
        shapes="1 × 1 × 1 × channels of the label",
    )

    def check(self, context: LayerContext) -> None:
        require_classes(context)

    def infer(self, context: LayerContext) -> list[Shape]:
        return [(1, 1, 1, require_maps(context, 1)[1])]


SPECS: tuple[type[Spec], ...] = (
    Reorg,
    YoloDetectionOutput,
    Yolov3DetectionOutput,
    EvalDetection,
    SegmentationEvaluate,
)
