"""Layers that treat places, channels or groups of items apart.

Source: happynear/caffe-windows (Local), intel/caffe (SpatialDropout), yjxiong/caffe
(BatchReduction).
"""

from __future__ import annotations

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.axes import require_maps
from netspec.layers.example import FILLER, MAPS, WINDOW, Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec


class Local(Spec):
    """A convolution whose weights are another set at each place.

    Shapes: N×C×H×W → N×num_output×H'×W'; weights num_output×1×(C·kernel²)×(H'·W').
    """

    type = "Local"
    param = "local_param"
    not_computed = "its weights are not applied"
    keeps_places = False
    shown = (Setting("num_output", "{} outputs", True), Setting("kernel_size", "kernel {}", True))
    example = Example(
        {"data": (1, 8, 14, 14)},
        f"local_param {{ num_output: 16 kernel_size: 3 {FILLER} }}",
        shapes=f"H' = {WINDOW.replace('dilation·(kernel - 1) + 1', 'kernel')}",
    )

    def check(self, context: LayerContext) -> None:
        for name in ("num_output", "kernel_size", "stride"):
            if not getattr(context.param, name):
                context.error(f"'{name}' must be given and at least 1", name)

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context)
        p, bottom = context.param, context.bottoms[0]
        size = [(dim + 2 * p.pad - p.kernel_size) // p.stride + 1 for dim in bottom[2:]]
        if min(size) < 1:
            raise context.stop(
                f"a window of {p.kernel_size} does not fit into {shape_text(bottom[2:])}",
                "kernel_size",
                notes=[context.made_here(0)],
            )
        places = size[0] * size[1]
        context.add_param((p.num_output, 1, bottom[1] * p.kernel_size**2, places), "weight_filler")
        if p.bias_term:
            context.add_param((1, 1, p.num_output, places), "bias_filler")
        return [(bottom[0], p.num_output, *size)]

    def macs(self, layer: Layer) -> int:
        top = layer.top_blobs[0].shape
        return top[0] * layer.params[0].count if top else 0


class SpatialDropout(Spec):
    """Drops whole channels while training."""

    type = "SpatialDropout"
    param = "spatial_dropout_param"
    not_computed = "which channels are dropped is not carried out"
    in_place = True
    shown = (Setting("dropout_ratio", "ratio {}", True),)
    example = Example(MAPS, "spatial_dropout_param { dropout_ratio: 0.3 }")

    def check(self, context: LayerContext) -> None:
        ratio = context.param.dropout_ratio
        if not 0 < ratio < 1:
            context.error(f"'dropout_ratio' is between 0 and 1, got {ratio:g}", "dropout_ratio")


class BatchReduction(Spec):
    """Reduces an axis, or its pieces by the levels of a pyramid: one of n² entries a level n.

    Shapes: without 'level', or with level 1 alone, the bottom's without the axis; else its size
        becomes the number of levels. With 'pos' the axis behind it goes, too.
    """

    type = "BatchReduction"
    param = "batch_reduction_param"
    not_computed = "its reductions are not carried out"
    keeps_places = False
    example = Example(
        {"data": (4, 25, 101)},
        "batch_reduction_param { level: 5 reduction_param { operation: MEAN axis: 1 } }",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, p = context.bottoms[0], context.param
        axis = context.axis(p.reduction_param.axis, len(bottom), "reduction_param", "axis")
        levels = list(p.level) or [1]
        entries = sum(level**2 for level in levels)
        if levels != [1] and entries != bottom[axis]:
            raise context.stop(
                f"its levels have {entries} entries, axis {axis} has {bottom[axis]}",
                "level",
                notes=[context.made_here(0)],
            )
        if p.pos and (len(levels) > 1 or axis + 1 >= len(bottom)):
            why = "one level" if len(levels) > 1 else "an axis behind the reduced one"
            raise context.stop(f"'pos' needs {why}", "pos")
        kept = () if levels == [1] else (len(levels),)
        return [(*bottom[:axis], *kept, *bottom[axis + (2 if p.pos else 1) :])]


SPECS: tuple[type[Spec], ...] = (Local, SpatialDropout, BatchReduction)
