"""LSTM and RNN over whole sequences, with Caffe's resets.

Their state lasts between forward passes, as Caffe's does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.graph import Layer
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.lstm_steps import LSTMSequence, LSTMStep


class LSTMUnit(LayerModule):
    """One timestep of an LSTM.

    Shapes: cell (1, N, H), inputs of the gates i, f, o, g (1, N, 4H), cont (1, N) → cell and hidden
        state (1, N, H).
    """

    def forward(self, cell: Tensor, inputs: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
        return LSTMStep.apply(cell, inputs, cont.detach().to(inputs.dtype).unsqueeze(-1))


class Recurrent(LayerModule):
    """What LSTM and RNN share.

    The inputs' weights, and states that last from one forward pass to the next.

    A pass over fewer streams takes up the states of the first ones; one over more streams than ever
    before begins at 0. Gradients end at a pass's first timestep, also where the states are bottoms
    and tops.
    Shapes: x (T, N, …), cont (T, N), maybe static (N, …), with exposed states 1, N, H each → (T, N,
        H), states.
    """

    gates = 1
    state_names: tuple[str, ...] = ("hidden",)

    def __init__(
        self, inputs: int, static_inputs: int | None, hidden: int, streams: int, expose_hidden: bool
    ) -> None:
        super().__init__()
        self.has_static, self.expose_hidden = static_inputs is not None, expose_hidden
        rows = self.gates * hidden
        self.weight_x = nn.Parameter(torch.empty(rows, inputs))
        self.bias = nn.Parameter(torch.empty(rows))
        if static_inputs is not None:
            self.weight_static = nn.Parameter(torch.empty(rows, static_inputs))
        self.weight_h = nn.Parameter(torch.empty(rows, hidden))
        for name in self.carried:
            self.register_buffer(name, torch.zeros(streams, hidden), persistent=False)

    def extra_repr(self) -> str:
        static = f", static={self.weight_static.shape[1]}" if self.has_static else ""
        return (
            f"{self.weight_x.shape[1]}, {self.weight_h.shape[1]}{static}, "
            f"expose_hidden={self.expose_hidden}"
        )

    def blobs(self) -> list[Tensor]:
        return [
            self.weight_x,
            self.bias,
            *([self.weight_static] if self.has_static else []),
            self.weight_h,
        ]

    @property
    def carried(self) -> tuple[str, ...]:
        """The buffers that hold the states between two passes.

        There are none where the states are bottoms and tops.
        """
        return () if self.expose_hidden else self.state_names

    def reset(self) -> None:
        """Forgets the states. Source: Caffe's RecurrentLayer::Reset."""
        for name in self.carried:
            setattr(self, name, torch.zeros_like(getattr(self, name)))

    def forward(self, x: Tensor, cont: Tensor, *others: Tensor) -> Tensor | tuple[Tensor, ...]:
        x, streams = x.flatten(2), x.shape[1]
        static = others[0].flatten(1) if self.has_static else None
        if self.expose_hidden:
            states = [
                state.detach().squeeze(0).to(x.dtype) for state in others[-len(self.state_names) :]
            ]
        else:
            states = [self._carried(name, streams).to(x.dtype) for name in self.state_names]
        top, *last = self.run(x, static, cont.detach().to(x.dtype), *states)
        # else a layer that writes over the top would change them
        states = [state.detach().clone() for state in last]
        if self.expose_hidden:
            return top, *[state.unsqueeze(0) for state in states]
        for name, state in zip(self.state_names, states, strict=True):
            self._keep(name, state)
        return top

    def _carried(self, name: str, streams: int) -> Tensor:
        state: Tensor = getattr(self, name)
        if state.shape[0] < streams:
            state = state.new_zeros(streams, state.shape[1])
            setattr(self, name, state)
        # what a pass in inference mode left can't be kept for a gradient
        return state[:streams].clone()

    def _keep(self, name: str, state: Tensor) -> None:
        """Stores a last state: as a new tensor, for the backward pass may yet read the old one."""
        waiting: Tensor = getattr(self, name)[state.shape[0] :]
        state = state.to(waiting.dtype)
        setattr(self, name, torch.cat((state, waiting)) if len(waiting) else state)

    def step_inputs(self, x: Tensor, static: Tensor | None) -> Tensor:
        """What x and the static input give to each step."""
        inputs = F.linear(x, self.weight_x, self.bias)
        return inputs if static is None else inputs + F.linear(static, self.weight_static)

    def run(
        self, x: Tensor, static: Tensor | None, cont: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        """The top and the last states."""
        raise NotImplementedError


class LSTM(Recurrent):
    """Blobs: weights of x, bias, weights of the static input, weights of h.

    Their rows are those of the gates i, f, o, g.
    """

    gates = 4
    state_names = ("hidden", "cell")

    def run(
        self, x: Tensor, static: Tensor | None, cont: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        starts = _starts(cont)
        if starts is not None and x.numel():
            return self._run_pieces(x, static, cont, starts, *states)
        hiddens, cell = LSTMSequence.apply(
            self.step_inputs(x, static), cont.unsqueeze(-1), self.weight_h, *states
        )
        return hiddens, hiddens[-1], cell

    def _run_pieces(
        self, x: Tensor, static: Tensor | None, cont: Tensor, starts: list[int], *states: Tensor
    ) -> tuple[Tensor, ...]:
        """Torch's own LSTM over the pieces in which no stream begins anew.

        It is several times as fast.
        """
        weight_x: Tensor = self.weight_x
        if static is not None:
            x = torch.cat((x, static.expand(x.shape[0], *static.shape)), 2)
            weight_x = torch.cat((weight_x, self.weight_static), 1)
        no_bias = torch.zeros_like(self.bias)  # torch adds a second one
        weights = [
            _torch_rows(weight_x),
            _torch_rows(self.weight_h),
            _torch_rows(self.bias),
            no_bias,
        ]
        weights = _in_one_block(weights) if x.is_cuda else weights
        hidden, cell = (state.unsqueeze(0) for state in states)
        tops = []
        for start, end in zip(starts, [*starts[1:], x.shape[0]], strict=True):
            kept = cont[start].unsqueeze(-1)
            training = torch.is_grad_enabled()
            top, hidden, cell = torch.lstm(
                x[start:end],
                (hidden * kept, cell * kept),
                weights,
                True,
                1,
                0.0,
                training,
                False,
                False,
            )
            tops.append(top)
        return torch.cat(tops) if len(tops) > 1 else tops[0], hidden[0], cell[0]


def _starts(cont: Tensor) -> list[int] | None:
    """The timesteps at which a stream begins anew, where these are few.

    Returns None where stepping is the faster way, where a flag is a fraction, or where the flags
    must not be looked at.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return None
    if not torch.equal(cont, cont.bool().to(cont.dtype)):
        return None
    starts = [0, *((cont[1:] == 0).any(1).nonzero().flatten() + 1).tolist()]
    return starts if len(starts) <= max(1, cont.shape[0] // 4) else None


def _torch_rows(weight: Tensor) -> Tensor:
    """Rows of the gates i, f, o, g as i, f, g, o."""
    hidden = weight.shape[0] // 4
    i_f, o, g = weight.split((2 * hidden, hidden, hidden))
    return torch.cat((i_f, g, o))


def _in_one_block(weights: list[Tensor]) -> list[Tensor]:
    """The same weights in one piece of memory, as cuDNN wants them."""
    parts = torch.cat([weight.reshape(-1) for weight in weights]).split(
        [weight.numel() for weight in weights]
    )
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]


class RNN(Recurrent):
    """Blobs: weights of x, bias, of the static input, of h, weights and bias of the output."""

    def __init__(
        self, inputs: int, static_inputs: int | None, hidden: int, streams: int, expose_hidden: bool
    ) -> None:
        super().__init__(inputs, static_inputs, hidden, streams, expose_hidden)
        self.weight_o = nn.Parameter(torch.empty(hidden, hidden))
        self.bias_o = nn.Parameter(torch.empty(hidden))

    def blobs(self) -> list[Tensor]:
        return [*super().blobs(), self.weight_o, self.bias_o]

    def run(
        self, x: Tensor, static: Tensor | None, cont: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        (hidden,), hiddens, transposed = states, [], self.weight_h.t()
        for step, kept in zip(
            self.step_inputs(x, static).unbind(0), cont.unsqueeze(-1).unbind(0), strict=True
        ):
            hidden = torch.addmm(step, hidden * kept, transposed).tanh()
            hiddens.append(hidden)
        return F.linear(torch.stack(hiddens), self.weight_o, self.bias_o).tanh(), hidden


def build_recurrent(layer: Layer) -> nn.Module:
    kind = {"LSTM": LSTM, "RNN": RNN}[layer.type]
    p, params = layer.message.recurrent_param, layer.params
    exposed = len(kind.state_names) if p.expose_hidden else 0
    has_static = len(layer.bottom_blobs) > 2 + exposed
    streams = (layer.bottom_blobs[0].shape or (0, 0))[1]
    return kind(
        params[0].shape[1],
        params[2].shape[1] if has_static else None,
        p.num_output,
        streams,
        p.expose_hidden,
    )


def build_lstm_unit(layer: Layer) -> nn.Module:
    return LSTMUnit()


BUILDERS = {
    "LSTM": Builder(build_recurrent),
    "RNN": Builder(build_recurrent),
    "LSTMUnit": Builder(build_lstm_unit),
}
