"""Caffe's gradients of activations, from what stands in their bottom's and top's memory.

Each takes the gradient of the top, the bottom as it was, what now stands in the bottom's and in the
top's memory, and the module (`builder.Gradient`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def power_slope(bottom: Tensor, top: Tensor, power: float, scale: float, shift: float) -> Tensor:
    """The derivative by Caffe's formulas, which distinguish powers 1 and 2 without a shift."""
    if power == 1:
        return torch.full_like(bottom, scale)
    if power == 2:
        return scaled(bottom, 2 * scale * scale, 2 * scale * shift)
    if shift == 0:
        return top / bottom * power
    return top / scaled(bottom, scale, shift) * (power * scale)


def scaled(x: Tensor, scale: float, shift: float) -> Tensor:
    """shift + scale · x."""
    x = x if scale == 1 else x * scale
    return x if shift == 0 else x + shift


def relu_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return torch.where(bottom > 0, grad, grad * getattr(module, "negative_slope", 0.0))


def softmax_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return top * (grad - (grad * top).sum(module.dim, keepdim=True))


def swish_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    beta = getattr(module, "beta", 1.0)
    sigmoid = torch.sigmoid(x * beta)  # the layer keeps it apart
    return grad * (beta * top + sigmoid * (1 - beta * top))


def log_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    slope = scaled(bottom, module.scale, module.shift).reciprocal() * (module.scale * module.outer)
    # in place it writes the slope over the top's gradient before it reads that
    return slope * slope


def power_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    slope = power_slope(bottom, top, module.power, module.scale, module.shift)
    return (slope if bottom is top else grad) * slope  # as Log


def bnll_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return grad * torch.sigmoid(bottom)


def clip_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return grad * ((bottom >= module.low) & (bottom <= module.high))


def elu_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return torch.where(bottom > 0, grad, grad * (module.alpha + top))


def exp_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return grad * top * module.inner


def sigmoid_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return grad * top * (1 - top)


def tanh_gradient(grad: Tensor, x: Tensor, bottom: Tensor, top: Tensor, module: Any) -> Tensor:
    return grad * (1 - top * top)
