"""The Python layers of Faster R-CNN's nets, so that these run without that repository's code.

Each stands in for a layer of type Python of its module and class. Settings that py-faster-rcnn
keeps in its configuration are those of its TRAIN and TEST defaults and, for the training layers,
of its faster_rcnn_end2end.yml.

Source: rbgirshick/py-faster-rcnn; Ren et al. 2015.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

from netspec.diagnostics import NetspecError
from netspec.files.paths import net_path
from netspec.graph import Layer, Shape, shape_text
from netspec.layers.axes import require_maps
from netspec.layers.data import Source as DataSource
from netspec.layers.example import Example
from netspec.layers.kept import Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.param_str import Setting, settings_of
from netspec.layers.regions import require_regions
from netspec.layers.spec import Spec
from netspec.layers.user_modules import UserModules

BASE_SIZE = 16  # of the anchor of scale 1, in pixels
RATIOS, SCALES = (0.5, 1.0, 2.0), (8.0, 16.0, 32.0)
# py-faster-rcnn's settings: boxes before and after non-maximum suppression
TOP_N = {"TRAIN": (12000, 2000), "TEST": (6000, 300)}
NMS_THRESHOLD, MIN_SIZE = 0.7, 16


STRIDE = {"feat_stride": Setting(whole=True, least=1)}
ANCHORS = {"scales": Setting(SCALES, many=True), "ratios": Setting(RATIOS, many=True)}
CLASSES = {"num_classes": Setting(whole=True, least=2)}


class StandIn(Spec):
    """What the stand-ins share: the class that they stand for, and its param_str."""

    type = "Python"
    module: ClassVar[str] = ""
    param = "python_param"
    keeps_places = False
    keys: ClassVar[dict[str, Setting]] = {}

    def evidence(self, message: Any) -> bool | None:
        p = message.python_param
        return (p.module, p.layer) == (self.module, self.rule)

    def gives_way(self, layer: Layer) -> bool:
        return UserModules(net_path(layer)).has(self.module)

    def check(self, context: LayerContext) -> None:
        try:
            settings_of(context.layer, self.keys)
        except NetspecError as error:
            context.report.diagnostics += error.diagnostics
        if self.gives_way(context.layer):
            context.warn(
                f"netspec's own '{self.rule}' runs in place of the one in the module "
                f"'{self.module}', which is at hand",
                "module",
                hint="--allow-python-layers runs that one",
            )

    def only_one_image(self, context: LayerContext, index: int) -> None:
        if context.bottoms[index][0] != 1:
            raise context.stop(
                f"takes one image at a time, '{context.layer.bottoms[index]}' has "
                f"{context.bottoms[index][0]}",
                "bottom",
                index,
                notes=[context.made_here(index)],
            )

    def require_channels(self, context: LayerContext, index: int, wanted: int) -> None:
        shape = context.bottoms[index]
        if shape[1] != wanted:
            raise context.stop(
                f"'{context.layer.bottoms[index]}' must have {wanted} channels for its anchors "
                f"(scales × ratios), got {shape[1]}",
                "bottom",
                index,
                notes=[context.made_here(index)],
            )

    def require_info(self, context: LayerContext, index: int) -> None:
        shape = context.bottoms[index]
        if len(shape) != 2 or shape[1] < 3 or not shape[0]:
            raise context.stop(
                f"'{context.layer.bottoms[index]}' must be 1×3 (height, width, scale), "
                f"got {shape_text(shape)}",
                "bottom",
                index,
                notes=[context.made_here(index)],
            )


class ProposalLayer(StandIn):
    """Faster R-CNN's proposals: the RPN's best boxes, after non-maximum suppression.

    Bottoms: the softmax of objectness (1×2A×H×W, the second half that of objects), deltas
    (1×4A×H×W), [height, width, scale] of the image. Tops: regions and optionally their scores.
    param_str names feat_stride, and may name scales and ratios. TRAIN takes the best 12000 boxes
    and keeps 2000, TEST 6000 and 300; boxes narrower than 16 pixels of the unscaled image are left
    out. No gradient.

    Source: py-faster-rcnn's rpn.proposal_layer, with its non-maximum suppression for GPUs.
    """

    rule = "ProposalLayer"
    module = "rpn.proposal_layer"
    differs = "module rpn.proposal_layer"
    keys = STRIDE | ANCHORS
    bottoms = (3, 3)
    tops = (1, 2)
    keeps = Kept(top_is_free=True)
    unforced = (2,)
    example = Example(
        {"rpn_cls_prob": (1, 18, 38, 63), "rpn_bbox_pred": (1, 36, 38, 63), "im_info": (1, 3)},
        'python_param { module: "rpn.proposal_layer" layer: "ProposalLayer" '
        "param_str: \"'feat_stride': 16\" }",
        tops=("rois",),
        shapes="R×5 for R regions; R is known in each forward pass, and declared as 1",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context, 0, 1)
        self.only_one_image(context, 0)
        anchors = len(anchors_of(context.layer, self.keys))
        self.require_channels(context, 0, 2 * anchors)
        self.require_channels(context, 1, 4 * anchors)
        context.same_shapes(0, 1, but=1)
        self.require_info(context, 2)
        return [(1, 5), (1, 1, 1, 1)][: len(context.layer.top_blobs)]


class AnchorTargetLayer(StandIn):
    """The labels and box targets of the RPN's anchors, 256 of them drawn anew in each pass.

    Bottoms: a map of the RPN's size, boxes (G×5: x1, y1, x2, y2, class), [height, width, scale],
    and optionally the image. Tops: labels (1 for an object, 0 for background, -1 for what does not
    count), targets, inside and outside weights. param_str names feat_stride, and may name
    allowed_border, scales and ratios.

    Source: py-faster-rcnn's rpn.anchor_target_layer.
    """

    rule = "AnchorTargetLayer"
    module = "rpn.anchor_target_layer"
    differs = "module rpn.anchor_target_layer"
    keys = STRIDE | ANCHORS | {"allowed_border": Setting(0)}
    bottoms = (3, 4)
    tops = (4, 4)
    keeps = Kept(top_is_free=True)
    unforced = (0, 1, 2, 3)
    example = Example(
        {"rpn_cls_score": (1, 18, 38, 63), "gt_boxes": (2, 5), "im_info": (1, 3)},
        'python_param { module: "rpn.anchor_target_layer" layer: "AnchorTargetLayer" '
        "param_str: \"'feat_stride': 16\" }",
        tops=("labels", "targets", "inside_weights", "outside_weights"),
        shapes="labels 1×1×(A·H)×W, the others 1×4A×H×W",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context, 0)
        self.only_one_image(context, 0)
        require_boxes(context, 1)
        self.require_info(context, 2)
        anchors = len(anchors_of(context.layer, self.keys))
        height, width = context.bottoms[0][2:]
        return [(1, 1, anchors * height, width), *[(1, 4 * anchors, height, width)] * 3]


class ProposalTargetLayer(StandIn):
    """128 regions for the classifier to learn from, drawn anew in each pass, and their targets.

    Bottoms: regions, boxes (G×5: x1, y1, x2, y2, class), which count as regions, too. Tops:
    regions, labels, targets, inside and outside weights, four columns for each class. Up to a
    quarter of the regions overlap a box by 0.5 or more. param_str names num_classes.

    Targets are divided by (0.1, 0.1, 0.2, 0.2). py-faster-rcnn multiplies the weights of
    'bbox_pred' by these when it saves them; netspec saves them as they are.

    Source: py-faster-rcnn's rpn.proposal_target_layer.
    """

    rule = "ProposalTargetLayer"
    module = "rpn.proposal_target_layer"
    differs = "module rpn.proposal_target_layer"
    keys = CLASSES
    bottoms = (2, 2)
    tops = (5, 5)
    keeps = Kept(top_is_free=True)
    unforced = (0, 1)
    example = Example(
        {"rpn_rois": (300, 5), "gt_boxes": (2, 5)},
        'python_param { module: "rpn.proposal_target_layer" layer: "ProposalTargetLayer" '
        "param_str: \"'num_classes': 21\" }",
        tops=("rois", "labels", "targets", "inside_weights", "outside_weights"),
        shapes="R×5, R, R×(4·num_classes) for R regions; declared as 1",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        require_regions(context, 0)
        require_boxes(context, 1)
        columns = 4 * settings_of(context.layer, self.keys)["num_classes"]
        return [(1, 5), (1, 1), *[(1, columns)] * 3]


class RoIDataLayer(StandIn, DataSource):
    """Images with their boxes, or with regions and targets, which the caller feeds.

    Its data are an roidb, which py-faster-rcnn's own code makes. Tops: data, im_info, gt_boxes; or
    of Fast R-CNN data, rois, labels, targets, inside and outside weights. param_str names
    num_classes.

    Source: py-faster-rcnn's roi_data_layer.layer.
    """

    rule = "RoIDataLayer"
    module = "roi_data_layer.layer"
    differs = "module roi_data_layer.layer"
    keys = CLASSES
    tops = (2, 6)
    no_reader = "its data are an roidb, which py-faster-rcnn's own code makes"
    example = Example(
        {},
        'python_param { module: "roi_data_layer.layer" layer: "RoIDataLayer" '
        "param_str: \"'num_classes': 21\" }",
        tops=("data", "im_info", "gt_boxes"),
        shapes="data 1×3×600×1000, im_info 1×3, gt_boxes G×5, declared for one box; "
        "--input gives others",
    )

    def settings(self, layer: Layer) -> list[str]:
        return []

    def shapes(self, context: LayerContext) -> list[Shape]:
        columns = 4 * settings_of(context.layer, self.keys)["num_classes"]
        tops = len(context.layer.top_blobs)
        of_boxes: list[Shape] = [(1, 3), (1, 5)]
        of_regions: list[Shape] = [(1, 5), (1,), *[(1, columns)] * 3]
        rest = of_boxes if tops <= 3 else of_regions
        return [(1, 3, 600, 1000), *rest][:tops]


def require_boxes(context: LayerContext, index: int) -> None:
    """Requires a row of five numbers for each box."""
    shape = context.bottoms[index]
    if len(shape) != 2 or shape[1] != 5:
        raise context.stop(
            f"'{context.layer.bottoms[index]}' must be G×5 (x1, y1, x2, y2, class) for G boxes, "
            f"got {shape_text(shape)}",
            "bottom",
            index,
            notes=[context.made_here(index)],
        )


def anchors_of(layer: Layer, keys: dict[str, Setting]) -> list[tuple[float, ...]]:
    """The corners of a layer's anchors. Raises: NetspecError."""
    settings = settings_of(layer, keys)
    return anchors(settings["ratios"], settings["scales"])


def anchors(ratios: tuple[float, ...], scales: tuple[float, ...]) -> list[tuple[float, ...]]:
    """The corners of an anchor for each ratio (height to width) and, within it, each scale.

    Both sides are rounded, halves to the even, before they are scaled.

    Source: py-faster-rcnn's rpn.generate_anchors.

    >>> anchors((0.5,), (8.0, 16.0))
    [(-84.0, -40.0, 99.0, 55.0), (-176.0, -88.0, 191.0, 103.0)]
    """
    center = (BASE_SIZE - 1) / 2
    found: list[tuple[float, ...]] = []
    for ratio in ratios:
        width = round(sqrt(BASE_SIZE * BASE_SIZE / ratio))
        height = round(width * ratio)
        for scale in scales:
            x, y = (width * scale - 1) / 2, (height * scale - 1) / 2
            found.append((center - x, center - y, center + x, center + y))
    return found


def stands_in(module: str, name: str) -> bool:
    """Whether netspec has a layer of its own for a Python module's class."""
    return any((spec.module, spec.rule) == (module, name) for spec in SPECS)


SPECS: tuple[type[StandIn], ...] = (
    ProposalLayer,
    AnchorTargetLayer,
    ProposalTargetLayer,
    RoIDataLayer,
)
