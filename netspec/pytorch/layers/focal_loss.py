"""The focal losses of chuanqi305/FocalLoss and happynear/caffe-windows."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import (
    class_axis,
    flat_labels,
    ignored_label,
    label_span,
    normalization_of,
    normalizer,
    wide,
)

if TYPE_CHECKING:
    from netspec.diagnostics import Span

FLT_MIN = torch.finfo(torch.float32).tiny


class Focus(NamedTuple):
    """The factor of -log p: weight · (one + sign · p)^gamma."""

    weight: float
    one: float
    sign: int
    gamma: float


class _Focal(torch.autograd.Function):
    """The sum of the label's focal terms, of probabilities, with the gradient of the scores.

    As in the forks the gradient takes `one` for 1.

    Shapes: scores and probabilities (M, C), index (M), counted (M).
    """

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, p: Tensor, index: Tensor, counted: Tensor | None, focus: Focus
    ) -> Tensor:
        label = index.unsqueeze(1)
        own = p.gather(1, label)
        power = (focus.one + focus.sign * own).pow(focus.gamma)
        log = own.clamp(min=FLT_MIN).log()
        # the power's derivative: at p = 1 the fork divides by no less than 1e-10
        slope = focus.gamma * power / (1 + focus.sign * own).clamp(min=1e-10)
        factor = focus.weight * (focus.sign * slope * log * own + power)
        terms = focus.weight * power * -log
        if counted is not None:
            factor = torch.where(counted.unsqueeze(1), factor, 0)
            terms = torch.where(counted.unsqueeze(1), terms, 0)
        ctx.save_for_backward(factor, p, label)
        return terms.sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        factor, p, label = ctx.saved_tensors
        rest = p.scatter_add(1, label, -torch.ones_like(factor))
        return rest * (factor * grad), None, None, None, None


class FocalLoss(LayerModule):
    """The mean of the focal terms over a normaliser.

    Shapes: scores (…, C, …) with C at `axis`; labels one for each place outside that axis.
    """

    def __init__(
        self,
        axes: tuple[int, int],
        focus: Focus,
        ignore: int | None,
        normalization: int,
        probabilities: bool,
        label: str,
        span: Span | None = None,
    ) -> None:
        super().__init__()
        (self.axis, self.softmax_axis), self.focus = axes, focus
        self.ignore, self.normalization, self.probabilities = ignore, normalization, probabilities
        self.label, self.span = label, span

    def extra_repr(self) -> str:
        return f"axis={self.axis}, {self.focus}, ignore_label={self.ignore}"

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        scores = wide(scores)
        classes = scores.shape[self.axis]
        index, counted = flat_labels(labels, classes, self.ignore, self.label, self.span)
        p = scores.detach().softmax(self.softmax_axis)
        rows, own = (x.movedim(self.axis, -1).reshape(-1, classes) for x in (scores, p))
        total = _Focal.apply(rows, own, index, counted, self.focus)
        outer = prod(scores.shape[: self.axis])
        loss = total / normalizer(self.normalization, outer, index.numel(), counted)
        return (loss, p.to(scores.dtype)) if self.probabilities else loss


def build_focal_loss(layer: Layer) -> nn.Module:
    p, loss = layer.field("focal_loss_param"), layer.message.loss_param
    softmax_axis = class_axis(layer, layer.message.softmax_param.axis)
    if layer.spec_name.endswith("(happynear)"):
        alpha = p.alpha if p.HasField("alpha") else 1.0  # the field's default is chuanqi305's
        focus = Focus(1.0, alpha, 1 if p.type == p.ONEADDP else -1, p.gamma)
        axis = softmax_axis
    else:
        focus, axis = Focus(p.alpha, 1.0, -1, p.gamma), class_axis(layer, p.axis)
    return FocalLoss(
        (axis, softmax_axis),
        focus,
        ignored_label(loss),
        normalization_of(loss),
        len(layer.top_blobs) > 1,
        layer.label,
        label_span(layer),
    )


BUILDERS: dict[str, Builder] = {
    "FocalLoss (ssd)": Builder(build_focal_loss),
    "FocalLoss (happynear)": Builder(build_focal_loss),
}
