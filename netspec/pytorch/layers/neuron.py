"""Element by element.

torch's own modules where they compute what Caffe does, gradients included.
"""

from __future__ import annotations

from math import copysign, exp, isfinite, log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.memory_format import lies_last
from netspec.pytorch.layers.neuron_gradients import (
    bnll_gradient,
    clip_gradient,
    elu_gradient,
    exp_gradient,
    log_gradient,
    power_gradient,
    relu_gradient,
    scaled,
    sigmoid_gradient,
    softmax_gradient,
    swish_gradient,
    tanh_gradient,
)
from netspec.schema.forks import stated


class AbsVal(LayerModule):
    """|x|; the gradient at 0 is 0."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class _Clip(torch.autograd.Function):
    """max(low, min(x, high)) as C++ computes it, by which NaN becomes `low`.

    A bound itself passes the gradient. What lies outside gets the gradient times 0, which is NaN
    where that is not finite.

    `beyond` are the numbers next to the bounds, outside: torch's kernels take finite 32 bits in one
    pass each, and pass the gradient only between them.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, low: float, high: float, beyond: tuple[float, float]
    ) -> Tensor:
        low, high = _within(low, x.dtype), _within(high, x.dtype)
        top = x.clamp(low, max(low, high))
        ctx.beyond = beyond if low <= high and _is_seen_finite(top) else None
        if ctx.beyond is None:
            top.nan_to_num_(low, torch.inf, -torch.inf)
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        return top

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        if ctx.beyond is not None and _is_seen_finite(grad):
            passed = torch.ops.aten.hardtanh_backward(grad, x, *ctx.beyond)
        else:
            low, high = ctx.bounds
            passed = grad * ((x >= low) & (x <= high))
        return passed, None, None, None


def _is_seen_finite(x: Tensor) -> bool:
    """Whether one look at 32 bits on the CPU finds no infinity and no NaN, nor too large a sum."""
    is_traced = (
        torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    )
    if is_traced or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    return isfinite(x.sum().item())


def _within(value: float, dtype: torch.dtype) -> float:
    """The value, or infinity where it lies beyond the type's range, like bfloat16's FLT_MAX."""
    if abs(value) <= 65504:  # float16's, the least of all
        return value
    return value if abs(value) <= torch.finfo(dtype).max else copysign(torch.inf, value)


class Clip(LayerModule):
    """Limits every value to the range from low to high."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high
        bounds, ends = torch.tensor([low, high]), torch.tensor([-torch.inf, torch.inf])
        self.below, self.above = torch.nextafter(bounds, ends).tolist()

    def extra_repr(self) -> str:
        return f"{self.low:g}, {self.high:g}"

    def forward(self, x: Tensor) -> Tensor:
        return _Clip.apply(x, self.low, self.high, (self.below, self.above))


class Exp(LayerModule):
    """base^(shift + scale · x) = base^shift · e^(ln(base) · scale · x)."""

    def __init__(self, base: float, scale: float, shift: float) -> None:
        super().__init__()
        self.base, self.scale, self.shift = base, scale, shift
        self.inner = scale if base == -1 else log(base) * scale
        exponent = shift if base == -1 else log(base) * shift
        self.outer = exp(exponent) if exponent < 709 else torch.inf

    def extra_repr(self) -> str:
        return f"base={self.base:g}, scale={self.scale:g}, shift={self.shift:g}"

    def forward(self, x: Tensor) -> Tensor:
        top = (x if self.inner == 1 else x * self.inner).exp()
        return top if self.outer == 1 else top * self.outer


class Log(LayerModule):
    """The logarithm of shift + scale · x."""

    def __init__(self, base: float, scale: float, shift: float) -> None:
        super().__init__()
        self.base, self.scale, self.shift = base, scale, shift
        self.outer = 1.0 if base == -1 else 1 / log(base)

    def extra_repr(self) -> str:
        return f"base={self.base:g}, scale={self.scale:g}, shift={self.shift:g}"

    def forward(self, x: Tensor) -> Tensor:
        top = scaled(x, self.scale, self.shift).log()
        return top if self.outer == 1 else top * self.outer


class _Power(torch.autograd.Function):
    """A power whose gradient is y/x · power as in Caffe, NaN where both are 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, power: float, scale: float, shift: float) -> Tensor:
        inner = scaled(x, scale, shift)
        top = inner.pow(power)
        ctx.save_for_backward(x if shift == 0 else inner, top)
        ctx.factor = power if shift == 0 else power * scale
        return top

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        bottom, top = ctx.saved_tensors
        return (top / bottom).mul_(ctx.factor).mul_(grad), None, None, None


class _Constant(torch.autograd.Function):
    """shift^power in the place of x, with a gradient of 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: float, power: float) -> Tensor:
        return torch.full_like(x, shift).pow(power)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return torch.zeros_like(grad), None, None


class Power(LayerModule):
    """(shift + scale · x)^power; constant, with a gradient of 0, where scale · power is 0."""

    def __init__(self, power: float, scale: float, shift: float) -> None:
        super().__init__()
        self.power, self.scale, self.shift = power, scale, shift

    def extra_repr(self) -> str:
        return f"power={self.power:g}, scale={self.scale:g}, shift={self.shift:g}"

    def forward(self, x: Tensor) -> Tensor:
        if self.power * self.scale == 0:
            result: Tensor = _Constant.apply(x, self.shift, self.power)
            return result
        if self.power in (1, 2):
            top = scaled(x, self.scale, self.shift)
            return top if self.power == 1 else top.square()
        return _Power.apply(x, self.power, self.scale, self.shift)


class Swish(LayerModule):
    """x times the sigmoid of beta · x."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def extra_repr(self) -> str:
        return f"beta={self.beta:g}"

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x * self.beta)


class OrderedDropout(nn.Dropout):
    """Dropout that draws in the order of the axes, also where a blob lies channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return self.dropped(x) if self.training else x

    def dropped(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or not lies_last(x) or not 0 < self.p < 1:
            return F.dropout(x, self.p, training=True)
        factor = torch.empty_like(x, memory_format=torch.contiguous_format).bernoulli_(1 - self.p)
        return x * factor.div_(1 - self.p).contiguous(memory_format=torch.channels_last)


class MonteCarloDropout(OrderedDropout):
    """Dropout of a layer with a `phase: TRAIN` of its own, or with SegNet's sample_weights_test.

    Whatever train() and eval() say of the net, it drops.
    """

    def forward(self, x: Tensor) -> Tensor:
        return self.dropped(x)


class UnscaledDropout(LayerModule):
    """Sets a share of the values to 0 in training, and multiplies by the other share in evaluation.

    Args: drops: whether it drops; None where train() and eval() decide.
    """

    def __init__(self, ratio: float, drops: bool | None) -> None:
        super().__init__()
        self.ratio, self.drops = ratio, drops

    def extra_repr(self) -> str:
        return f"{self.ratio:g}, drops={self.drops}"

    def forward(self, x: Tensor) -> Tensor:
        if self.training if self.drops is None else self.drops:
            drawn = torch.rand_like(x, memory_format=torch.contiguous_format)
            return x * (drawn >= self.ratio)
        return x * (1 - self.ratio)


class Threshold(LayerModule):
    """1 where x is greater than the threshold, else 0; no gradient."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def extra_repr(self) -> str:
        return f"{self.threshold:g}"

    def forward(self, x: Tensor) -> Tensor:
        return (x > self.threshold).to(x.dtype)


def build_clip(layer: Layer) -> nn.Module:
    p = layer.message.clip_param
    return Clip(p.min, p.max)


def build_elu(layer: Layer) -> nn.Module:
    alpha = layer.message.elu_param.alpha
    return nn.ELU(alpha)


def build_exp(layer: Layer) -> nn.Module:
    p = layer.message.exp_param
    return Exp(p.base, p.scale, p.shift)


def build_log(layer: Layer) -> nn.Module:
    p = layer.message.log_param
    return Log(p.base, p.scale, p.shift)


def build_power(layer: Layer) -> nn.Module:
    p = layer.message.power_param
    return Power(p.power, p.scale, p.shift)


def build_prelu(layer: Layer) -> nn.Module:
    shape = layer.params[0].shape
    module = nn.PReLU(layer.params[0].count)
    module.weight = nn.Parameter(torch.empty(shape))  # one slope for all has no axis
    return module


def build_relu(layer: Layer) -> nn.Module:
    slope = layer.message.relu_param.negative_slope
    if slope:
        return nn.LeakyReLU(slope)
    return nn.ReLU()


def build_softmax(layer: Layer) -> nn.Module:
    return nn.Softmax(dim=layer.message.softmax_param.axis)


def build_swish(layer: Layer) -> nn.Module:
    beta = layer.message.swish_param.beta
    return nn.SiLU() if beta == 1 else Swish(beta)


def build_dropout(layer: Layer) -> nn.Module | None:
    """In TEST a Dropout is not there at all, if no fork's field says so."""
    p = layer.message.dropout_param
    ratio, has_own_phase = p.dropout_ratio, layer.message.HasField("phase")
    always = bool(stated(p, "sample_weights_test"))
    if stated(p, "scale_train") is False:
        fixed = always or layer.phase == "TRAIN" if always or has_own_phase else None
        return UnscaledDropout(ratio, fixed)
    if always:
        return MonteCarloDropout(ratio)
    if layer.phase == "TEST":
        return None
    return MonteCarloDropout(ratio) if has_own_phase else nn.Dropout(ratio)


BUILDERS = {
    "AbsVal": Builder(lambda layer: AbsVal()),
    # Caffe's bound for the exponent is where Softplus goes over to x
    "BNLL": Builder(lambda layer: nn.Softplus(threshold=50), gradient=bnll_gradient),
    "Clip": Builder(build_clip, gradient=clip_gradient),
    "ELU": Builder(build_elu, gradient=elu_gradient),
    "Exp": Builder(build_exp, gradient=exp_gradient),
    "Log": Builder(build_log, gradient=log_gradient),
    "Power": Builder(build_power, gradient=power_gradient),
    "PReLU": Builder(build_prelu),
    "ReLU": Builder(build_relu, gradient=relu_gradient),
    "Sigmoid": Builder(lambda layer: nn.Sigmoid(), gradient=sigmoid_gradient),
    "Softmax": Builder(build_softmax, gradient=softmax_gradient),
    "Swish": Builder(build_swish, gradient=swish_gradient),
    "TanH": Builder(lambda layer: nn.Tanh(), gradient=tanh_gradient),
    "Threshold": Builder(lambda layer: Threshold(layer.message.threshold_param.threshold)),
    "Dropout": Builder(build_dropout),
}
