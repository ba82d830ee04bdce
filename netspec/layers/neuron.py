"""Activations: the top has the bottom's shape and may be the bottom.

All but Softmax go element by element.

Source: Caffe's NeuronLayers and SoftmaxLayer.
"""

from __future__ import annotations

from math import isfinite

from netspec.graph import Layer, Shape
from netspec.layers.example import MAPS, SAME, Example
from netspec.layers.in_place import warn_in_place
from netspec.layers.kept import BOTTOM_KEPT, NOTHING, TOP_KEPT, Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.operations import SIGMOID, SOFTMAX, TANH, Operations
from netspec.layers.reach import Reach
from netspec.layers.setting import POINT, Setting
from netspec.layers.spec import BOTTOM, TOP, Spec
from netspec.schema.forks import stated


class Neuron(Spec):
    """What all of them share."""

    in_place = True


class AbsVal(Neuron):
    """The absolute value."""

    type = "AbsVal"
    keeps = BOTTOM_KEPT
    each = Operations(comparisons=1)
    in_place = False  # its gradient reads the sign of its input
    reads = BOTTOM
    example = Example(MAPS)


class BNLL(Neuron):
    """log(1 + e^x), the binomial normal log likelihood."""

    type = "BNLL"
    keeps = BOTTOM_KEPT
    each = Operations(comparisons=1, additions=2, exponentials=2)
    reads = BOTTOM
    example = Example(MAPS)

    def check(self, context: LayerContext) -> None:
        warn_in_place(context)


class Clip(Neuron):
    """Limits every value to the range from min to max."""

    type = "Clip"
    param = "clip_param"
    keeps = BOTTOM_KEPT
    each = Operations(comparisons=2)
    reads = BOTTOM
    shown = (Setting("min", "from {}", True), Setting("max", "to {}", True))
    example = Example(MAPS, "clip_param { min: 0 max: 6 }")

    def check(self, context: LayerContext) -> None:
        # of a block that is there, binding requires both
        if not context.message.HasField(self.param):
            hint = "write clip_param { min: 0 max: 1 }; a side without a limit is -inf or inf"
            context.warn("without 'min' and 'max' every value becomes 0", hint=hint)
        elif context.param.min > context.param.max:
            context.warn(
                f"'min' {context.param.min:g} is greater than 'max' {context.param.max:g}: "
                "every value becomes 'min'",
                "min",
            )
        warn_in_place(context)


class ELU(Neuron):
    """x above 0, alpha · (e^x - 1) at and below it."""

    type = "ELU"
    param = "elu_param"
    each = Operations(comparisons=1, additions=1, exponentials=1)
    reads = BOTTOM | TOP
    shown = (Setting("alpha", "alpha {}", True),)
    example = Example(MAPS, "elu_param { alpha: 1 }")

    def misreads_in_place(self, layer: Layer) -> bool:
        return layer.message.elu_param.alpha < 0

    def kept(self, layer: Layer) -> Kept:
        return Kept(bottoms=True, overwrites=layer.message.elu_param.alpha >= 0)


class Exp(Neuron):
    """base^(shift + scale · x)."""

    type = "Exp"
    param = "exp_param"
    keeps = TOP_KEPT
    each = Operations(exponentials=1)
    reads = TOP
    shown = POINT
    example = Example(MAPS, "exp_param { base: 2 }")

    def check(self, context: LayerContext) -> None:
        check_base(context)

    def macs(self, layer: Layer) -> int:
        return scaled_macs(layer, layer.message.exp_param.scale)


class Log(Neuron):
    """The logarithm of shift + scale · x."""

    type = "Log"
    param = "log_param"
    keeps = BOTTOM_KEPT
    each = Operations(exponentials=1)
    reads = BOTTOM
    shown = POINT
    example = Example(MAPS, "log_param { shift: 1 }")

    def check(self, context: LayerContext) -> None:
        check_base(context)
        if context.param.base == 1:
            context.error("'base' must not be 1, whose logarithm is 0", "base")
        warn_in_place(context)

    def macs(self, layer: Layer) -> int:
        return scaled_macs(layer, layer.message.log_param.scale)


class Power(Neuron):
    """(shift + scale · x)^power."""

    type = "Power"
    param = "power_param"
    keeps = BOTTOM_KEPT
    reads = BOTTOM | TOP
    shown = (
        Setting("power", "power {}"),
        Setting("scale", "scale {}"),
        Setting("shift", "shift {}"),
    )
    example = Example(MAPS, "power_param { power: 2 scale: 0.5 shift: 1 }")

    def gradient_reads(self, layer: Layer) -> frozenset[str]:
        p = layer.message.power_param
        return self.reads if p.power * p.scale else frozenset()  # constant

    def check(self, context: LayerContext) -> None:
        if context.param.power * context.param.scale != 0:
            warn_in_place(context)

    def macs(self, layer: Layer) -> int:
        return scaled_macs(layer, layer.message.power_param.scale)

    def operations(self, layer: Layer) -> Operations:
        is_plain = layer.message.power_param.power in (0, 1)
        return Operations(exponentials=0 if is_plain else layer.top_blobs[0].count)


class PReLU(Neuron):
    """x above 0, a learned slope · x at and below it.

    There is one slope a channel (axis 1), or one for all.
    """

    type = "PReLU"
    param = "prelu_param"
    keeps = BOTTOM_KEPT
    each = Operations(comparisons=1)
    reads = BOTTOM
    shown = (Setting("channel_shared", "one slope"),)
    example = Example(MAPS, "prelu_param { filler { value: 0.1 } }", shapes=SAME)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        if len(bottom) < 2:
            raise context.stop(
                f"PReLU takes a blob of at least 2 axes (N×C), got {len(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        if len(bottom) > 4:
            context.warn(f"Caffe's PReLU takes at most 4 axes, got {len(bottom)}", "bottom", 0)
        context.add_param(
            () if context.param.channel_shared else (bottom[1],), "filler", default=0.25
        )
        return [bottom]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count


class ReLU(Neuron):
    """max(0, x), plus negative_slope · min(0, x)."""

    type = "ReLU"
    param = "relu_param"
    each = Operations(comparisons=1)
    reads = BOTTOM
    gradient_reads_signs = True
    shown = (Setting("negative_slope", "slope {}"),)
    example = Example(MAPS)

    def misreads_in_place(self, layer: Layer) -> bool:
        return layer.message.relu_param.negative_slope < 0

    def keeps_signs(self, layer: Layer) -> bool:
        return not layer.message.relu_param.negative_slope

    def kept(self, layer: Layer) -> Kept:
        is_leaky = bool(layer.message.relu_param.negative_slope)
        return Kept(bottoms=is_leaky, tops=not is_leaky, overwrites=not is_leaky)


class Sigmoid(Neuron):
    """1 / (1 + e^-x)."""

    type = "Sigmoid"
    param = "sigmoid_param"
    keeps = TOP_KEPT
    each = SIGMOID
    reads = TOP
    example = Example(MAPS)


class Softmax(Neuron):
    """Exponentials that sum to 1 along `axis`."""

    type = "Softmax"
    param = "softmax_param"
    keeps = TOP_KEPT
    each = SOFTMAX
    reads = TOP
    shown = (Setting("axis", "axis {}"),)
    example = Example({"scores": (32, 10)}, shapes=SAME)

    def infer(self, context: LayerContext) -> list[Shape]:
        context.axis(context.param.axis, len(context.bottoms[0]), "axis")
        return [context.bottoms[0]]

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        axes = len(layer.bottom_blobs[0].shape or ())
        return None if layer.message.softmax_param.axis % axes > 1 else super().reach(layer, bottom)


class Swish(Neuron):
    """x times the sigmoid of beta · x."""

    type = "Swish"
    param = "swish_param"
    keeps = BOTTOM_KEPT
    each = SIGMOID
    reads = TOP
    shown = (Setting("beta", "beta {}"),)
    example = Example(MAPS)

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count


class TanH(Neuron):
    """The hyperbolic tangent."""

    type = "TanH"
    param = "tanh_param"
    keeps = TOP_KEPT
    each = TANH
    reads = TOP
    example = Example(MAPS)


class Threshold(Neuron):
    """1 where x is greater than the threshold, else 0; without a gradient."""

    type = "Threshold"
    param = "threshold_param"
    keeps = NOTHING
    each = Operations(comparisons=1)
    shown = (Setting("threshold", "above {}", True),)
    example = Example(MAPS, "threshold_param { threshold: 0.5 }")


class Dropout(Neuron):
    """In TRAIN sets a share of the values to 0 and divides the others by the share that is kept.

    In TEST it does nothing. Forks may leave the division to TEST (scale_train: false), or drop
    there too (sample_weights_test).
    """

    type = "Dropout"
    param = "dropout_param"
    takes = frozenset({"scale_train", "sample_weights_test"})
    shown = (Setting("dropout_ratio", "ratio {}", True),)
    example = Example(MAPS, "dropout_param { dropout_ratio: 0.5 }")

    def keeps_signs(self, layer: Layer) -> bool:
        return True

    def check(self, context: LayerContext) -> None:
        ratio = context.param.dropout_ratio
        # Caffe makes NaN of a ratio of 1 in TRAIN, a copy in TEST
        drops = context.layer.phase == "TRAIN" or stated(context.param, "sample_weights_test")
        if not 0 <= ratio < 1 and not (ratio == 1 and not drops):
            context.error(
                f"'dropout_ratio' must be at least 0 and below 1, got {ratio:g}",
                "dropout_ratio",
                hint="it is the share that is set to 0",
            )

    def operations(self, layer: Layer) -> Operations:
        # the threshold that Caffe compares its random bits with
        return Operations(comparisons=layer.top_blobs[0].count if layer.phase == "TRAIN" else 0)

    def kept(self, layer: Layer) -> Kept:
        return Kept(values=layer.top_blobs[0].count)  # what it multiplied by

    def is_absent(self, layer: Layer) -> bool:
        p = layer.message.dropout_param
        is_forks = stated(p, "scale_train") is False or stated(p, "sample_weights_test")
        return layer.phase == "TEST" and not is_forks


def check_base(context: LayerContext) -> None:
    """Exp's and Log's base must have a logarithm; -1 stands for e."""
    base = context.param.base
    if base != -1 and not (base > 0 and isfinite(base)):
        context.error(f"'base' must be a positive number, or -1 for e, got {base:g}", "base")


def scaled_macs(layer: Layer, scale: float) -> int:
    """The cost of shift + scale · x."""
    return layer.top_blobs[0].count if scale != 1 else 0


SPECS = (
    AbsVal,
    BNLL,
    Clip,
    ELU,
    Exp,
    Log,
    Power,
    PReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Swish,
    TanH,
    Threshold,
    Dropout,
)
