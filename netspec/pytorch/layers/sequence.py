"""Sequences: their order of axes and of timesteps, their continuation, junhyukoh's Lstm."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.graph import Layer
from netspec.layers.sequence import streams_in_rows
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.detection import Permute
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.lstm_steps import LSTMSequence, gate_slopes
from netspec.pytorch.layers.recurrent import Recurrent


class Reverse(LayerModule):
    """Reverses the order along an axis."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def extra_repr(self) -> str:
        return f"axis={self.axis}"

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(self.axis)


class ContinuationIndicator(LayerModule):
    """0 at the first timestep, 1 at all others. Shapes: → (T, N)."""

    flags: Tensor

    def __init__(self, steps: int, streams: int) -> None:
        super().__init__()
        flags = torch.ones(steps, streams)
        flags[0] = 0
        self.register_buffer("flags", flags, persistent=False)

    def extra_repr(self) -> str:
        return f"{self.flags.shape[0]}, {self.flags.shape[1]}"

    def forward(self) -> Tensor:
        return self.flags.clone()


class _ClippedSequence(LSTMSequence):
    """All steps of an LSTM, with the fork's gradients.

    Shapes: those of LSTMSequence.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        inputs: Tensor,
        cont: Tensor,
        weight: Tensor,
        hidden: Tensor,
        cell: Tensor,
        threshold: float,
    ) -> tuple[Tensor, Tensor]:
        ctx.threshold = threshold
        return LSTMSequence.forward(ctx, inputs, cont, weight, hidden, cell)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        cont, weight, hidden, cell, i, f, o, g, cells, hiddens = ctx.saved_tensors
        tanh_cells = cells.tanh()
        slopes = gate_slopes(i, f, o, g, torch.cat((cell.unsqueeze(0), cells[:-1])), tanh_cells)
        through = o * (1 - tanh_cells * tanh_cells)  # from h to c
        grad_hidden, grad_cell = torch.zeros_like(hidden), torch.zeros_like(cell)
        steps: list[Tensor] = []
        for t in range(grad.shape[0] - 1, -1, -1):
            grad_hidden = grad_hidden + grad[t]
            grad_cell = torch.addcmul(grad_cell, grad_hidden, through[t])
            parts = torch.stack((grad_cell, grad_cell, grad_hidden, grad_cell), 1)
            step = (slopes[t] * parts).flatten(1)
            if ctx.threshold > 0:
                step = step.clamp(-ctx.threshold, ctx.threshold)
            steps.append(step)
            grad_hidden = (step @ weight) * cont[t]
            grad_cell = grad_cell * f[t]
        grad_inputs = torch.stack(steps[::-1])
        # quirks of the fork: the flags have no part, and of the first timestep only stream 0 has
        grad_weight = grad_inputs[1:].flatten(0, 1).t() @ hiddens[:-1].flatten(0, 1)
        grad_weight = torch.addr(grad_weight, grad_inputs[0, 0], hidden[0])
        return grad_inputs, None, grad_weight, None, None, None


class Lstm(Recurrent):
    """junhyukoh's LSTM.

    Shapes: x (T, N, …), or (T·N, …), maybe the continuation flags (at least T + N - 1) → (T, N, H),
        or (T·N, H).
    """

    gates = 4
    state_names = ("hidden", "cell")

    def __init__(
        self,
        inputs: int,
        hidden: int,
        streams: int,
        in_rows: bool,
        has_flags: bool,
        threshold: float,
    ) -> None:
        self.has_flags, self.in_rows, self.streams = has_flags, in_rows, streams
        super().__init__(inputs, None, hidden, streams, expose_hidden=False)
        self.threshold = threshold

    def extra_repr(self) -> str:
        return (
            f"{self.weight_x.shape[1]}, {self.weight_h.shape[1]}, "
            f"clipping_threshold={self.threshold}"
        )

    def blobs(self) -> list[Tensor]:
        return [self.weight_x, self.weight_h, self.bias]

    @property
    def carried(self) -> tuple[str, ...]:
        """The states are kept only where flags may say that sequences go on."""
        return self.state_names if self.has_flags else ()

    def forward(self, x: Tensor, flags: Tensor | None = None) -> Tensor:  # type: ignore[override]
        values = x.reshape(-1, self.streams, *x.shape[1:]) if self.in_rows else x
        steps, streams = values.shape[:2]
        inputs = F.linear(values.flatten(2), self.weight_x, self.bias)
        times = torch.arange(steps, device=x.device).unsqueeze(1)
        if flags is None:
            cont = (times > 0).to(inputs).expand(steps, streams)
            hidden = cell = inputs.new_zeros(streams, self.weight_h.shape[1])
        else:
            # a quirk of the fork: it steps through the flags by one, whatever the streams are
            places = times + torch.arange(streams, device=x.device)
            cont = (flags.detach().flatten()[places] != 0).to(inputs)
            hidden, cell = (self._carried(name, streams).to(inputs) for name in self.state_names)
        hiddens, last = _ClippedSequence.apply(
            inputs, cont.unsqueeze(-1), self.weight_h, hidden, cell, self.threshold
        )
        if flags is not None:
            # else a layer that writes over the top would change them
            self._keep("hidden", hiddens[-1].detach().clone())
            self._keep("cell", last.detach().clone())
        return hiddens.flatten(0, 1) if self.in_rows else hiddens


def build_reverse(layer: Layer) -> Reverse:
    return Reverse(layer.field("reverse_param").axis)


def build_transpose(layer: Layer) -> Permute:
    return Permute(list(layer.field("transpose_param").dim))


def build_continuation_indicator(layer: Layer) -> ContinuationIndicator:
    p = layer.field("continuation_indicator_param")
    return ContinuationIndicator(p.time_step, p.batch_size)


def build_lstm(layer: Layer) -> Lstm:
    p, rows = layer.field("lstm_param"), streams_in_rows(layer)
    streams = rows or (layer.bottom_blobs[0].shape or (0, 0))[1]
    return Lstm(
        layer.params[0].shape[1],
        p.num_output,
        streams,
        bool(rows),
        len(layer.bottom_blobs) > 1,
        p.clipping_threshold,
    )


BUILDERS = {
    "Reverse": Builder(build_reverse, leaves_top=always),
    "Transpose": Builder(build_transpose, leaves_top=always),
    "ContinuationIndicator": Builder(build_continuation_indicator),
    "Lstm": Builder(build_lstm),
}
