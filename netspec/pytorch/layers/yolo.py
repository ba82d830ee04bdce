"""YOLO: Darknet's reorganisation, the boxes of versions 2 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import wide


class _Reorg(torch.autograd.Function):
    """The reorganisation, whose gradient is 0: the fork's backward pass reads an empty buffer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: int, reverse: bool) -> Tensor:
        ctx.shape = x.shape
        n, c, h, w = x.shape
        outer = c // (stride * stride)
        if reverse:
            cells = x.view(n, stride, stride, outer, h, w).permute(0, 3, 4, 1, 5, 2)
            return cells.reshape(n, outer, h * stride, w * stride)
        # Darknet's order: it reads the bottom as if it had C/s² channels of s times the size
        cells = x.contiguous().view(n, outer, h, stride, w, stride).permute(0, 3, 5, 1, 2, 4)
        return cells.reshape(n, c * stride * stride, h // stride, w // stride)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad.new_zeros(ctx.shape), None, None


class Reorg(LayerModule):
    """Moves pixels to channels, or back.

    Shapes: (N, C, H, W) → (N, C·s², H/s, W/s); with `reverse` (N, C/s², H·s, W·s).
    """

    def __init__(self, stride: int, reverse: bool) -> None:
        super().__init__()
        self.stride, self.reverse = stride, reverse

    def extra_repr(self) -> str:
        return f"stride={self.stride}, reverse={self.reverse}"

    def forward(self, x: Tensor) -> Tensor:
        return _Reorg.apply(x.contiguous(), self.stride, self.reverse)


def anchor_cells(x: Tensor, anchors: int) -> Tensor:
    """What each anchor of each cell predicts, in the fork's order.

    Shapes: (N, A·V, H, W) → (N, A, H·W, V).
    """
    n, channels, h, w = x.shape
    return wide(x).reshape(n, anchors, channels // anchors, h * w).transpose(2, 3)


def cell_corners(height: int, width: int, like: Tensor) -> Tensor:
    """Column and row of each cell, row by row. Shapes: → (H·W, 2)."""
    rows, columns = torch.arange(height), torch.arange(width)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], -1)
    return grid.reshape(-1, 2).to(like)


def boxes_of(cells: Tensor, anchors: Tensor, height: int, width: int, scale: float) -> Tensor:
    """Centre and size of the boxes, relative to the image.

    Shapes: cells (N, A, H·W, V), anchors (A, 2) → (N, A, H·W, 4).
    """
    grid = cells.new_tensor((width, height))
    centres = (cell_corners(height, width, cells) + cells[..., :2].sigmoid()) / grid
    return torch.cat((centres, cells[..., 2:4].exp() * anchors.unsqueeze(1) / (grid * scale)), -1)


def centred_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes by centre and size, 0 where they are apart. Shapes: (…, 4), (…, 4) → (…)."""
    low = torch.maximum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
    high = torch.minimum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
    sides = high - low
    common = torch.where((sides < 0).any(-1), 0.0, sides.prod(-1))
    return common / (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - common)


def without_overlaps(boxes: Tensor, threshold: float) -> Tensor:
    """The indices of the boxes, best first, that no better one left overlaps by the threshold."""
    kept: list[Tensor] = []
    left = torch.arange(len(boxes), device=boxes.device)
    while len(left):
        kept.append(left[0])
        rest = left[1:]
        left = rest[~(centred_iou(boxes[left[0]], boxes[rest]) >= threshold)]
    return torch.stack(kept) if kept else left


def detections(boxes: Tensor, scores: Tensor, classes: Tensor, threshold: float) -> Tensor:
    """Rows of image, label, score, left, top, right, bottom, the best first.

    The image is always 0 and the label counts from 1, as in the fork.
    Shapes: boxes (M, 4), scores and classes (M) → (1, 1, K, 7).
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[without_overlaps(boxes[order], threshold)]
    centres, halves = boxes[order, :2], boxes[order, 2:] / 2
    labels = torch.stack((torch.zeros_like(scores[order]), (classes[order] + 1).to(scores)), 1)
    rows = (labels, scores[order].unsqueeze(1), centres - halves, centres + halves)
    return torch.cat(rows, 1).view(1, 1, -1, 7)


def nothing_found(x: Tensor) -> Tensor:
    """A row for each image: its index, and -1 six times. Shapes: (N, …) → (1, 1, N, 7)."""
    rows = wide(x).new_full((x.shape[0], 7), -1)
    rows[:, 0] = torch.arange(x.shape[0])
    return rows.view(1, 1, -1, 7)


class YoloOutput(LayerModule):
    """What the outputs of both versions share: candidates of all bottoms, one suppression.

    Shapes: bottoms (N, A·(5 + classes), H, W) → (1, 1, detections, 7).
    """

    def __init__(
        self, anchors: Sequence[Tensor], scales: Sequence[float], confidence: float, nms: float
    ) -> None:
        super().__init__()
        self.scales, self.confidence, self.nms = tuple(scales), confidence, nms
        self.names = [f"anchors{i}" for i in range(len(anchors))]
        for name, sizes in zip(self.names, anchors, strict=True):
            self.register_buffer(name, sizes, persistent=False)

    def extra_repr(self) -> str:
        return f"confidence_threshold={self.confidence}, nms_threshold={self.nms}"

    def scored(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is found in cells: the places of their boxes, scores, classes, each (M)."""
        raise NotImplementedError

    @torch.no_grad()
    def forward(self, *bottoms: Tensor) -> Tensor:
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for x, name, scale in zip(bottoms, self.names, self.scales, strict=True):
            anchors = getattr(self, name)
            cells = anchor_cells(x, len(anchors))
            boxes = boxes_of(cells, anchors.to(cells), x.shape[2], x.shape[3], scale)
            # the fork goes from cell to cell, and in each from anchor to anchor
            places, scores, classes = self.scored(cells.transpose(1, 2).flatten(0, 2))
            found.append((boxes.transpose(1, 2).reshape(-1, 4)[places], scores, classes))
        boxes, scores, classes = (torch.cat(values) for values in zip(*found, strict=True))
        rows = detections(boxes, scores, classes, self.nms) if len(scores) else None
        return (nothing_found(bottoms[0]) if rows is None else rows).to(bottoms[0].dtype)


class YoloDetectionOutput(YoloOutput):
    """The boxes of version 2: one class each, by a softmax."""

    def scored(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        best, classes = cells[:, 5:].softmax(-1).max(-1)
        scores = cells[:, 4].sigmoid() * best
        (places,) = (scores >= self.confidence).nonzero(as_tuple=True)
        return places, scores[places], classes[places]


class Yolov3DetectionOutput(YoloOutput):
    """The boxes of version 3: a sigmoid for each class, each a row of its own."""

    def scored(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores = cells[:, 5:].sigmoid() * cells[:, 4:5].sigmoid()
        places, classes = (scores > self.confidence).nonzero(as_tuple=True)
        return places, scores[places, classes], classes


def build_reorg(layer: Layer) -> Reorg:
    p = layer.field("reorg_param")
    return Reorg(p.stride, p.reverse)


def build_yolo_output(layer: Layer) -> YoloDetectionOutput:
    p = layer.field("yolo_detection_output_param")
    anchors = torch.tensor(p.biases).view(-1, 2)[: p.num_box]
    bottoms = len(layer.bottom_blobs)
    return YoloDetectionOutput(
        [anchors] * bottoms, [1.0] * bottoms, p.confidence_threshold, p.nms_threshold
    )


def build_yolov3_output(layer: Layer) -> Yolov3DetectionOutput:
    p = layer.field("yolov3_detection_output_param")
    sizes, group = torch.tensor(p.biases).view(-1, 2), len(p.mask) // p.mask_group_num
    anchors = [
        sizes[list(p.mask[i * group : i * group + p.num_box])] for i in range(p.mask_group_num)
    ]
    scales = [float(scale) for scale in p.anchors_scale[: p.mask_group_num]]
    return Yolov3DetectionOutput(anchors, scales, p.confidence_threshold, p.nms_threshold)


BUILDERS = {
    "Reorg": Builder(build_reorg),
    "YoloDetectionOutput": Builder(build_yolo_output),
    "Yolov3DetectionOutput": Builder(build_yolov3_output),
}
