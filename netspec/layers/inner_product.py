"""Dense layers and tables of vectors. Source: Caffe's InnerProductLayer and EmbedLayer."""

from __future__ import annotations

from math import prod

from netspec.graph import Layer, Shape
from netspec.layers.example import FILLER, MAPS, Example
from netspec.layers.kept import BOTTOM_ALONE, Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.operations import Operations
from netspec.layers.setting import NO_BIAS, OUTPUTS, Setting
from netspec.layers.spec import BOTTOM, Spec


class InnerProduct(Spec):
    """A dense layer over everything from `axis` on.

    Weights are out × in (in × out where `transpose`).
    """

    type = "InnerProduct"
    param = "inner_product_param"
    keeps = BOTTOM_ALONE
    keeps_places = False
    reads = BOTTOM
    shown = (OUTPUTS, Setting("axis", "axis {}"), Setting("transpose", "transposed"), NO_BIAS)
    example = Example(
        MAPS,
        f"inner_product_param {{ num_output: 1000 {FILLER} }}",
        shapes="the axes before 'axis', then num_output",
    )

    def check(self, context: LayerContext) -> None:
        if not context.param.num_output:
            context.error("'num_output' must be given and at least 1", "num_output")

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, p = context.bottoms[0], context.param
        axis = context.axis(p.axis, len(bottom), "axis")
        inputs = prod(bottom[axis:])
        context.add_param(
            (inputs, p.num_output) if p.transpose else (p.num_output, inputs), "weight_filler"
        )
        if p.bias_term:
            context.add_param((p.num_output,), "bias_filler")
        return [(*bottom[:axis], p.num_output)]

    def macs(self, layer: Layer) -> int:
        rows = layer.top_blobs[0].count // layer.message.inner_product_param.num_output
        return rows * layer.params[0].count


class Embed(Spec):
    """The vector that each value of the bottom names; weights are input_dim × num_output."""

    type = "Embed"
    param = "embed_param"
    keeps_places = False
    reads = BOTTOM
    shown = (OUTPUTS, Setting("input_dim", "{} words", True), NO_BIAS)
    example = Example(
        {"words": (16, 8)},
        f"embed_param {{ input_dim: 8000 num_output: 300 {FILLER} }}",
        shapes="the bottom's, then num_output",
    )

    def check(self, context: LayerContext) -> None:
        for field in ("num_output", "input_dim"):
            if not getattr(context.param, field):
                context.error(f"'{field}' must be given and at least 1", field)

    def infer(self, context: LayerContext) -> list[Shape]:
        p = context.param
        context.add_param((p.input_dim, p.num_output), "weight_filler")
        if p.bias_term:
            context.add_param((p.num_output,), "bias_filler")
        return [(*context.bottoms[0], p.num_output)]

    def operations(self, layer: Layer) -> Operations:
        has_bias = layer.message.embed_param.bias_term
        return Operations(additions=layer.top_blobs[0].count if has_bias else 0)

    def kept(self, layer: Layer) -> Kept:
        return Kept(bytes=8 * layer.bottom_blobs[0].count)  # the rows' numbers


SPECS = (InnerProduct, Embed)
