"""Eltwise with Caffe's gradients, Scale, Bias and Reduction."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.memory_format import takes_gradient_alike
from netspec.schema.caffe_pb2 import EltwiseParameter, ReductionParameter


class EltwiseSum(LayerModule):
    """The sum of its bottoms, each with its coefficient."""

    def __init__(self, coefficients: list[float]) -> None:
        super().__init__()
        self.coefficients = coefficients

    def extra_repr(self) -> str:
        return f"coefficients={self.coefficients}" if self.coefficients else ""

    def forward(self, *bottoms: Tensor) -> Tensor:
        if not self.coefficients:
            return takes_gradient_alike(reduce(torch.add, bottoms))
        total = bottoms[0] if self.coefficients[0] == 1 else bottoms[0] * self.coefficients[0]
        for bottom, coefficient in zip(bottoms[1:], self.coefficients[1:], strict=True):
            total = total.add(bottom, alpha=coefficient)
        return takes_gradient_alike(total)


class EltwiseMax(LayerModule):
    """The maximum of its bottoms.

    The gradient of a tie of the first two goes to the second, as in Caffe.
    """

    def forward(self, first: Tensor, second: Tensor, *others: Tensor) -> Tensor:
        top = torch.where(first > second, first, second)
        for bottom in others:
            top = torch.where(bottom > top, bottom, top)
        return top


class _UnstableProduct(torch.autograd.Function):
    """A product whose gradient divides it by each factor: fast, and 0/0 where a factor is 0."""

    @staticmethod
    def forward(ctx: Any, *bottoms: Tensor) -> Tensor:
        product = reduce(torch.mul, bottoms)
        ctx.save_for_backward(product, *bottoms)
        return product

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        product, *bottoms = ctx.saved_tensors
        return tuple(grad * (product / bottom) for bottom in bottoms)


class EltwiseProduct(LayerModule):
    """The product of its bottoms."""

    def __init__(self, stable_grad: bool) -> None:
        super().__init__()
        self.stable_grad = stable_grad

    def forward(self, *bottoms: Tensor) -> Tensor:
        return reduce(torch.mul, bottoms) if self.stable_grad else _UnstableProduct.apply(*bottoms)


class Scale(LayerModule):
    """Multiplies by a factor, its own or a second bottom, broadcast from `axis` on.

    It then adds its bias.

    Shapes: the factor covers the bottom's axes from `axis` on, or is a scalar.
    """

    def __init__(
        self, factor: tuple[int, ...] | None, bias: tuple[int, ...] | None, axis: int
    ) -> None:
        super().__init__()
        self.axis = axis
        self.weight = nn.Parameter(torch.empty(factor)) if factor is not None else None
        self.bias = nn.Parameter(torch.empty(bias)) if bias is not None else None

    def extra_repr(self) -> str:
        return (
            f"{tuple(self.weight.shape) if self.weight is not None else 'second bottom'}, "
            f"axis={self.axis}, bias={self.bias is not None}"
        )

    def forward(self, x: Tensor, factor: Tensor | None = None) -> Tensor:
        weight = self.weight if factor is None else factor
        assert weight is not None
        top = x * _spread(weight, x, self.axis)
        return top if self.bias is None else top.add_(_spread(self.bias, x, self.axis))


class Bias(LayerModule):
    """Adds a bias, its own or a second bottom, broadcast from `axis` on.

    Shapes: the bias covers the bottom's axes from `axis` on, or is a scalar.
    """

    def __init__(self, shape: tuple[int, ...] | None, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.bias = nn.Parameter(torch.empty(shape)) if shape is not None else None

    def extra_repr(self) -> str:
        return (
            f"{tuple(self.bias.shape) if self.bias is not None else 'second bottom'}, "
            f"axis={self.axis}"
        )

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        bias = self.bias if bias is None else bias
        assert bias is not None
        return x + _spread(bias, x, self.axis)


class Reduction(LayerModule):
    """Makes one number of all axes from `axis` on, and multiplies it by a coefficient.

    Shapes: N×C×H×W with axis 1 becomes N; with axis 0 a scalar.
    """

    def __init__(self, operation: int, axis: int, coefficient: float) -> None:
        super().__init__()
        self.operation, self.axis, self.coefficient = operation, axis, coefficient

    def extra_repr(self) -> str:
        return (
            f"{ReductionParameter.ReductionOp.Name(self.operation)}, axis={self.axis}, "
            f"coefficient={self.coefficient:g}"
        )

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(self.axis, x.dim()))
        if self.operation == ReductionParameter.MEAN:
            top = x.mean(axes)
        elif self.operation == ReductionParameter.SUM:
            top = x.sum(axes)
        else:
            top = (x.abs() if self.operation == ReductionParameter.ASUM else x.square()).sum(axes)
        return top if self.coefficient == 1 else top * self.coefficient


def _spread(factor: Tensor, x: Tensor, axis: int) -> Tensor:
    """The factor with axes of length 1 behind it, so that it broadcasts over x from `axis` on."""
    if factor.dim() == 0:
        return factor
    return factor.reshape(*factor.shape, *[1] * (x.dim() - axis - factor.dim()))


def build_eltwise(layer: Layer) -> nn.Module:
    p = layer.message.eltwise_param
    if p.operation == EltwiseParameter.SUM:
        return EltwiseSum(list(p.coeff))
    return (
        EltwiseProduct(p.stable_prod_grad) if p.operation == EltwiseParameter.PROD else EltwiseMax()
    )


def build_scale(layer: Layer) -> nn.Module:
    p = layer.message.scale_param
    shapes = [param.shape for param in layer.params]
    own_factor = shapes[0] if len(layer.bottom_blobs) == 1 else None
    return Scale(own_factor, shapes[-1] if p.bias_term else None, _axis(layer, p.axis))


def build_bias(layer: Layer) -> nn.Module:
    return Bias(
        layer.params[0].shape if layer.params else None, _axis(layer, layer.message.bias_param.axis)
    )


def build_reduction(layer: Layer) -> nn.Module:
    p = layer.message.reduction_param
    return Reduction(p.operation, _axis(layer, p.axis), p.coeff)


def _axis(layer: Layer, axis: int) -> int:
    """An axis of the first bottom, counted from the front; 0 for a scalar, which has none."""
    return axis % max(1, len(layer.bottom_blobs[0].shape or ()))


BUILDERS = {
    "Eltwise": Builder(
        build_eltwise,
        leaves_top=lambda layer: layer.message.eltwise_param.operation != EltwiseParameter.PROD,
    ),
    "Scale": Builder(build_scale, leaves_top=lambda layer: len(layer.bottom_blobs) == 1),
    "Bias": Builder(build_bias, leaves_top=always),
    "Reduction": Builder(build_reduction),
}
