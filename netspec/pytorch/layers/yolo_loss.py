"""YOLO's losses: differences of boxes, objectness and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.layers.yolo_loss import LEAST_BIASES, MAX_TRUTHS
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import label_span
from netspec.pytorch.layers.yolo import anchor_cells, boxes_of, centred_iou

if TYPE_CHECKING:
    from netspec.diagnostics import Span


class _Differences(torch.autograd.Function):
    """The sum of squared differences over N, whose gradient is the differences over N."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, differences: Tensor) -> Tensor:
        ctx.save_for_backward(differences)
        ctx.dtype = x.dtype
        return differences.square().sum() / len(differences)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (differences,) = ctx.saved_tensors
        return (differences * (grad / len(differences))).to(ctx.dtype), None


class Scales(NamedTuple):
    """The weights of a loss's parts."""

    coord: float
    object: float
    noobject: float
    classes: float


class RegionLoss(LayerModule):
    """The loss of version 2.

    Shapes: x (N, A·(coords + 1 + classes), S, S), labels 300 rows of class, x, y, w, h an image.
    """

    anchors: Tensor

    def __init__(
        self,
        anchors: Tensor,
        classes: int,
        scales: Scales,
        thresh: float,
        rescore: bool,
        bias_match: bool,
        label: str = "",
        span: Span | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("anchors", anchors, persistent=False)
        self.classes, self.scales, self.thresh = classes, scales, thresh
        self.rescore, self.bias_match, self.label, self.span = rescore, bias_match, label, span

    def extra_repr(self) -> str:
        return (
            f"anchors={len(self.anchors)}, classes={self.classes}, thresh={self.thresh}, "
            f"rescore={self.rescore}, bias_match={self.bias_match}"
        )

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            differences = self.differences(x, labels)
        return _Differences.apply(x, differences)

    def differences(self, x: Tensor, labels: Tensor) -> Tensor:
        """The differences that the loss squares, of the bottom's shape."""
        side, cells = x.shape[3], anchor_cells(x, len(self.anchors))
        truths = labels.reshape(labels.shape[0], MAX_TRUTHS, 5)[: len(x)].to(cells)
        anchors = self.anchors.to(cells)
        boxes = boxes_of(cells, anchors, side, side, 1)
        found = torch.zeros_like(cells)
        found[..., 4] = self.background(cells[..., 4].sigmoid(), boxes, truths)
        rows = found.reshape(-1, cells.shape[3])
        truths, images = self.counted(truths, side)
        if len(truths):
            slots, best = self.responsible(truths, images, boxes, anchors, side)
            given = cells.reshape(rows.shape)[slots]
            of_truths = self.of_truths(truths, given, anchors[best], side)
            # where several truths meet at an anchor, the last one counts
            order = torch.arange(len(slots), device=slots.device)
            last = torch.full((len(rows),), -1, device=slots.device)
            last = last.scatter_reduce(0, slots, order, "amax")
            is_last = last[slots] == order
            rows[slots[is_last], : 5 + self.classes] = of_truths[is_last]
        return rows.view(cells.shape).transpose(2, 3).reshape(x.shape)

    def background(self, objectness: Tensor, boxes: Tensor, truths: Tensor) -> Tensor:
        """The differences of the objectness to 0; none where a box overlaps a truth.

        Shapes: objectness (N, A, S²), boxes (N, A, S², 4), truths (N, 300, 5) → (N, A, S²).
        """
        counted = (truths[..., 1] != 0).cumprod(1).bool()  # an x of 0 ends them
        if not torch.compiler.is_compiling():  # most rows are empty
            most = int(counted.sum(1).max())
            counted, truths = counted[:, :most], truths[:, :most]
        overlaps = centred_iou(boxes.flatten(1, 2).unsqueeze(2), truths[:, None, :, 1:])
        # an IoU that is no number is above nothing; without a truth the best one is 0
        is_object = ((overlaps > self.thresh) & counted.unsqueeze(1)).any(2)
        is_object = is_object.view(objectness.shape) | (self.thresh < 0)
        slope = objectness * (1 - objectness)
        return torch.where(is_object, 0.0, self.scales.noobject * objectness * slope)

    def counted(self, truths: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """The truths of all images up to a width of 0, and which image each is of.

        Raises: NetspecError for a centre outside the image.
        """
        counted = (truths[..., 3] != 0).cumprod(1).bool()
        images, _ = places = counted.nonzero(as_tuple=True)
        truths = truths[places]
        cell = (truths[:, 1:3] * side).trunc()
        at = cell[:, 1] * side + cell[:, 0]
        outside = ~((at >= 0) & (at < side * side))
        if not torch.compiler.is_compiling() and outside.any():
            i = int(outside.nonzero()[0, 0])
            image, (x, y) = int(images[i]), truths[i, 1:3].tolist()
            error = NetspecError(
                f"{self.label}: item {image} of the batch has a box with its centre at "
                f"({x:g}, {y:g}), outside of the image",
                self.span,
                "x, y, width and height are relative to the image, from 0 to 1",
            )
            error.item = image
            raise error
        return truths, images

    def responsible(
        self, truths: Tensor, images: Tensor, boxes: Tensor, anchors: Tensor, side: int
    ) -> tuple[Tensor, Tensor]:
        """For each truth the place of its cell and anchor among all, and the anchor's index."""
        columns, lines = (truths[:, 1:3] * side).long().unbind(1)
        cell = lines * side + columns
        sizes = anchors / side if self.bias_match else boxes[images, :, cell, 2:]
        wanted = truths[:, None, 3:]
        common = torch.minimum(sizes, wanted).prod(-1)
        overlaps = common / (sizes.prod(-1) + wanted.prod(-1) - common)
        most, best = overlaps.nan_to_num(0).max(1)
        slots = (images * len(anchors) + best) * side * side + cell
        # a quirk of the fork: a truth that no anchor overlaps goes to the first place of all
        return torch.where(most > 0, slots, 0), torch.where(most > 0, best, 0)

    def of_truths(self, truths: Tensor, given: Tensor, anchors: Tensor, side: int) -> Tensor:
        """The differences at the anchors that answer for truths.

        Shapes: truths (M, 5), given (M, V), anchors (M, 2) → (M, 5 + classes).
        """
        classes, centres, sizes = truths[:, :1].long(), truths[:, 1:3], truths[:, 3:]
        cells, shift = (centres * side).trunc(), given[:, :2].sigmoid()
        scale = self.scales.coord * (1 if self.rescore else 2 - sizes.prod(1, keepdim=True))
        offset = scale * (shift - (centres * side - cells)) * shift * (1 - shift)
        growth = scale * (given[:, 2:4] - (sizes * side / anchors).log())
        boxes = torch.cat(((cells + shift) / side, given[:, 2:4].exp() * anchors / side), 1)
        wanted = centred_iou(boxes, truths[:, 1:]) if self.rescore else 1.0
        objectness = given[:, 4].sigmoid()
        object_part = (objectness - wanted) * objectness * (1 - objectness) * self.scales.object
        is_class = classes == torch.arange(self.classes, device=classes.device)
        class_part = given[:, 5 : 5 + self.classes].softmax(1) - is_class.to(given)
        parts = (offset, growth, object_part.unsqueeze(1), self.scales.classes * class_part)
        return torch.cat(parts, 1)


def build_region_loss(layer: Layer) -> RegionLoss:
    p = layer.field("region_loss_param")
    biases = list(p.biases) if len(p.biases) >= LEAST_BIASES else [0.0] * LEAST_BIASES
    return RegionLoss(
        torch.tensor(biases[: 2 * p.num]).view(-1, 2),
        p.num_class,
        Scales(p.coord_scale, p.object_scale, p.noobject_scale, p.class_scale),
        p.thresh,
        bool(p.rescore),
        bool(p.bias_match),
        layer.label,
        label_span(layer),
    )


BUILDERS = {"RegionLoss": Builder(build_region_loss)}
