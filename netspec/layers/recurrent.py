"""Layers with a memory: LSTM, RNN, and the LSTM's step.

Source: Caffe's RecurrentLayer, LSTMLayer, RNNLayer, LSTMUnitLayer.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.example import FILLER, SEQUENCE, Example
from netspec.layers.kept import Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.loss import warn_of_learned
from netspec.layers.operations import LSTM_STEP, TANH, Operations
from netspec.layers.setting import OUTPUTS, Setting
from netspec.layers.spec import BOTTOM, Spec


class Recurrent(Spec):
    """What LSTM and RNN share.

    Bottoms x (T×N×…), cont (T×N), maybe a static input (N×…), maybe the first states.

    With `expose_hidden` the states are further bottoms and tops (1×N×H each); else they carry over
    from one forward pass to the next.
    """

    param = "recurrent_param"
    keeps_places = False
    unforced: ClassVar[tuple[int, ...]] = (1,)
    continuation = 1
    states: ClassVar[tuple[str, ...]] = ()
    reads = BOTTOM

    def shares_gradient(self, layer: Layer) -> bool:
        return True

    def check(self, context: LayerContext) -> None:
        if not context.param.num_output:
            context.error("'num_output' must be given and at least 1", "num_output")
        exposed = self.states if context.param.expose_hidden else ()
        least, bottoms, tops = (
            2 + len(exposed),
            len(context.layer.bottom_blobs),
            len(context.layer.top_blobs),
        )
        why = (
            f" with 'expose_hidden' (the states are {' and '.join(exposed)})"
            if exposed
            else " without 'expose_hidden'"
        )
        if bottoms not in (least, least + 1):
            context.error(f"takes {least} or {least + 1} bottoms{why}, got {bottoms}", "bottom", -1)
        if tops != 1 + len(exposed):
            context.error(
                f"takes {1 + len(exposed)} top{'s' if exposed else ''}{why}, got {tops}", "top", -1
            )

    def infer(self, context: LayerContext) -> list[Shape]:
        x, hidden = context.bottoms[0], context.param.num_output
        if len(x) < 3 or not x[0]:
            message = (
                f"'{context.layer.bottoms[0]}' must be T×N×… (at least one timestep, streams, "
                f"values), got {shape_text(x)}"
            )
            raise context.stop(message, "bottom", 0, notes=[context.made_here(0)])
        require_shape(context, 1, x[:2], "the continuation flags, one for each timestep and stream")
        exposed = self.states if context.param.expose_hidden else ()
        static = context.bottoms[2] if len(context.bottoms) > 2 + len(exposed) else None
        if static is not None and (len(static) < 2 or static[0] != x[1]):
            message = (
                f"the static input '{context.layer.bottoms[2]}' must be {x[1]}×… (streams, "
                f"values), got {shape_text(static)}"
            )
            raise context.stop(
                message, "bottom", 2, notes=[context.made_here(2), context.made_here(0)]
            )
        state = (1, x[1], hidden)
        for i, name in enumerate(exposed):
            require_shape(
                context, len(context.bottoms) - len(exposed) + i, state, f"the first {name}"
            )
        warn_of_learned(context, 1)
        self.add_params(context, prod(x[2:]), None if static is None else prod(static[1:]))
        return [(x[0], x[1], hidden), *[state] * len(exposed)]

    def add_params(self, context: LayerContext, inputs: int, static_inputs: int | None) -> None:
        """Adds the params in Caffe's order: those of the inputs, the static input, the memory."""
        raise NotImplementedError

    def macs(self, layer: Layer) -> int:
        steps, streams = (layer.bottom_blobs[0].shape or (0, 0))[:2]
        weights = [param.count for param in layer.params if len(param.shape) == 2]
        exposed = len(self.states) if layer.message.recurrent_param.expose_hidden else 0
        # multiplied once, not at each timestep
        static = weights.pop(1) if len(layer.bottom_blobs) > 2 + exposed else 0
        return streams * (steps * sum(weights) + static)


class LSTM(Recurrent):
    """A memory cell with gates for input, forgetting and output. cont 0 begins a sequence anew."""

    type = "LSTM"
    bottoms = (2, 5)
    tops = (1, 3)
    states = ("hidden state", "cell state")
    shown = (OUTPUTS, Setting("expose_hidden", "hidden state exposed"))
    example = Example(
        SEQUENCE, f"recurrent_param {{ num_output: 256 {FILLER} }}", shapes="T × N × num_output"
    )

    def add_params(self, context: LayerContext, inputs: int, static_inputs: int | None) -> None:
        hidden = context.param.num_output
        context.add_param((4 * hidden, inputs), "weight_filler")
        context.add_param((4 * hidden,), "bias_filler")
        if static_inputs is not None:
            context.add_param((4 * hidden, static_inputs), "weight_filler")
        context.add_param((4 * hidden, hidden), "weight_filler")

    def operations(self, layer: Layer) -> Operations:
        return LSTM_STEP.times(layer.top_blobs[0].count)

    def kept(self, layer: Layer) -> Kept:
        # the gates, the tanh of each and of the cell, and what they multiply, as measured
        return Kept(bottoms=True, tops=True, values=5 * layer.top_blobs[0].count)


class RNN(Recurrent):
    """h = tanh(W x + W h + b), and as top tanh(W h + b) of it. cont 0 begins a sequence anew."""

    type = "RNN"
    bottoms = (2, 4)
    tops = (1, 2)
    states = ("hidden state",)
    shown = (OUTPUTS, Setting("expose_hidden", "hidden state exposed"))
    example = Example(
        SEQUENCE, f"recurrent_param {{ num_output: 256 {FILLER} }}", shapes="T × N × num_output"
    )

    def add_params(self, context: LayerContext, inputs: int, static_inputs: int | None) -> None:
        hidden = context.param.num_output
        context.add_param((hidden, inputs), "weight_filler")
        context.add_param((hidden,), "bias_filler")
        if static_inputs is not None:
            context.add_param((hidden, static_inputs), "weight_filler")
        context.add_param((hidden, hidden), "weight_filler")
        context.add_param((hidden, hidden), "weight_filler")
        context.add_param((hidden,), "bias_filler")

    def operations(self, layer: Layer) -> Operations:
        steps, streams = (layer.bottom_blobs[0].shape or (0, 0))[:2]
        hidden = steps * streams * layer.message.recurrent_param.num_output
        return TANH.times(hidden + layer.top_blobs[0].count)

    def kept(self, layer: Layer) -> Kept:
        # the sums of both multiplications and their hyperbolic tangent, as measured
        return Kept(bottoms=True, tops=True, values=3 * layer.top_blobs[0].count)


class LSTMUnit(Spec):
    """One timestep of an LSTM.

    It takes the cell state, the gates' inputs (i, f, o, g) and cont to the cell and hidden state.
    """

    type = "LSTMUnit"
    unforced: ClassVar[tuple[int, ...]] = (2,)
    continuation = 2
    bottoms = (3, 3)
    tops = (2, 2)
    keeps_places = False
    example = Example(
        {"c_before": (1, 8, 256), "gates": (1, 8, 1024), "cont": (1, 8)},
        tops=("c", "h"),
        shapes="both tops have the first bottom's",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        cell = context.bottoms[0]
        if len(cell) != 3 or cell[0] != 1:
            raise context.stop(
                f"'{context.layer.bottoms[0]}' must be 1×N×H, got {shape_text(cell)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        require_shape(context, 1, (1, cell[1], 4 * cell[2]), "the inputs of the four gates")
        require_shape(context, 2, (1, cell[1]), "the continuation flags")
        warn_of_learned(context, 2)
        return [cell, cell]

    def operations(self, layer: Layer) -> Operations:
        return LSTM_STEP.times(layer.top_blobs[0].count)


def require_shape(context: LayerContext, index: int, shape: Shape, what: str) -> None:
    """Requires a bottom to have a shape that follows from the first one's."""
    if context.bottoms[index] != shape:
        message = (
            f"'{context.layer.bottoms[index]}', {what}, must be {shape_text(shape)}, "
            f"got {shape_text(context.bottoms[index])}"
        )
        raise context.stop(
            message, "bottom", index, notes=[context.made_here(index), context.made_here(0)]
        )


SPECS = (LSTM, RNN, LSTMUnit)
