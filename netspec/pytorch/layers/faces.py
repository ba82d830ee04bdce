"""Losses with centres and margins, and happynear's layers beside them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.layers.faces import resized
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss_terms import flat_labels, item_rows, label_span, wide

if TYPE_CHECKING:
    from netspec.diagnostics import Span


class _Center(torch.autograd.Function):
    """The mean distance of rows to the centres of their classes, and the forks' gradients of it.

    Shapes: x (N, K), centers (C, K), index (N).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, centers: Tensor, index: Tensor, is_l1: bool, each: bool
    ) -> Tensor:
        distance = x - centers[index]
        ctx.save_for_backward(distance, index)
        ctx.classes, ctx.is_l1, ctx.each = centers.shape[0], is_l1, each
        total = distance.abs().sum() if is_l1 else distance.square().sum() / 2
        return total / x.shape[0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        distance, index = ctx.saved_tensors
        step = None
        if ctx.needs_input_grad[1]:
            # happynear's code makes signs of L1's distances only where the centres learn
            distance = distance.sign() if ctx.is_l1 else distance
            step = distance.new_zeros(ctx.classes, distance.shape[1])
            step.index_add_(0, index, distance, alpha=-1)
            counts = distance.new_zeros(ctx.classes)
            counts.index_add_(0, index, torch.ones_like(distance[:, 0]))
            factor = (counts if ctx.each else 1) / (1 + counts)
            step *= factor.unsqueeze(1)
        return distance * (grad / distance.shape[0]), step, None, None, None


class CenterLoss(LayerModule):
    """The mean distance of each item to the centre of its class.

    Args: each: a centre's step is taken for each of its items, not once.
    """

    def __init__(
        self, classes: int, size: int, is_l1: bool, each: bool, label: str, span: Span | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, size))
        self.is_l1, self.each, self.label, self.span = is_l1, each, label, span

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, {'L1' if self.is_l1 else 'L2'}"

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        index, _ = flat_labels(labels, self.weight.shape[0], None, self.label, self.span)
        rows = wide(item_rows(x))
        loss: Tensor = _Center.apply(rows, wide(self.weight), index, self.is_l1, self.each)
        return loss


def margin(cosine: Tensor, times: int) -> tuple[Tensor, Tensor, Tensor]:
    """A decreasing cos(times · angle), and what x and w have in its gradient by x.

    Returns: the value f; a and b, by which the gradient of |x| · f is a · w/|w| + b · x/|x|.
    """
    c, sign = cosine, cosine.sign()
    if times == 2:
        return 2 * sign * c**2 - 1, 4 * sign * c, -(2 * sign * c**2 + 1)
    if times == 3:
        near = (c.abs() - 0.5).sign()
        fold = sign * (1 + near) - 2
        value = near * (4 * c**3 - 3 * c) + fold
        return value, near * (12 * c**2 - 3), fold - 8 * near * c**3
    near = sign * (2 * c**2 - 1).sign()
    fold = 2 * sign + near - 3
    value = near * (8 * c**4 - 8 * c**2 + 1) + fold
    return value, near * (32 * c**3 - 16 * c), fold - near * (24 * c**4 - 8 * c**2 - 1)


class _Margin(torch.autograd.Function):
    """x · w with weights of length 1, and at the label a margin, with SphereFace's gradients.

    The weights' gradient is that of x · w. In x's the margin's part, a · w + b · x, is divided by
    the length of (a, b).

    Shapes: x (M, K), weight (N, K), index (M), decay 0 axes.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, index: Tensor, decay: Tensor, times: int
    ) -> Tensor:
        product = x @ weight.T
        ctx.save_for_backward(x, weight, index, decay, product)
        ctx.times = times
        if times == 1:
            return product
        label = index.unsqueeze(1)
        plain, length = product.gather(1, label), torch.linalg.vector_norm(x, dim=1, keepdim=True)
        value = length * margin(plain / length, times)[0]
        return product.scatter(1, label, (value + decay * plain) / (1 + decay))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, index, decay, product = ctx.saved_tensors
        slope = grad @ weight if ctx.needs_input_grad[0] else None
        if slope is not None and ctx.times != 1:
            label = index.unsqueeze(1)
            length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
            _, a, b = margin(product.gather(1, label) / length, ctx.times)
            b = b / length
            norm = torch.sqrt(a * a + b * b)
            part = grad.gather(1, label) / (1 + decay)
            slope = slope + part * ((a / norm - 1) * weight[index] + b / norm * x)
        return slope, grad.T @ x if ctx.needs_input_grad[1] else None, None, None, None


class MarginInnerProduct(LayerModule):
    """A dense layer with an angular margin for the label; lambda falls with every forward pass.

    Shapes: x (…, K) → (…, N), lambda (1).

    Args: times: what the label's angle is multiplied by, 1 to 4.
    """

    iteration: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        p: Any,
        axis: int,
        lambdas: bool,
        label: str,
        span: Span | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.times, self.axis, self.lambdas = p.type + 1, axis, lambdas
        self.base, self.gamma, self.power, self.lambda_min = p.base, p.gamma, p.power, p.lambda_min
        self.label, self.span = label, span
        # Caffe's count is in no file either
        self.register_buffer("iteration", torch.tensor(float(p.iteration)), persistent=False)

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, times={self.times}, axis={self.axis}"

    def blobs(self) -> list[Tensor]:
        return [self.weight]

    def forward(self, x: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        with torch.no_grad():
            self.iteration += 1
            decay = self.base * (1 + self.gamma * self.iteration) ** -self.power
            decay = decay.clamp(min=self.lambda_min)
        leading = x.shape[: self.axis]
        rows = x.reshape(prod(leading), -1)
        index, _ = flat_labels(labels, self.weight.shape[0], None, self.label, self.span)
        scores = self.product(rows, index, decay.to(x.dtype)).reshape(*leading, -1)
        return (scores, decay.reshape(1)) if self.lambdas else scores

    def product(self, x: Tensor, index: Tensor, decay: Tensor) -> Tensor:
        """The scores of rows."""
        with torch.no_grad():  # the file's weights change, too
            self.weight.div_(torch.linalg.vector_norm(self.weight, dim=1, keepdim=True))
        result: Tensor = _Margin.apply(x, self.weight, index, decay, self.times)
        return result


class LargeMarginInnerProduct(MarginInnerProduct):
    """A margin with weights of any length, and the derivatives."""

    def product(self, x: Tensor, index: Tensor, decay: Tensor) -> Tensor:
        product = x @ self.weight.T
        if self.times == 1:
            return product
        label = index.unsqueeze(1)
        plain = product.gather(1, label)
        lengths = torch.linalg.vector_norm(x, dim=1, keepdim=True) * torch.linalg.vector_norm(
            self.weight[index], dim=1, keepdim=True
        )
        lengths = lengths + 1e-9
        value = lengths * margin(plain / lengths, self.times)[0]
        return product.scatter(1, label, (value + decay * plain) / (1 + decay))


class ChannelNormalize(LayerModule):
    """Divides each place by the norm of its channels.

    Shapes: (N, C, H, W), of which the last ones may be missing → (N, C, H, W), (N, 1, H, W).

    Args: norms: gives the norms, too; bp_norm: whose gradient goes down.
    """

    def __init__(self, is_l1: bool, norms: bool, bp_norm: bool) -> None:
        super().__init__()
        self.is_l1, self.norms, self.bp_norm = is_l1, norms, bp_norm

    def extra_repr(self) -> str:
        return "L1" if self.is_l1 else "L2"

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = x.reshape(*x.shape, *[1] * (4 - x.dim()))
        if self.is_l1:
            norm = x.abs().sum(1, keepdim=True) + 1e-6
        else:
            norm = (x.square().sum(1, keepdim=True) + 1e-6).sqrt()
        if not self.norms:
            return x / norm
        return x / norm, norm if self.bp_norm else norm.detach()


class Flip(LayerModule):
    """Reverses axes of those that a blob has."""

    def __init__(self, axes: list[int]) -> None:
        super().__init__()
        self.axes = axes

    def extra_repr(self) -> str:
        return f"axes={self.axes}"

    def forward(self, x: Tensor) -> Tensor:
        return x.flip([axis for axis in self.axes if axis < x.dim()])


class Resize(LayerModule):
    """Interpolates rows, then columns, see `interpolate`.

    Shapes: (N, C, H, W) → (N, C, h, w).
    """

    def __init__(self, p: Any) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        height, width = resized(self.p, x.shape[2], x.shape[3])
        return interpolate(interpolate(x, 2, height), 3, width)


def interpolate(x: Tensor, axis: int, size: int) -> Tensor:
    """Place i reads at i · in / out between two neighbours; one beyond the end counts as 0."""
    last = x.shape[axis] - 1
    places = torch.arange(size, device=x.device, dtype=torch.float32)
    places = places * torch.tensor((last + 1) / size, dtype=torch.float32)
    first = places.floor().long().clamp_(max=last)
    share = (places - first).to(x.dtype)
    following = torch.where(first < last, share, 0)
    shape = [-1 if i == axis else 1 for i in range(x.dim())]
    top = x.index_select(axis, first) * (1 - share).view(shape)
    return top + x.index_select(axis, (first + 1).clamp_(max=last)) * following.view(shape)


def build_center_loss(layer: Layer) -> nn.Module:
    (classes, size), each = layer.params[0].shape, layer.spec_name.endswith("(happynear)")
    is_l1 = layer.field("center_loss_param").distance_type == "L1"
    return CenterLoss(classes, size, is_l1, each, layer.label, label_span(layer))


def build_margin_inner_product(layer: Layer) -> nn.Module:
    is_large = layer.type == "LargeMarginInnerProduct"
    p = layer.field("largemargin_inner_product_param" if is_large else "margin_inner_product_param")
    return (LargeMarginInnerProduct if is_large else MarginInnerProduct)(
        layer.params[0].shape,
        p,
        p.axis % len(layer.bottom_blobs[0].shape or (1,)),
        len(layer.top_blobs) > 1,
        layer.label,
        label_span(layer),
    )


def build_normalize(layer: Layer) -> nn.Module:
    p = layer.field("normalize_param")
    return ChannelNormalize(p.normalize_type == "L1", len(layer.top_blobs) > 1, p.bp_norm)


def build_flip(layer: Layer) -> nn.Module:
    p = layer.field("flip_param")
    return Flip([*[2] * p.flip_height, *[3] * p.flip_width])


BUILDERS: dict[str, Builder] = {
    "CenterLoss (sphereface)": Builder(build_center_loss),
    "CenterLoss (happynear)": Builder(build_center_loss),
    "MarginInnerProduct": Builder(build_margin_inner_product),
    "LargeMarginInnerProduct": Builder(build_margin_inner_product),
    "Normalize (happynear)": Builder(build_normalize),
    "Flip": Builder(build_flip),
    "Resize": Builder(lambda layer: Resize(layer.field("resize_param"))),
}
