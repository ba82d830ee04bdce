"""The Python layers of Faster R-CNN's nets: proposals, and what their training compares them with.

What they draw comes from torch's own generator, which training seeds anew for each iteration.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.layers import faster_rcnn as specs
from netspec.layers.faster_rcnn import MIN_SIZE, NMS_THRESHOLD, TOP_N
from netspec.layers.param_str import settings_of
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.pixel_boxes import clip, decode, encode, overlaps, sizes, suppress
from netspec.pytorch.layers.regions import by_place, shifted
from netspec.pytorch.not_compiled import not_compiled

# py-faster-rcnn's settings
ANCHORS_DRAWN, OBJECTS_DRAWN = 256, 128  # RPN_BATCHSIZE, and RPN_FG_FRACTION of it
OBJECT_OVERLAP, BACKGROUND_OVERLAP = 0.7, 0.3
REGIONS_DRAWN, OBJECT_REGIONS = 128, 32  # BATCH_SIZE, and FG_FRACTION of it
REGION_OVERLAP = 0.5
STANDARD_DEVIATIONS = (0.1, 0.1, 0.2, 0.2)


class _Anchored(LayerModule):
    """A layer with anchors (A, 4) around the first place of its map."""

    anchors: Tensor

    def __init__(self, anchors: list[tuple[float, ...]], stride: int) -> None:
        super().__init__()
        self.register_buffer("anchors", torch.tensor(anchors), persistent=False)
        self.stride = stride

    def extra_repr(self) -> str:
        return f"{self.anchors.shape[0]} anchors, feat_stride={self.stride}"


class ProposalLayer(_Anchored):
    """The boxes of the highest scores after non-maximum suppression.

    Shapes: scores (1, 2A, H, W), deltas (1, 4A, H, W), info (1, 3) → (R, 5) and scores (R, 1).
    """

    def __init__(
        self, anchors: list[tuple[float, ...]], stride: int, phase: str, with_scores: bool
    ) -> None:
        super().__init__(anchors, stride)
        self.before, self.after = TOP_N[phase]
        self.with_scores = with_scores

    @not_compiled
    @torch.no_grad()
    def forward(
        self, scores: Tensor, deltas: Tensor, info: Tensor
    ) -> Tensor | tuple[Tensor, Tensor]:
        height, width, scale = info[0, :3].float().unbind()
        objects = by_place(scores[0, self.anchors.shape[0] :].float(), 1)[:, 0]
        anchors = shifted(self.anchors, scores.shape[2], scores.shape[3], self.stride)
        boxes = clip(decode(anchors, by_place(deltas[0].float(), 4)), height, width)
        across, down = sizes(boxes)
        large = (across >= MIN_SIZE * scale) & (down >= MIN_SIZE * scale)
        boxes, objects = boxes[large], objects[large]
        order = objects.argsort(descending=True, stable=True)[: self.before]
        kept = order[suppress(boxes[order], NMS_THRESHOLD, self.after)]
        rois = torch.cat((boxes.new_zeros(kept.numel(), 1), boxes[kept]), 1).to(scores.dtype)
        return (rois, objects[kept, None].to(scores.dtype)) if self.with_scores else rois


class AnchorTargetLayer(_Anchored):
    """Labels and targets of the anchors that lie inside the image; the others are ignored.

    Shapes: map (1, ·, H, W), boxes (G, 5), info (1, 3) → (1, 1, A·H, W), three (1, 4A, H, W).
    """

    def __init__(
        self, anchors: list[tuple[float, ...]], stride: int, border: float, label: str, span: Any
    ) -> None:
        super().__init__(anchors, stride)
        self.border, self.label, self.span = border, label, span

    @not_compiled
    @torch.no_grad()
    def forward(
        self, x: Tensor, boxes: Tensor, info: Tensor, image: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        require_any(boxes, self.label, self.span)
        rows, columns = x.shape[2:]
        every = shifted(self.anchors, rows, columns, self.stride).double()
        height, width = info[0, :2].double()
        inside = (
            (every[:, :2] >= -self.border).all(1)
            & (every[:, 2] < width + self.border)
            & (every[:, 3] < height + self.border)
        ).nonzero()[:, 0]
        anchors = every[inside]
        found = every.new_full((every.shape[0],), -1)
        tensors = [every.new_zeros(every.shape) for _ in range(3)]
        if inside.numel():
            shared = overlaps(anchors, boxes[:, :4].double())
            labels = _thinned(_anchor_labels(shared))
            found[inside] = labels
            values = (
                encode(anchors, boxes[first_of_greatest(shared), :4].double()),
                (labels == 1).double()[:, None],
                (labels >= 0).double()[:, None] / (labels >= 0).sum(),
            )
            for tensor, value in zip(tensors, values, strict=True):
                tensor[inside] = value.expand(-1, 4)
        # each as the map has its anchors: first the anchor, then the place
        maps = [
            each.reshape(rows, columns, -1).permute(2, 0, 1)[None].to(x.dtype)
            for each in (found, *tensors)
        ]
        return (maps[0].reshape(1, 1, -1, columns), *(each.contiguous() for each in maps[1:]))


def _anchor_labels(shared: Tensor) -> Tensor:
    """1 for each box's best anchors and those that overlap one well, 0 for background, else -1.

    A box that no anchor overlaps makes objects of all that overlap it as little.
    """
    greatest = shared.max(1).values
    labels = torch.full_like(greatest, -1)
    labels[greatest < BACKGROUND_OVERLAP] = 0
    labels[(shared == shared.max(0).values).any(1)] = 1
    labels[greatest >= OBJECT_OVERLAP] = 1
    return labels


def _thinned(labels: Tensor) -> Tensor:
    """The labels of at most 256 anchors, at most half of them objects; the others become -1."""
    objects = drawn(labels == 1, OBJECTS_DRAWN)
    background = drawn(labels == 0, ANCHORS_DRAWN - objects.numel())
    thinned = torch.full_like(labels, -1)
    thinned[objects] = 1
    thinned[background] = 0
    return thinned


class ProposalTargetLayer(LayerModule):
    """Regions drawn from the proposals and the boxes, with labels and targets.

    Shapes: regions (R, 5), boxes (G, 5) → (S, 5), (S), three (S, 4·classes), S at most 128.
    """

    def __init__(self, classes: int, label: str, span: Any) -> None:
        super().__init__()
        self.classes, self.label, self.span = classes, label, span

    def extra_repr(self) -> str:
        return f"num_classes={self.classes}"

    @not_compiled
    @torch.no_grad()
    def forward(self, rois: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        require_any(boxes, self.label, self.span)
        self._check(rois, boxes)
        every = torch.cat((rois.reshape(-1, 5), torch.cat((boxes[:, :1] * 0, boxes[:, :4]), 1)))
        shared = overlaps(every[:, 1:].double(), boxes[:, :4].double())
        box = first_of_greatest(shared)
        is_object = shared.max(1).values >= REGION_OVERLAP
        objects = drawn(is_object, OBJECT_REGIONS)
        taken = torch.cat((objects, drawn(~is_object, REGIONS_DRAWN - objects.numel())))
        labels = boxes[box[taken], 4].long()
        labels[objects.numel() :] = 0
        regions = every[taken]
        targets = encode(regions[:, 1:].double(), boxes[box[taken], :4].double())
        targets /= targets.new_tensor(STANDARD_DEVIATIONS)
        # background has no box: of four columns for each class it fills none
        own = nn.functional.one_hot(labels, self.classes)[:, :, None] * (labels > 0)[:, None, None]
        weights = own.expand(-1, -1, 4).reshape(len(labels), -1).to(rois.dtype)
        columns = (own * targets[:, None]).reshape(len(labels), -1).to(rois.dtype)
        return regions, labels.to(rois.dtype), columns, weights, weights.clone()

    def _check(self, rois: Tensor, boxes: Tensor) -> None:
        """Raises: NetspecError for regions of several images, or a class out of range."""
        if bool((rois[:, 0] != 0).any()):
            raise NetspecError(f"{self.label} takes one image at a time", self.span)
        for row, label in enumerate(boxes[:, 4].tolist()):
            if not 0 <= label < self.classes:
                raise NetspecError(
                    f"{self.label}: box {row} is of class {label:g}, "
                    f"but there are {self.classes} (0 to {self.classes - 1})",
                    self.span,
                )


def require_any(boxes: Tensor, label: str, span: Any) -> None:
    """Raises: NetspecError for an image without boxes."""
    if not boxes.shape[0]:
        raise NetspecError(f"{label}: the image has no boxes, expected at least one", span)


def first_of_greatest(shared: Tensor) -> Tensor:
    """For each row the first column of the greatest value."""
    columns = torch.arange(shared.shape[1], device=shared.device)
    is_greatest = shared == shared.max(1, keepdim=True).values
    return columns.expand_as(shared).masked_fill(~is_greatest, shared.shape[1]).min(1).values


def drawn(mask: Tensor, most: int) -> Tensor:
    """The indices of what a mask marks, at most so many, drawn without replacement."""
    indices = mask.nonzero()[:, 0]
    return indices[torch.randperm(indices.numel())[:most].to(indices.device)]


def build_proposal(layer: Layer) -> nn.Module:
    settings = settings_of(layer, specs.ProposalLayer.keys)
    return ProposalLayer(
        specs.anchors(settings["ratios"], settings["scales"]),
        settings["feat_stride"],
        layer.phase,
        len(layer.top_blobs) > 1,
    )


def build_anchor_target(layer: Layer) -> nn.Module:
    settings = settings_of(layer, specs.AnchorTargetLayer.keys)
    return AnchorTargetLayer(
        specs.anchors(settings["ratios"], settings["scales"]),
        settings["feat_stride"],
        settings["allowed_border"],
        layer.label,
        layer.spans.at("bottom", 1),
    )


def build_proposal_target(layer: Layer) -> nn.Module:
    settings = settings_of(layer, specs.ProposalTargetLayer.keys)
    return ProposalTargetLayer(settings["num_classes"], layer.label, layer.spans.at("bottom", 1))


BUILDERS = {
    "Python (ProposalLayer)": Builder(build_proposal, leaves_top=always),
    "Python (AnchorTargetLayer)": Builder(build_anchor_target, leaves_top=always),
    "Python (ProposalTargetLayer)": Builder(build_proposal_target, leaves_top=always),
}
