"""Small nets for mobile devices: MobileNet, ShuffleNet, SENet.

Source: yonghenglh6/DepthwiseConvolution, farmingyard/caffe-mobilenet and ShuffleNet,
hujie-frank/SENet, chuanqi305/ssd, eric612/MobileNet-YOLO, Zeitzmz/micronet-caffe,
foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
"""

from __future__ import annotations

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.convolution import Convolution, check_kernel, convolved_sizes
from netspec.layers.example import FILLER, MAPS, WINDOW, Example
from netspec.layers.in_place import warn_in_place
from netspec.layers.kept import BOTTOM_ALONE, NOTHING, Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.neuron import Neuron
from netspec.layers.operations import Operations
from netspec.layers.setting import Setting, window_words
from netspec.layers.spec import BOTTOM, Spec
from netspec.layers.window import check_window, require_axes, window_of


class DepthwiseConvolution(Convolution):
    """A Convolution whose `group` is the number of channels: each is convolved by itself.

    Source: yonghenglh6/DepthwiseConvolution. Its CPU code is Convolution's, whatever `group` is;
    its GPU kernel always takes one channel a filter.
    """

    type = "DepthwiseConvolution"
    example = Example(
        MAPS,
        f"convolution_param {{ num_output: 64 group: 64 kernel_size: 3 pad: 1 {FILLER} }}",
        shapes=f"num_output channels; along each spatial axis {WINDOW}",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        tops = super().infer(context)
        channels, group = context.bottoms[0][context.param.axis], context.param.group
        if group != channels:
            context.warn(
                f"'group' is {group} for {channels} channels; the fork's GPU code takes it for "
                f"{channels} all the same, netspec goes by 'group', as the fork's CPU code",
                "group",
                hint=f"write 'group: {channels}'",
            )
        return tops


class ConvolutionDepthwise(Convolution):
    """A convolution of each channel by itself; `num_output` and `group` are not looked at.

    Weights are C × 1 × kernel. Source: farmingyard/caffe-mobilenet.
    """

    type = "ConvolutionDepthwise"
    bottoms = (1, 1)
    tops = (1, 1)
    example = Example(
        MAPS,
        f"convolution_param {{ kernel_size: 3 stride: 1 pad: 1 {FILLER} }}",
        shapes=f"the bottom's channels; along each spatial axis {WINDOW}",
    )

    def settings(self, layer: Layer) -> list[str]:
        shown = [super().settings(layer)[0].rpartition(" ")[2]]
        shown += window_words(layer.message.convolution_param, 2)
        return shown if layer.message.convolution_param.bias_term else [*shown, "no bias"]

    def check(self, context: LayerContext) -> None:
        check_window(context)
        check_kernel(context)
        for name, default in (("stride", 1), ("pad", 0)):
            if not getattr(context.param, name) and not context.has(f"{name}_h"):
                # the fork reads the first of no values
                context.warn(
                    f"{self.type} without '{name}' is undefined in the fork; "
                    f"netspec takes {default}",
                    "convolution_param",
                    hint=f"write '{name}: {default}'",
                )

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, p = context.bottoms[0], context.param
        if len(bottom) != 4:
            raise context.stop(
                f"{self.type} takes a blob of 4 axes (N×C×H×W), got {len(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        require_axes(context, 2)
        if p.num_output and p.num_output != bottom[1]:
            context.warn(
                f"'num_output' {p.num_output} is not looked at: "
                f"there are as many outputs as channels, {bottom[1]}",
                "num_output",
            )
        window = window_of(p, 2)
        out = convolved_sizes(context, bottom[2:], window)
        context.add_param((bottom[1], 1, *window.kernel), "weight_filler")
        if p.bias_term:
            context.add_param((bottom[1],), "bias_filler")
        return [(*bottom[:2], *out)]


class ShuffleChannel(Spec):
    """Interleaves `group` groups of channels: the groups' first channels, their second ones, ….

    Source: farmingyard/ShuffleNet.
    """

    type = "ShuffleChannel"
    param = "shuffle_channel_param"
    keeps = NOTHING
    shown = (Setting("group", "group {}", True),)
    example = Example(MAPS, "shuffle_channel_param { group: 4 }", shapes="N×C×H×W of the bottom")

    def check(self, context: LayerContext) -> None:
        if not context.param.group:
            context.error("'group' must be at least 1, got 0", "group")

    def infer(self, context: LayerContext) -> list[Shape]:
        top = four_axes(context, self.type)
        if top[1] % context.param.group:
            raise context.stop(
                f"'group' {context.param.group} does not divide the {top[1]} channels of "
                f"'{context.layer.bottoms[0]}'",
                "group",
                notes=[context.made_here(0)],
            )
        return [top]


class Axpy(Spec):
    """a · x + y with a factor for each channel: SENet's excitation and its shortcut in one.

    Bottoms are a (N×C or N×C×1×1), x and y. Source: hujie-frank/SENet.
    """

    type = "Axpy"
    bottoms = (3, 3)
    keeps = BOTTOM_ALONE
    reads = BOTTOM
    example = Example(
        {"a": (1, 64, 1, 1), "x": (1, 64, 56, 56), "y": (1, 64, 56, 56)}, shapes="that of x and y"
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        factor, x, _ = context.bottoms
        context.same_shapes(1, 2)
        if len(x) < 2 or factor not in (x[:2], (*x[:2], 1, 1)):
            names = context.layer.bottoms
            message = (
                f"'{names[0]}' ({shape_text(factor)}) must hold one factor for each item and "
                f"channel of '{names[1]}' ({shape_text(x)}): N×C or N×C×1×1"
            )
            raise context.stop(
                message, "bottom", 0, notes=[context.made_here(0), context.made_here(1)]
            )
        return [x]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count


class ReLU6(Neuron):
    """min(max(x, 0), 6), below 0 with a slope where MobileNet-YOLO's field states one.

    The gradient is 0 at 0 and at 6. Source: chuanqi305/ssd, eric612/MobileNet-YOLO.
    """

    # One rule for both forks: without a slope, which only MobileNet-YOLO has, they agree in every
    # value and every gradient, the edges included.
    type = "ReLU6"
    param = "relu6_param"
    each = Operations(comparisons=2)
    reads = BOTTOM
    shown = (Setting("negative_slope", "slope {}"),)
    example = Example(MAPS)

    def misreads_in_place(self, layer: Layer) -> bool:
        return bool(layer.field("relu6_param").negative_slope < 0)

    def keeps_signs(self, layer: Layer) -> bool:
        return not layer.field("relu6_param").negative_slope

    def check(self, context: LayerContext) -> None:
        if context.param.negative_slope < 0:
            warn_in_place(context)

    def kept(self, layer: Layer) -> Kept:
        return Kept(bottoms=True, overwrites=not layer.field(self.param).negative_slope)


class _Copies(Neuron):
    """An activation that keeps a copy of its bottom where it works in place."""

    reads = BOTTOM
    example = Example(MAPS)

    def misreads_in_place(self, layer: Layer) -> bool:
        return False

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count


class HardSwish(_Copies):
    """x · min(max(x + 3, 0), 6) / 6.

    Source: Zeitzmz/micronet-caffe; synopsys-caffe has no gradient. Another fork multiplies x by
    min(max(0.2 · x + 0.5, 0), 1), which is not this rule.
    """

    each = Operations(comparisons=2, additions=1, divisions=1)
    type = "HardSwish"


class HardSigmoid(Neuron):
    """min(max(0.2 · x + 0.5, 0), 1); the gradient is 0.2 everywhere.

    Source: eric612/MobileNet-YOLO, whose gradient looks for the edges in what it has limited
    already.
    """

    type = "HardSigmoid"
    keeps = Kept(top_is_free=True)
    each = Operations(comparisons=2)
    example = Example(MAPS)


class Mish(_Copies):
    """x · tanh(ln(1 + e^x)); the gradient is its derivative at x.

    Source: synopsys-caffe, troyliu0105/caffe. The forks agree in the value, not in the gradient:
    synopsys-caffe's takes the top for x, others the bottom. netspec takes the bottom.
    """

    each = Operations(additions=3, exponentials=3, divisions=1)
    type = "Mish"


def four_axes(context: LayerContext, type_name: str) -> Shape:
    """The bottom's shape as N×C×H×W, of which the last ones may be missing."""
    bottom = context.bottoms[0]
    if not 1 <= len(bottom) <= 4:
        raise context.stop(
            f"{type_name} takes a blob of 1 to 4 axes, got {len(bottom)}",
            "bottom",
            0,
            notes=[context.made_here(0)],
        )
    return (*bottom, *[1] * (4 - len(bottom)))


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
