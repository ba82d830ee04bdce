"""Object detection: SSD's boxes, and what holds them against the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.layers.detection import axes_in_order
from netspec.pytorch.boxes import Boxes, decode, require_sizes, split_priors, suppress
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.detection_evaluate import build_detection_evaluate
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.not_compiled import not_compiled
from netspec.pytorch.refuse_export import refuse_export

if TYPE_CHECKING:
    from netspec.diagnostics import Span


class Permute(LayerModule):
    """Puts the axes in another order."""

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def extra_repr(self) -> str:
        return f"axes={self.axes}"

    def forward(self, x: Tensor) -> Tensor:
        # a copy also where only axes of 1 move: a layer in place may write over the top
        return x.permute(self.axes).clone(memory_format=torch.contiguous_format)


class _Normalize(torch.autograd.Function):
    """x / norm · scale.

    Quirk: Caffe's gradient leaves the scale out of the sum that it takes off, so that it is the
    derivative only where all scales are equal.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, axes: list[int], eps: float) -> Tensor:
        norm = (x.square().sum(axes, keepdim=True) + eps).sqrt()
        ctx.save_for_backward(x, norm, scale)
        ctx.axes = axes
        return x / norm * _along_channels(scale, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, norm, scale = ctx.saved_tensors
        product = x * grad
        inner = product.sum(ctx.axes, keepdim=True) / norm.square()
        bottom = (grad - x * inner) / norm * _along_channels(scale, x)
        others = [axis for axis in range(x.dim()) if axis != 1 or not scale.dim()]
        return bottom, (product / norm).sum(others), None, None


def _along_channels(scale: Tensor, x: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (x.dim() - 2)) if scale.dim() else scale


class Normalize(LayerModule):
    """Divides each image, or each pixel, by its L2 norm and multiplies by a learned scale.

    Half precision is summed in 32 bits.

    Shapes: (N, C, …); the scale () or (C) → (N, C, …)
    """

    def __init__(self, scale_shape: Sequence[int], across_spatial: bool, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(tuple(scale_shape)))
        self.across_spatial, self.eps = across_spatial, eps

    def extra_repr(self) -> str:
        scale = "shared" if not self.weight.dim() else f"{self.weight.numel()}"
        return f"across_spatial={self.across_spatial}, scale={scale}, eps={self.eps:g}"

    def forward(self, x: Tensor) -> Tensor:
        axes = list(range(1, x.dim())) if self.across_spatial else [1]
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        return _Normalize.apply(wide, self.weight.to(wide.dtype), axes, self.eps).to(x.dtype)


class DetectionOutput(LayerModule):
    """The detections of each image: [image, label, score, xmin, ymin, xmax, ymax] in each row.

    Images and labels ascend, the scores of a label descend; equal scores stand in the order of
    their priors. Without any detection there is one row an image, all -1 but the image's number.
    RefineDet's first stage gives scores, below which a prior is background, and boxes that take
    the priors' place.

    Shapes: loc (N, P·L·4), conf (N, P·K), priors (1, 2, P·4), scores (N, P·2), boxes (N, P·4)
        → (1, 1, M, 7)
    """

    def __init__(self, param: Any, label: str, span: Span | None = None) -> None:
        super().__init__()
        self.classes, self.background = param.num_classes, param.background_label_id
        self.loc_classes = 1 if param.share_location else param.num_classes
        self.code, self.in_target = param.code_type, param.variance_encoded_in_target
        self.keep_top_k, self.objectness = param.keep_top_k, param.objectness_score
        stated = param.HasField("confidence_threshold")
        self.threshold = param.confidence_threshold if stated else -float(np.finfo("f").max)
        nms = param.nms_param
        self.nms_threshold, self.eta = nms.nms_threshold, nms.eta
        self.top_k = nms.top_k if nms.HasField("top_k") else -1
        self.label, self.span = label, span

    def extra_repr(self) -> str:
        return (
            f"num_classes={self.classes}, confidence_threshold={self.threshold:g}, "
            f"nms_threshold={self.nms_threshold:g}, top_k={self.top_k}, "
            f"keep_top_k={self.keep_top_k}"
        )

    def forward(self, loc: Tensor, conf: Tensor, priors: Tensor, *extra: Tensor) -> Tensor:
        refuse_export(
            f"{self.label}: DetectionOutput can't be exported: how many detections there are "
            "depends on the data",
            self.span,
        )
        return self._detect(loc, conf, priors, *extra)

    @not_compiled
    @torch.no_grad()
    def _detect(self, loc: Tensor, conf: Tensor, priors: Tensor, *extra: Tensor) -> Tensor:
        items = loc.shape[0]
        boxes, variances = (part.cpu() for part in split_priors(priors))
        scores = conf.detach().float().cpu().reshape(items, -1, self.classes)
        arm = [x.detach().float().cpu() for x in extra]
        used = None if self.in_target else variances
        # a single one of another size is an image that Caffe shows
        if arm and arm[0].numel() == items * len(boxes) * 2:
            is_low = arm[0].reshape(items, -1, 2)[..., 1] < self.objectness
            none = torch.zeros(self.classes)
            none[0] = 1  # Quirk: class 0, whatever the background's label is
            scores = torch.where(is_low.unsqueeze(2), none, scores)
        if len(arm) > 1:
            require_sizes(boxes, self.code, self.label, self.span)
            boxes = decode(self.code, boxes, used, arm[1].reshape(items, -1, 4))
        require_sizes(boxes, self.code, self.label, self.span)
        values = loc.detach().float().cpu().reshape(items, -1, self.loc_classes, 4)
        used = None if used is None else used.unsqueeze(1)
        decoded = decode(self.code, boxes.unsqueeze(-2), used, values)
        found = [
            self._image(i, decoded[i].transpose(0, 1).numpy(), scores[i].t().contiguous().numpy())
            for i in range(items)
        ]
        rows = np.concatenate(found) if found else np.empty((0, 7), np.float32)
        if not len(rows):
            rows = np.full((items, 7), -1, np.float32)
            rows[:, 0] = np.arange(items)
        top = torch.from_numpy(rows).view(1, 1, -1, 7)
        return top.to(loc.device, torch.promote_types(loc.dtype, torch.float32))

    def _image(self, image: int, boxes: Boxes, scores: Boxes) -> Boxes:
        """The rows of an image.

        Shapes: boxes (L, P, 4), scores (K, P) → (M, 7)
        """
        rows = []
        for c, row in enumerate(scores):
            if c == self.background:
                continue
            order = self._candidates(row)
            if not len(order):
                continue
            sorted_boxes = boxes[c if self.loc_classes > 1 else 0, order]
            kept = suppress(sorted_boxes, self.nms_threshold, self.eta)
            part = np.empty((len(kept), 7), np.float32)
            part[:, 0], part[:, 1] = image, c
            part[:, 2] = row[order[kept]]
            part[:, 3:] = sorted_boxes[kept]
            rows.append(part)
        found = np.concatenate(rows) if rows else np.empty((0, 7), np.float32)
        if -1 < self.keep_top_k < len(found):
            best = np.argsort(-found[:, 2], kind="stable")[: self.keep_top_k]
            found = found[np.sort(best)]
        return found

    def _candidates(self, scores: Boxes) -> NDArray[np.int64]:
        """The priors above the threshold, the best scores first, `top_k` at most."""
        places = np.flatnonzero(scores > self.threshold)
        above = scores[places]
        if -1 < self.top_k < len(places):
            if not self.top_k:
                return places[:0]
            # all that reach the last score: the sort then lets the first of equals in
            last = np.partition(above, len(above) - self.top_k)[len(above) - self.top_k]
            places = places[above >= last]
            above = scores[places]
        order = np.argsort(-above, kind="stable")
        return places[order[: self.top_k] if self.top_k > -1 else order]


def build_permute(layer: Layer) -> Permute:
    order = layer.field("permute_param").order
    return Permute(axes_in_order(order, len(layer.bottom_blobs[0].shape or ())))


def build_normalize(layer: Layer) -> Normalize:
    p = layer.field("norm_param")
    return Normalize(layer.params[0].shape, p.across_spatial, p.eps)


def build_detection_output(layer: Layer) -> DetectionOutput:
    return DetectionOutput(
        layer.field("detection_output_param"), layer.label, layer.spans.at("bottom", 2)
    )


BUILDERS = {
    "Permute": Builder(build_permute, leaves_top=always),
    "Normalize (ssd)": Builder(build_normalize, leaves_top=always),
    "DetectionOutput": Builder(build_detection_output, leaves_top=always),
    "DetectionEvaluate": Builder(build_detection_evaluate, leaves_top=always),
}
