"""Regions of interest: Fast and Faster R-CNN, R-FCN.

A region is a row of five numbers: the index of its image in the batch, then x1, y1, x2, y2 in
pixels of the image.

Source: rbgirshick/caffe-fast-rcnn, daijifeng001/caffe-rfcn, happynear/caffe-windows.
"""

from __future__ import annotations

from math import prod

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.axes import require_maps
from netspec.layers.example import Example
from netspec.layers.kept import BOTTOM_ALONE, Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec
from netspec.schema.forks import stated

_SCALE = Setting("spatial_scale", "scale {}", True)


def require_regions(context: LayerContext, index: int) -> int:
    """The number of regions in a bottom. Requires five numbers for each."""
    shape = context.bottoms[index]
    if not shape or prod(shape[1:]) != 5:
        raise context.stop(
            f"'{context.layer.bottoms[index]}' must hold 5 numbers for each region "
            f"(image, x1, y1, x2, y2), got {shape_text(shape)}",
            "bottom",
            index,
            notes=[context.made_here(index)],
        )
    return shape[0]


class ROIPooling(Spec):
    """The maximum over each bin of a grid that is laid over each region of a map.

    A region's corners are rounded to whole pixels of the map; neighbouring bins may share a row or
    column. Of equal values the first gets the gradient. A bin outside the map gives 0.

    Source: caffe-fast-rcnn's ROIPoolingLayer.
    """

    type = "ROIPooling"
    param = "roi_pooling_param"
    bottoms = (2, 2)
    keeps_places = False
    unforced = (1,)
    shown = (
        Setting("pooled_h", "{} rows", True),
        Setting("pooled_w", "{} columns", True),
        _SCALE,
    )
    example = Example(
        {"conv5": (1, 512, 38, 63), "rois": (300, 5)},
        "roi_pooling_param { pooled_h: 7 pooled_w: 7 spatial_scale: 0.0625 }",
        shapes="R×C×pooled_h×pooled_w for R regions on maps of C channels",
    )

    def check(self, context: LayerContext) -> None:
        if context.param.pooled_size:
            context.error(
                "'pooled_size' is intel's for volumes, which netspec does not carry out",
                "pooled_size",
                hint="'pooled_h' and 'pooled_w' pool images",
            )
            return
        for name in ("pooled_h", "pooled_w"):
            if not getattr(context.param, name):
                context.error(f"'{name}' must be at least 1, got 0", name)

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context, 0)
        regions = require_regions(context, 1)
        p = context.param
        return [(regions, context.bottoms[0][1], p.pooled_h, p.pooled_w)]

    def kept(self, layer: Layer) -> Kept:
        # the place of each maximum
        return Kept(bytes=8 * layer.top_blobs[0].count, top_is_free=True)


class PSROIPooling(Spec):
    """The average over each bin of a grid, where every bin reads channels of its own.

    Bin (i, j) of channel c of the top averages channel (c·G + i)·G + j of the bottom, G being
    group_size. A bin outside the map gives 0.

    Source: caffe-rfcn's PSROIPoolingLayer; R-FCN (Dai et al. 2016).
    """

    type = "PSROIPooling"
    param = "psroi_pooling_param"
    bottoms = (2, 2)
    keeps = BOTTOM_ALONE
    keeps_places = False
    unforced = (1,)
    shown = (
        Setting("output_dim", "{} channels", True),
        Setting("group_size", "group size {}", True),
        _SCALE,
    )
    example = Example(
        {"rfcn_cls": (1, 1029, 38, 63), "rois": (300, 5)},
        "psroi_pooling_param { spatial_scale: 0.0625 output_dim: 21 group_size: 7 }",
        shapes="R×output_dim×group_size×group_size for R regions",
    )

    def check(self, context: LayerContext) -> None:
        for name in ("spatial_scale", "output_dim", "group_size"):
            if not context.has(name):
                context.error(f"'{name}' is missing", name)
        for name in ("output_dim", "group_size"):
            value = getattr(context.param, name)
            if context.has(name) and value < 1:
                context.error(f"'{name}' must be at least 1, got {value}", name)

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context, 0)
        regions = require_regions(context, 1)
        dim, group = context.param.output_dim, context.param.group_size
        channels = context.bottoms[0][1]
        if channels != dim * group * group:
            raise context.stop(
                f"'{context.layer.bottoms[0]}' must have output_dim·group_size² = "
                f"{dim}·{group}² = {dim * group * group} channels, got {channels}",
                "output_dim",
                notes=[context.made_here(0)],
            )
        return [(regions, dim, group, group)]


class Proposal(Spec):
    """The boxes of the highest scores that an RPN predicts, after non-maximum suppression.

    Bottoms: scores (N×2A×H×W, the second half those of objects), deltas (N×4A×H×W) and
    [height, width, scale of y, scale of x] of the image, of which all images read the first row.
    Tops: regions, and optionally their scores. No gradient. A is the number of anchors, one for
    each ratio and scale.

    Source: happynear/caffe-windows's ProposalLayer; Faster R-CNN (Ren et al. 2015).
    """

    type = "Proposal"
    param = "proposal_param"
    bottoms = (3, 3)
    tops = (1, 2)
    keeps = Kept(top_is_free=True)
    unforced = (2,)
    shown = (Setting("post_nms_topn", "{} boxes", True),)
    example = Example(
        {"score": (1, 12, 38, 63), "delta": (1, 24, 38, 63), "info": (1, 4)},
        "proposal_param { ratio: 0.5 ratio: 1 ratio: 2 scale: 128 scale: 256 }",
        tops=("rois", "scores"),
        shapes="at most N·post_nms_topn regions of 5 numbers",
    )

    def evidence(self, message: object) -> bool | None:
        return False if _is_synopsys(message) else None

    def check(self, context: LayerContext) -> None:
        p = context.param
        for name in ("ratio", "scale"):
            if not getattr(p, name):
                context.error(f"'{name}' must be given at least once", name)
            for i, value in enumerate(getattr(p, name)):
                if not value > 0:
                    context.error(f"'{name}' must be greater than 0, got {value:g}", name, i)
        for name in ("base_size", "feat_stride", "pre_nms_topn", "post_nms_topn"):
            if not getattr(p, name):
                context.error(f"'{name}' must be at least 1, got 0", name)

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context, 0, 1)
        p = context.param
        anchors = len(p.ratio) * len(p.scale)
        images, _, height, width = context.bottoms[0]
        for i, wanted in ((0, 2 * anchors), (1, 4 * anchors)):
            if context.bottoms[i] != (images, wanted, height, width):
                raise context.stop(
                    f"'{context.layer.bottoms[i]}' must be "
                    f"{shape_text((images, wanted, height, width))} for {anchors} anchors "
                    f"({len(p.ratio)} ratios × {len(p.scale)} scales), "
                    f"got {shape_text(context.bottoms[i])}",
                    "bottom",
                    i,
                    notes=[context.made_here(i)],
                )
        info = context.bottoms[2]
        if not info or not info[0] or prod(info[1:]) != 4:
            raise context.stop(
                f"'{context.layer.bottoms[2]}' must hold 4 numbers for an image (height, width, "
                f"scale of y, scale of x), got {shape_text(info)}",
                "bottom",
                2,
                notes=[context.made_here(2)],
            )
        most = images * p.post_nms_topn
        return [(most, 5), (most,)][: len(context.layer.top_blobs)]


class ProposalOfSynopsys(Spec):
    """A Proposal layer with synopsys-caffe's fields (anchor_scale, max_rois, …): not computed."""

    type = "Proposal"
    rule = "synopsys"
    differs = "anchor_base_size, anchor_scale, anchor_ratio, max_rois"
    not_computed = "synopsys-caffe's rule for Proposal is not known to netspec"
    param = "proposal_param"
    bottoms = (3, 3)
    tops = (1, 2)
    unforced = (2,)
    example = Example(
        {"score": (1, 18, 38, 63), "delta": (1, 36, 38, 63), "info": (1, 3)},
        "proposal_param { anchor_base_size: 16 max_rois: 300 }",
        tops=("rois",),
        shapes="max_rois regions of 5 numbers",
    )

    def evidence(self, message: object) -> bool | None:
        return _is_synopsys(message)

    def infer(self, context: LayerContext) -> list[Shape | None]:
        if not context.has("max_rois"):
            return [None] * len(context.layer.top_blobs)
        most = int(context.param.max_rois)
        shapes: list[Shape | None] = [(most, 5), (most, 1)]
        return shapes[: len(context.layer.top_blobs)]


_SYNOPSYS = (
    "anchor_base_size",
    "anchor_scale",
    "anchor_ratio",
    "max_rois",
    "rpn_min_size",
    "rpn_nms_thresh",
)


def _is_synopsys(message: object) -> bool:
    p = stated(message, "proposal_param")
    return p is not None and any(field.name in _SYNOPSYS for field, _ in p.ListFields())


SPECS: tuple[type[Spec], ...] = (ROIPooling, PSROIPooling, Proposal, ProposalOfSynopsys)
