"""Sequences: their order of axes and of timesteps, their continuation, junhyukoh's Lstm.

Source: tianzhi0549/CTPN, junhyukoh/caffe-lstm, xmfbit/warpctc-caffe.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.example import FILLER, MAPS, Example
from netspec.layers.kept import Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import warn_of_learned
from netspec.layers.operations import LSTM_STEP, Operations
from netspec.layers.setting import OUTPUTS, Setting
from netspec.layers.spec import BOTTOM, Spec


class Reverse(Spec):
    """Reverses the order along an axis, such as that of the timesteps.

    Source: CTPN's ReverseLayer.
    """

    type = "Reverse"
    param = "reverse_param"
    keeps = Kept(top_is_free=True)
    keeps_places = False
    shown = (Setting("axis", "axis {}", True),)
    example = Example({"data": (16, 8, 100)}, "reverse_param { axis: 0 }")

    def infer(self, context: LayerContext) -> list[Shape]:
        axis, bottom = context.param.axis, context.bottoms[0]
        if not 0 <= axis < len(bottom):
            raise context.stop(
                f"'axis' {axis} is out of range for a blob of {len(bottom)} axes",
                "axis",
                hint="the fork does not count from the end" if axis < 0 else None,
                notes=[context.made_here(0)],
            )
        return [bottom]


class Transpose(Spec):
    """Puts the axes in another order.

    Source: CTPN's TransposeLayer.
    """

    type = "Transpose"
    param = "transpose_param"
    keeps = Kept(top_is_free=True)
    keeps_places = False
    shown = (Setting("dim", "dim {}"),)
    example = Example(
        MAPS,
        "transpose_param { dim: 3 dim: 2 dim: 0 dim: 1 }",
        shapes="axis i of the top is axis dim[i] of the bottom",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        dims, bottom = list(context.param.dim), context.bottoms[0]
        if sorted(dims) != list(range(len(bottom))):
            raise context.stop(
                f"'dim' must name each of the {len(bottom)} axes of "
                f"'{context.layer.bottoms[0]}' once, got {', '.join(map(str, dims)) or 'none'}",
                "dim",
                notes=[context.made_here(0)],
            )
        return [tuple(bottom[axis] for axis in dims)]


class ContinuationIndicator(Spec):
    """Where sequences go on: 0 at the first timestep, 1 at all others.

    Source: warpctc-caffe's ContinuationIndicatorLayer.
    """

    type = "ContinuationIndicator"
    param = "continuation_indicator_param"
    bottoms = (0, 0)
    shown = (Setting("time_step", "{} timesteps", True), Setting("batch_size", "{} streams", True))
    example = Example(
        {}, "continuation_indicator_param { time_step: 24 batch_size: 8 }", shapes="T × N"
    )

    def check(self, context: LayerContext) -> None:
        for name in ("time_step", "batch_size"):
            if not getattr(context.param, name):
                context.error(f"'{name}' must be given and at least 1", name)

    def infer(self, context: LayerContext) -> list[Shape]:
        return [(context.param.time_step, context.param.batch_size)]


class Lstm(Spec):
    """An LSTM without BVLC's layout: weights of x and h, then the bias; gates i, f, o, g.

    The bottom is T×N×…, or T·N×… where `batch_size` is stated or the bottom has two axes. Without
    a second bottom each pass begins at 0; with it, 0 at a timestep begins anew there, and the
    states carry over. The gradients of the gates' inputs are clipped to `clipping_threshold`. Three
    quirks of the fork: stream n at timestep t reads the second bottom at t + n, and the weights of
    h get gradients also where a sequence begins, at the first timestep from stream 0 alone.
    Source: caffe-lstm's and CTPN's LstmLayer.
    """

    type = "Lstm"
    param = "lstm_param"
    bottoms = (1, 2)
    keeps_places = False
    unforced: ClassVar[tuple[int, ...]] = (1,)
    continuation = 1
    reads = BOTTOM
    shown = (OUTPUTS, Setting("clipping_threshold", "gradients up to {}"))
    example = Example(
        {"data": (16, 8, 100)},
        f"lstm_param {{ num_output: 256 {FILLER} }}",
        shapes="T × N × num_output, or T·N × num_output",
    )

    def passes_scale(self, layer: Layer) -> bool:
        return layer.field("lstm_param").clipping_threshold <= 0

    def check(self, context: LayerContext) -> None:
        if not context.param.num_output:
            context.error("'num_output' must be given and at least 1", "num_output")
        if context.has("batch_size") and not context.param.batch_size:
            context.error("'batch_size' must be at least 1", "batch_size")

    def infer(self, context: LayerContext) -> list[Shape]:
        x, hidden = context.bottoms[0], context.param.num_output
        if len(x) < 2 or not prod(x):
            raise context.stop(
                f"'{context.layer.bottoms[0]}' must be T×N×… (timesteps, streams, values), got "
                f"{shape_text(x)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        streams = streams_in_rows(context.layer)
        if streams and x[0] % streams:
            raise context.stop(
                f"'batch_size' {streams} does not divide the {x[0]} rows of "
                f"'{context.layer.bottoms[0]}'",
                "batch_size",
                notes=[context.made_here(0)],
            )
        if len(context.bottoms) > 1:
            steps = (x[0] // streams, streams) if streams else x[:2]
            self._check_clip(context, *steps)
        for shape, filler in (
            ((4 * hidden, prod(x[1:] if streams else x[2:])), "weight_filler"),
            ((4 * hidden, hidden), "weight_filler"),
            ((4 * hidden,), "bias_filler"),
        ):
            context.add_param(shape, filler)
        return [(x[0], hidden) if streams else (*x[:2], hidden)]

    def _check_clip(self, context: LayerContext, steps: int, streams: int) -> None:
        clip = context.bottoms[1]
        least = steps + streams - 1  # what it reads, by the fork's quirk
        if not clip or prod(clip[1:]) != 1 or clip[0] < least:
            raise context.stop(
                f"'{context.layer.bottoms[1]}', the continuation flags, must be one axis of at "
                f"least {least} values, got {shape_text(clip)}",
                "bottom",
                1,
                notes=[context.made_here(1), context.made_here(0)],
            )
        if streams > 1:
            context.warn(
                f"as in its fork, Lstm reads the flag of stream n at timestep t at t + n of "
                f"'{context.layer.bottoms[1]}', not at t·{streams} + n",
                "bottom",
                1,
            )
        warn_of_learned(context, 1)

    def macs(self, layer: Layer) -> int:
        x = layer.bottom_blobs[0].shape or (0, 0)
        rows = x[0] if streams_in_rows(layer) else x[0] * x[1]
        return rows * sum(param.count for param in layer.params if len(param.shape) == 2)

    def operations(self, layer: Layer) -> Operations:
        return LSTM_STEP.times(layer.top_blobs[0].count)

    def kept(self, layer: Layer) -> Kept:
        # as BVLC's, as measured
        return Kept(bottoms=True, tops=True, values=5 * layer.top_blobs[0].count)


def streams_in_rows(layer: Layer) -> int:
    """The number of streams of a bottom whose first axis is T·N; 0 where its axes are T×N×…."""
    p = layer.field("lstm_param")
    stated = p.HasField("batch_size") or len(layer.bottom_blobs[0].shape or ()) == 2
    return int(p.batch_size) if stated else 0


SPECS: tuple[type[Spec], ...] = (Reverse, Transpose, ContinuationIndicator, Lstm)
