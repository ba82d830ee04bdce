"""LRN, BatchNorm, MVN. Source: Caffe's LRNLayer, BatchNormLayer and MVNLayer."""

from __future__ import annotations

from math import prod

from netspec.cores import torch_threads
from netspec.graph import Layer, Shape
from netspec.layers.example import MAPS, SAME, Example
from netspec.layers.in_place import warn_in_place
from netspec.layers.kept import BOTTOM_ALONE, BOTTOM_KEPT, Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.operations import Operations
from netspec.layers.reach import Reach
from netspec.layers.setting import Setting, differs, value_text
from netspec.layers.spec import BOTTOM, TOP, Spec

LRN_PART = 2**20  # values that a thread works on at a time; a smaller part would wait more often


class LRN(Spec):
    """Divides by (k + alpha/n · sum of squares)^beta.

    The sum is over n channels, or over an n×n window of the plane.
    """

    type = "LRN"
    param = "lrn_param"
    each = Operations(exponentials=1)
    reads = BOTTOM | TOP
    example = Example(MAPS, "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }", shapes=SAME)

    def gradient_reads(self, layer: Layer) -> frozenset[str]:
        # within a channel it is made of layers of its own
        return frozenset() if layer.message.lrn_param.norm_region else self.reads

    def settings(self, layer: Layer) -> list[str]:
        message = layer.message.lrn_param
        size = message.local_size
        shown = [f"within {size}×{size}" if message.norm_region else f"across {size} channels"]
        rows = (Setting("alpha", "α {}", True), Setting("beta", "β {}", True), Setting("k", "k {}"))
        return shown + [
            row.text.format(value_text(message, row.field))
            for row in rows
            if row.always or differs(message, row.field)
        ]

    def check(self, context: LayerContext) -> None:
        if context.param.local_size % 2 == 0:
            context.error(f"'local_size' must be odd, got {context.param.local_size}", "local_size")

    def infer(self, context: LayerContext) -> list[Shape]:
        if len(context.bottoms[0]) != 4:
            raise context.stop(
                f"LRN takes a blob of 4 axes (N×C×H×W), got {len(context.bottoms[0])}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        return [context.bottoms[0]]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count * (layer.message.lrn_param.local_size + 1)

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        p = layer.message.lrn_param
        size = p.local_size if p.norm_region else 1
        return Reach((size, size), (1, 1), (0, 0))

    def kept(self, layer: Layer) -> Kept:
        kept, p, shape = BOTTOM_ALONE, layer.message.lrn_param, layer.top_blobs[0].shape or ()
        if p.norm_region:  # within a channel: the squares, their sums and the power
            return kept._replace(values=3 * layer.top_blobs[0].count)
        # four parts of a few images with what their windows reach on either side
        reach = max(0, min(p.local_size // 2, shape[1] - 1))
        padded = (shape[1] + 2 * reach) * prod(shape[2:])
        return kept._replace(scratch=4 * images_at_a_time(shape, torch_threads()) * padded)


def images_at_a_time(shape: Shape, threads: int) -> int:
    """How many images LRN takes at a time on a CPU, across channels."""
    return min(shape[0], max(1, LRN_PART * threads // max(1, prod(shape[1:]))))


class BatchNorm(Spec):
    """Normalises each channel; params are mean, variance and their common scale factor.

    A Scale layer follows it.
    """

    type = "BatchNorm"
    param = "batch_norm_param"
    keeps = BOTTOM_ALONE
    in_place = True
    shown = (Setting("use_global_stats", "global statistics"), Setting("eps", "eps {}"))
    example = Example(MAPS, shapes=SAME)

    def check(self, context: LayerContext) -> None:
        for i, spec in enumerate(context.message.param):
            if spec.HasField("lr_mult") and spec.lr_mult != 0:
                hint = (
                    "take 'lr_mult: 0' for all three, or leave 'param' out; the learnable factor "
                    "is a Scale layer's"
                )
                context.error(
                    "the statistics are not learned, so that 'lr_mult' "
                    f"{spec.lr_mult:g} has no meaning",
                    "param",
                    i,
                    "lr_mult",
                    hint=hint,
                )
        if not context.param.eps >= 0:
            context.error(f"'eps' must be at least 0, got {context.param.eps:g}", "eps")

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        if not bottom:
            raise context.stop(
                "a scalar has no channels", "bottom", 0, notes=[context.made_here(0)]
            )
        if len(bottom) == 1:
            context.warn(
                "Caffe stops at a blob of one axis; it is normalised as one channel", "bottom", 0
            )
        channels = bottom[1] if len(bottom) > 1 else 1
        for shape in ((channels,), (channels,), (1,)):
            context.add_param(shape, learned=False)
        return [bottom]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count

    def operations(self, layer: Layer) -> Operations:
        p = layer.message.batch_norm_param
        is_given = p.use_global_stats if p.HasField("use_global_stats") else layer.phase == "TEST"
        return normalising(layer, from_batch=not is_given)


def normalising(layer: Layer, from_batch: bool) -> Operations:
    """A root and its reciprocal for each channel; sums of values and of squares where asked for."""
    shape = layer.bottom_blobs[0].shape or ()
    channels = shape[1] if len(shape) > 1 else 1
    return Operations(0, 2 * prod(shape) if from_batch else 0, channels, channels)


class MVN(Spec):
    """Takes the mean off each channel's plane, or each item, and divides by deviation + `eps`."""

    type = "MVN"
    param = "mvn_param"
    keeps = BOTTOM_KEPT
    keeps_places = False
    in_place = True
    reads = TOP
    shown = (
        Setting("across_channels", "across channels"),
        Setting("normalize_variance", "mean only"),
    )
    example = Example(MAPS, "mvn_param { normalize_variance: true }", shapes=SAME)

    def gradient_reads(self, layer: Layer) -> frozenset[str]:
        return self.reads if layer.message.mvn_param.normalize_variance else frozenset()

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        if context.param.normalize_variance:
            warn_in_place(context)
        if len(bottom) > 4:
            raise context.stop(
                f"MVN takes a blob of at most 4 axes (N×C×H×W), got {len(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        # Caffe's top has 4 axes, whatever the bottom has
        return [(*bottom, *[1] * (4 - len(bottom)))]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count * (2 if layer.message.mvn_param.normalize_variance else 0)

    def operations(self, layer: Layer) -> Operations:
        p, shape = layer.message.mvn_param, layer.bottom_blobs[0].shape or ()
        # a mean a plane or an item, with normalize_variance a root, and what every value gives
        groups = prod(shape[: 1 if p.across_channels else 2])
        if not p.normalize_variance:
            return Operations(0, 2 * prod(shape), 0, groups)
        return Operations(0, 3 * prod(shape), groups, groups + prod(shape))


SPECS = (LRN, BatchNorm, MVN)
