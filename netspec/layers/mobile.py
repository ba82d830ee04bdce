"""Small nets for mobile devices: MobileNet, ShuffleNet, SENet.

Source: yonghenglh6/DepthwiseConvolution, farmingyard/caffe-mobilenet, farmingyard/ShuffleNet,
hujie-frank/SENet, chuanqi305/ssd, eric612/MobileNet-YOLO, Zeitzmz/micronet-caffe.
"""

from __future__ import annotations

from math import prod

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.convolution import Convolution, check_kernel, convolved_sizes
from netspec.layers.example import FILLER, MAPS, SAME, WINDOW, Example
from netspec.layers.neuron import Neuron, warn_in_place
from netspec.layers.setting import Setting, spatial_axes, window_sizes, window_words
from netspec.layers.spec import BOTTOM, LayerContext, Spec
from netspec.layers.window import check_window, window_of


class DepthwiseConvolution(Convolution):
    """A Convolution whose groups are computed one by one; `group` must be given, as there.

    The fork's GPU code ignores `group` and filters each channel alone: it agrees with the CPU's
    only where `group` is the number of channels, which netspec requires.
    """

    type = "DepthwiseConvolution"
    example = Example(
        MAPS,
        f"convolution_param {{ num_output: 64 group: 64 kernel_size: 3 pad: 1 {FILLER} }}",
        shapes=f"num_output channels; along each spatial axis {WINDOW}",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        shapes = super().infer(context)
        p, channels = context.param, context.bottoms[0][context.param.axis]
        if not p.group == p.num_output == channels:
            message = (
                f"'group' and 'num_output' must be the {channels} channels of the bottom, "
                f"got {p.group} and {p.num_output}"
            )
            hint = "the fork's CPU and GPU differ here; type \"Convolution\" takes any group"
            raise context.stop(message, "group", hint=hint, notes=[context.made_here(0)])
        return shapes


class ConvolutionDepthwise(Spec):
    """A filter for each channel; `num_output` is ignored: there are as many as channels.

    Weights are C×1×kernel.
    """

    type = "ConvolutionDepthwise"
    param = "convolution_param"
    reads = BOTTOM
    example = Example(
        MAPS,
        f"convolution_param {{ num_output: 64 kernel_size: 3 stride: 1 pad: 1 {FILLER} }}",
        shapes=f"the channels stay; along height and width {WINDOW}",
    )

    def settings(self, layer: Layer) -> list[str]:
        message = layer.message.convolution_param
        axes = spatial_axes(layer)
        kernel = "×".join(map(str, window_sizes(message, "kernel_size", 0, axes)))
        shown = [f"{kernel} a channel", *window_words(message, axes)]
        return shown if message.bias_term else [*shown, "no bias"]

    def check(self, context: LayerContext) -> None:
        check_window(context)
        check_kernel(context)
        for field in ("stride", "pad"):
            if not getattr(context.param, field) and not context.has(f"{field}_h"):
                default = 1 if field == "stride" else 0
                hint = f"the fork reads a field that is not there; write {field}: {default}"
                context.warn(f"'{field}' must be given in the fork", field, hint=hint)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        if len(bottom) != 4:
            raise context.stop(
                f"takes a blob of 4 axes (N×C×H×W), got {shape_text(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        window = window_of(context.param, 2)
        out = convolved_sizes(context, bottom[2:], window)
        context.add_param((bottom[1], 1, *window.kernel), "weight_filler")
        if context.param.bias_term:
            context.add_param((bottom[1],), "bias_filler")
        return [(*bottom[:2], *out)]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count * prod(layer.params[0].shape[1:])


class ShuffleChannel(Spec):
    """Interleaves `group` groups of channels: channel j·group + i of the top is i·(C/group) + j."""

    type = "ShuffleChannel"
    param = "shuffle_channel_param"
    shown = (Setting("group", "{} groups", True),)
    example = Example(MAPS, "shuffle_channel_param { group: 4 }", shapes=SAME)

    def check(self, context: LayerContext) -> None:
        if not context.param.group:
            context.error("'group' must be at least 1, got 0", "group")

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, group = context.bottoms[0], context.param.group
        if not 2 <= len(bottom) <= 4:
            raise context.stop(
                f"takes a blob of 2 to 4 axes, got {shape_text(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        if bottom[1] % group:
            message = f"'group' {group} does not divide the {bottom[1]} channels of the bottom"
            raise context.stop(message, "group", notes=[context.made_here(0)])
        # the fork reshapes the top to four axes
        return [(*bottom, *(1,) * (4 - len(bottom)))]


class Axpy(Spec):
    """a · x + y, with a scale for each item and channel (SENet)."""

    type = "Axpy"
    bottoms = (3, 3)
    reads = BOTTOM
    example = Example(
        {"scale": (1, 64, 1, 1), "x": (1, 64, 56, 56), "y": (1, 64, 56, 56)},
        shapes="the second bottom's; the first is N×C or N×C×1×1",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        scale, x = context.bottoms[:2]
        context.same_shapes(1, 2)
        if scale[:2] != x[:2] or prod(scale[2:]) != 1 or len(x) < 2:
            wanted = shape_text((*x[:2], 1, 1))
            raise context.stop(
                f"the scale must be {wanted}, got {shape_text(scale)}",
                "bottom",
                0,
                notes=[context.made_here(0), context.made_here(1)],
            )
        return [x]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count


class ReLU6(Neuron):
    """min(max(x, 0), 6); with `negative_slope`, that times x below 0.

    Gradient: 0 at 0 and at 6. chuanqi305's type (without a slope) and MobileNet-YOLO's agree.
    """

    type = "ReLU6"
    param = "relu6_param"
    reads = BOTTOM
    shown = (Setting("negative_slope", "slope {}"),)
    example = Example(MAPS)

    def misreads_in_place(self, layer: Layer) -> bool:
        return layer.field("relu6_param").negative_slope < 0


class HardSwish(Neuron):
    """x · min(max(x + 3, 0), 6) / 6."""

    type = "HardSwish"
    reads = BOTTOM
    example = Example(MAPS)

    def check(self, context: LayerContext) -> None:
        warn_in_place(context)


class HardSigmoid(Neuron):
    """min(max(0.2 · x + 0.5, 0), 1).

    Gradient: 0.2 everywhere, for the fork (MobileNet-YOLO) tests its output.
    """

    type = "HardSigmoid"
    example = Example(MAPS)


class Mish(Neuron):
    """x · tanh(softplus(x)), where softplus is x above 20 and e^x below -20.

    Gradient: the derivative. The forks' differ: one takes it at the output.
    """

    type = "Mish"
    reads = BOTTOM
    example = Example(MAPS)

    def check(self, context: LayerContext) -> None:
        warn_in_place(context)


SPECS: tuple[type[Spec], ...] = (
    DepthwiseConvolution,
    ConvolutionDepthwise,
    ShuffleChannel,
    Axpy,
    ReLU6,
    HardSwish,
    HardSigmoid,
    Mish,
)
