"""Regions of interest: Fast and Faster R-CNN, R-FCN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import wide
from netspec.pytorch.layers.pixel_boxes import clip, decode, sizes, suppress
from netspec.pytorch.layers.range_max import Spans, range_max
from netspec.pytorch.not_compiled import not_compiled

if TYPE_CHECKING:
    from netspec.diagnostics import Span


def round_half_away(x: Tensor) -> Tensor:
    """As C's round: halves go away from zero."""
    whole = x.trunc()
    return whole + x.sign() * ((x - whole).abs() >= 0.5)


def images_of(rois: Tensor, images: int, label: str, span: Span | None) -> Tensor:
    """The image of each region, whole numbers.

    Raises: NetspecError for an image that is not in the batch (on the CPU; a GPU's own check ends
        the run there).
    """
    index = rois[:, 0].long()
    if not torch.compiler.is_compiling() and index.device.type == "cpu" and index.numel():
        bad = ((index < 0) | (index >= images)).nonzero()
        if bad.numel():
            place = int(bad[0, 0])
            raise NetspecError(
                f"{label}: region {place} is of image {int(index[place])}, "
                f"but the batch has {images} (0 to {images - 1})",
                span,
                "the first of a region's 5 numbers is the index of its image in the batch",
            )
    return index


def bins(start: Tensor, size: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Where the bins of each region begin and end, one axis: start (R), size (R) → (R, count)."""
    steps = torch.arange(count + 1, device=size.device, dtype=size.dtype)
    size = (size / count)[:, None]
    return (
        (steps[:-1] * size + start[:, None]).floor(),
        (steps[1:] * size + start[:, None]).ceil(),
    )


def on_map(begin: Tensor, end: Tensor, limit: int) -> Spans:
    """The bins within 0 to limit, before they become whole numbers, which hold less than floats."""
    return Spans(*(place.nan_to_num(0.0).clamp(0, limit).long() for place in (begin, end)))


class _Regions(LayerModule):
    """What the layers share that pool regions of a map."""

    def __init__(self, scale: float, label: str, span: Span | None = None) -> None:
        super().__init__()
        self.scale, self.label, self.span = scale, label, span

    def split(self, rois: Tensor, images: int) -> tuple[Tensor, Tensor]:
        """The image of each region and its corners (R, 4), in single precision at least."""
        rows = wide(rois.detach()).reshape(-1, 5)
        return images_of(rows, images, self.label, self.span), rows[:, 1:]


class _ROIPooling(torch.autograd.Function):
    """The maximum of each bin; the gradient goes to the first of equal values."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, image: Tensor, rows: Spans, columns: Spans) -> Tensor:
        top, place = range_max(x, image, rows, columns, with_places=ctx.needs_input_grad[0])
        if place is not None:
            ctx.save_for_backward(place)
        ctx.shape = x.shape
        return top

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (place,) = ctx.saved_tensors
        n, c, h, w = ctx.shape
        # one place more takes the gradients of bins without a maximum
        total = grad.new_zeros(n * c * h * w + 1)
        total.index_add_(0, place.reshape(-1), grad.reshape(-1))
        return total[:-1].view(ctx.shape), None, None, None


class ROIPooling(_Regions):
    """The maximum over each bin of a grid on each region; a bin outside the map gives 0.

    Shapes: maps (N, C, H, W), regions (R, 5) → (R, C, rows, columns).
    """

    def __init__(
        self, rows: int, columns: int, scale: float, label: str, span: Span | None = None
    ) -> None:
        super().__init__(scale, label, span)
        self.rows, self.columns = rows, columns

    def extra_repr(self) -> str:
        return f"{self.rows}×{self.columns}, spatial_scale={self.scale:g}"

    def forward(self, x: Tensor, rois: Tensor) -> Tensor:
        image, corners = self.split(rois, x.shape[0])
        corners = round_half_away(corners * self.scale)
        size = (corners[:, 2:] - corners[:, :2] + 1).clamp(min=1)
        rows, columns = (
            self._bins(corners[:, axis], size[:, axis], count, limit)
            for axis, count, limit in ((1, self.rows, x.shape[2]), (0, self.columns, x.shape[3]))
        )
        top: Tensor = _ROIPooling.apply(x, image, rows, columns)
        return top

    def _bins(self, corner: Tensor, size: Tensor, count: int, limit: int) -> Spans:
        # rounded before the region's corner is added, unlike in PSROIPooling
        begin, end = bins(torch.zeros_like(size), size, count)
        return on_map(begin + corner[:, None], end + corner[:, None], limit)


class PSROIPooling(_Regions):
    """The average over each bin of a grid on each region, each bin in channels of its own.

    Sums of rectangles come from a table of the sums of all that begin at the map's corner, in
    double precision.

    Shapes: maps (N, dim·group², H, W), regions (R, 5) → (R, dim, group, group).
    """

    def __init__(
        self, dim: int, group: int, scale: float, label: str, span: Span | None = None
    ) -> None:
        super().__init__(scale, label, span)
        self.dim, self.group = dim, group

    def extra_repr(self) -> str:
        return f"{self.dim}, group_size={self.group}, spatial_scale={self.scale:g}"

    def forward(self, x: Tensor, rois: Tensor) -> Tensor:
        n, c, h, w = x.shape
        image, corners = self.split(rois, n)
        corners = round_half_away(corners)
        # not rounded again on the map, unlike in ROIPooling
        start, end = corners[:, :2] * self.scale, (corners[:, 2:] + 1) * self.scale
        size = (end - start).clamp(min=0.1)
        rows, columns = (
            on_map(*bins(start[:, axis], size[:, axis], self.group), limit)
            for axis, limit in ((1, h), (0, w))
        )
        sums = F.pad(x.double().cumsum(2).cumsum(3), (1, 0, 1, 0)).flatten()
        channel = torch.arange(c, device=x.device).view(1, self.dim, self.group, self.group)
        plane = image[:, None, None, None] * c + channel

        def corner(row: Tensor, column: Tensor) -> Tensor:
            place = (plane * (h + 1) + row[:, None, :, None]) * (w + 1) + column[:, None, None, :]
            return sums.take(place)

        total = (
            corner(rows.end, columns.end)
            - corner(rows.begin, columns.end)
            - corner(rows.end, columns.begin)
            + corner(rows.begin, columns.begin)
        )
        heights, widths = ((each.end - each.begin).clamp(min=0) for each in (rows, columns))
        area = heights[:, None, :, None] * widths[:, None, None, :]
        return torch.where(area > 0, total / area.clamp(min=1), 0.0).to(x.dtype)


class Proposal(LayerModule):
    """The regions that an RPN proposes, image by image, best first.

    Shapes: scores (N, 2A, H, W), deltas (N, 4A, H, W), info (…, 4) → (M, 5) and the scores (M).

    Args:
        anchors: (A, 4), around the first place of the map.
        min_size: of a side in pixels of the unscaled image, below which a score becomes 0.
    """

    anchors: Tensor

    def __init__(
        self,
        anchors: Tensor,
        stride: int,
        min_size: int,
        before: int,
        after: int,
        threshold: float,
        with_scores: bool,
    ) -> None:
        super().__init__()
        self.register_buffer("anchors", anchors, persistent=False)
        self.stride, self.min_size = stride, min_size
        self.before, self.after, self.threshold = before, after, threshold
        self.with_scores = with_scores

    def extra_repr(self) -> str:
        return (
            f"{self.anchors.shape[0]} anchors, stride={self.stride}, min_size={self.min_size}, "
            f"pre_nms_topn={self.before}, post_nms_topn={self.after}, "
            f"nms_thresh={self.threshold:g}"
        )

    @not_compiled
    @torch.no_grad()
    def forward(
        self, scores: Tensor, deltas: Tensor, info: Tensor
    ) -> Tensor | tuple[Tensor, Tensor]:
        # every image reads the first row
        height, width, scale_y, scale_x = wide(info).reshape(-1)[:4].unbind()
        anchors = shifted(self.anchors, scores.shape[2], scores.shape[3], self.stride)
        rows, values = [], []
        for i, (score, delta) in enumerate(zip(wide(scores), wide(deltas), strict=True)):
            boxes = clip(decode(anchors, by_place(delta, 4)), height, width)
            across, down = sizes(boxes)
            is_small = (across < self.min_size * scale_x) | (down < self.min_size * scale_y)
            score = by_place(score[score.shape[0] // 2 :], 1)[:, 0].masked_fill(is_small, 0)
            order = score.argsort(descending=True, stable=True)[: self.before]
            kept = order[suppress(boxes[order], self.threshold, self.after)]
            rows.append(torch.cat((boxes.new_full((kept.numel(), 1), i), boxes[kept]), 1))
            values.append(score[kept])
        rois = torch.cat(rows).to(scores.dtype)
        return (rois, torch.cat(values).to(scores.dtype)) if self.with_scores else rois


def by_place(x: Tensor, size: int) -> Tensor:
    """The values of each anchor at each place: (A·size, H, W) → (H·W·A, size)."""
    return x.permute(1, 2, 0).reshape(-1, size)


def shifted(anchors: Tensor, rows: int, columns: int, stride: int) -> Tensor:
    """The anchors (A, 4) at each place of a map, row by row: (rows·columns·A, 4)."""
    y, x = (
        torch.arange(count, device=anchors.device, dtype=anchors.dtype) * stride
        for count in (rows, columns)
    )
    y, x = torch.meshgrid(y, x, indexing="ij")
    return (torch.stack((x, y, x, y), -1)[:, :, None] + anchors).reshape(-1, 4)


def build_roi_pooling(layer: Layer) -> nn.Module:
    p = layer.field("roi_pooling_param")
    return ROIPooling(
        p.pooled_h, p.pooled_w, p.spatial_scale, layer.label, layer.spans.at("bottom", 1)
    )


def build_psroi_pooling(layer: Layer) -> nn.Module:
    p = layer.field("psroi_pooling_param")
    return PSROIPooling(
        p.output_dim, p.group_size, p.spatial_scale, layer.label, layer.spans.at("bottom", 1)
    )


def build_proposal(layer: Layer) -> nn.Module:
    p = layer.field("proposal_param")
    return Proposal(
        proposal_anchors(p.base_size, list(p.ratio), list(p.scale)),
        p.feat_stride,
        p.min_size,
        p.pre_nms_topn,
        p.post_nms_topn,
        p.nms_thresh,
        len(layer.top_blobs) > 1,
    )


def proposal_anchors(base: int, ratios: list[float], scales: list[float]) -> Tensor:
    """A row of corners for each ratio and, within it, each scale, in single precision.

    Neither side is rounded before it is scaled; a scale is the size in pixels of a square anchor.
    """
    ratio, scale = torch.tensor(ratios)[:, None], torch.tensor(scales)
    width = (base * base / ratio).sqrt()
    half = [
        # Caffe's macro ROUND cuts off towards zero after it has added a half
        0.5 * (side * scale / base - 1 + 0.5).trunc().reshape(-1)
        for side in (width, width * ratio)
    ]
    center = 0.5 * (base - 1)
    return torch.stack((*(center - side for side in half), *(center + side for side in half)), 1)


BUILDERS = {
    "ROIPooling": Builder(build_roi_pooling, leaves_top=always),
    "PSROIPooling": Builder(build_psroi_pooling, leaves_top=always),
    "Proposal": Builder(build_proposal, leaves_top=always),
}
