"""Openpose: the maps of body parts enlarged, and the peaks in them.

Source: CMU-Perceptual-Computing-Lab/caffe_rtpose, what its layers compute on the GPU.
"""

from __future__ import annotations

from math import floor
from struct import pack, unpack

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.axes import require_maps
from netspec.layers.example import Example
from netspec.layers.kept import NOTHING
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import warn_of_learned
from netspec.layers.operations import Operations
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec

CROP_HINT = "1 - start_scale + scale_gap·image must be at least 0 and below 1"


class ImResize(Spec):
    """Enlarges maps by cubic interpolation; of several, each cropped more, it takes the mean.

    The images of the batch are scales of one. They give one image, and no gradient.
    Shapes: (N, C, H, W) → (1, C, factor·H, factor·W), or the target sizes.
    Source: caffe_rtpose's ImResizeLayer.
    """

    type = "ImResize"
    param = "imresize_param"
    keeps = NOTHING
    keeps_places = False
    dialects = ("openpose",)
    shown = (Setting("factor", "factor {}"),)
    example = Example(
        {"maps": (1, 57, 46, 46)},
        "imresize_param { factor: 8 start_scale: 1 scale_gap: 0.1 }",
        shapes="1 × C × factor·H × factor·W; factor 0 takes the target sizes",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        n, c, h, w = require_maps(context)
        p = context.param
        if not p.factor:
            size = (p.target_spatial_height, p.target_spatial_width)
        else:
            size = (enlarged(h, p.factor), enlarged(w, p.factor))
        if min(size) < 1:
            field = "factor" if p.factor else "target_spatial_height"
            raise context.stop(f"the top would be {shape_text(size)} pixels", field)
        for i in range(n):
            for side in (h, w):
                fault = crop_fault(side, i, p.start_scale, p.scale_gap)
                if fault:
                    field = "scale_gap" if context.has("scale_gap") else "start_scale"
                    notes = [context.made_here(0)]
                    raise context.stop(fault, field, hint=CROP_HINT, notes=notes)
        warn_of_learned(context, 0)
        return [(1, c, *size)]

    def macs(self, layer: Layer) -> int:
        # a value of each image is the sum of 4×4 weighted ones
        return 16 * layer.top_blobs[0].count * (layer.bottom_blobs[0].shape or (0,))[0]


def float32(value: float) -> float:
    """The nearest number of 32 bits, with which the fork counts."""
    return float(unpack("f", pack("f", value))[0])


def crop_of(side: int, image: int, start_scale: float, scale_gap: float) -> int:
    """How many pixels an image of the batch loses at each end of a side."""
    share = float32(float32(1 - start_scale) + float32(image * scale_gap))
    return floor(float32(side // 2 * share))


def crop_fault(side: int, image: int, start_scale: float, scale_gap: float) -> str | None:
    """The message where the crop of an image leaves nothing, or reaches out of it."""
    pad = crop_of(side, image, start_scale, scale_gap)
    if 0 <= 2 * pad < side:
        return None
    return f"image {image} of the batch would lose {pad} of its {side} pixels at each end"


def enlarged(side: int, factor: float) -> int:
    """A side of the top."""
    return int(float32(side * factor))


class Nms(Spec):
    """The peaks of maps: values above a threshold and above their eight neighbours.

    The first row of a map is their number and two zeros, each further one x, y and the value of a
    peak. x and y are the mean of the 7×7 pixels around it, weighted by what is above 0.
    Shapes: (N, C, H, W) → (N, num_parts, max_peaks + 1, 3).
    Source: caffe_rtpose's NmsLayer.
    """

    type = "Nms"
    param = "nms_param"
    keeps = NOTHING
    each = Operations(comparisons=9)
    keeps_places = False
    dialects = ("openpose",)
    shown = (Setting("threshold", "threshold {}", True), Setting("max_peaks", "{} peaks", True))
    example = Example(
        {"maps": (1, 57, 368, 368)},
        "nms_param { threshold: 0.05 max_peaks: 64 num_parts: 18 }",
        shapes="N × num_parts × max_peaks + 1 × 3",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        n, c, _, _ = require_maps(context)
        p = context.param
        if not 1 <= p.num_parts <= c:
            raise context.stop(
                f"'num_parts' is {p.num_parts}, but '{context.layer.bottoms[0]}' has {c} channels",
                "num_parts",
                notes=[context.made_here(0)],
            )
        if n > 1 and p.num_parts != c:
            context.warn(
                f"'num_parts' {p.num_parts} of {c} channels: as in the fork, image i begins at the "
                f"{p.num_parts}·i-th channel of the whole batch",
                "num_parts",
            )
        warn_of_learned(context, 0)
        return [(n, p.num_parts, p.max_peaks + 1, 3)]


SPECS: tuple[type[Spec], ...] = (ImResize, Nms)
