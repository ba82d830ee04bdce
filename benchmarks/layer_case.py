"""A case of the layers' benchmark, and what plain torch needs to stand beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from netspec.graph import Shape
from netspec.layers.example import Example

Plain = Callable[..., Any]


@dataclass
class Case:
    """A layer, its settings, and its counterpart: what one would write without netspec.

    The counterpart is a module, or a function of the same bottoms.
    """

    type: str
    bottoms: dict[str, Shape]
    settings: str = ""
    plain: Callable[[], Plain] | None = None
    note: str = ""
    tops: tuple[str, ...] = ("out",)
    then: str = ""  # a second layer's text, from `out` to `last`
    # the layer's blobs as the counterpart's
    weights: Callable[..., list[Tensor]] = field(default=lambda *blobs: list(blobs))
    is_random: bool = False

    @property
    def name(self) -> str:
        return f"{self.type} {self.note}".rstrip()

    def text(self) -> str:
        return (
            "force_backward: true\n"
            f"{Example(self.bottoms, self.settings, self.tops).text(self.type)}\n{self.then}"
        )


def written_out(function: Plain) -> Callable[[], Plain]:
    return lambda: function


class WithWeights(nn.Module):
    """A formula over weights of the layer's shapes."""

    def __init__(self, function: Plain, *shapes: Shape) -> None:
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(torch.empty(shape) for shape in shapes)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs, *self.weights)


class PlainRecurrent(nn.Module):
    """Torch's own sequence layer, whose states begin at 0.

    For an RNN it also has the layer that follows in Caffe's.
    """

    def __init__(self, kind: type[nn.LSTM | nn.RNN], inputs: int, hidden: int) -> None:
        super().__init__()
        self.sequence = kind(inputs, hidden)
        self.output = nn.Linear(hidden, hidden) if kind is nn.RNN else None

    def forward(self, x: Tensor, cont: Tensor) -> Tensor:
        hidden = self.sequence(x)[0]
        return hidden if self.output is None else self.output(hidden).tanh()


class PlainSteps(nn.Module):
    """Torch's own step of an LSTM in a loop: what one writes where streams begin anew."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.step = nn.LSTMCell(inputs, hidden)

    def forward(self, x: Tensor, cont: Tensor) -> Tensor:
        hidden = cell = x.new_zeros(x.shape[1], self.step.hidden_size)
        tops = []
        for inputs, kept in zip(x.unbind(0), cont.unsqueeze(-1).unbind(0), strict=True):
            hidden, cell = self.step(inputs, (hidden * kept, cell * kept))
            tops.append(hidden)
        return torch.stack(tops)


def lstm_weights(x: Tensor, bias: Tensor, h: Tensor) -> list[Tensor]:
    def turned(weight: Tensor) -> Tensor:
        i, f, o, g = weight.chunk(4)
        return torch.cat((i, f, g, o))

    return [turned(x), turned(h), turned(bias), torch.zeros_like(bias)]


def rnn_weights(x: Tensor, bias: Tensor, h: Tensor, o: Tensor, bias_o: Tensor) -> list[Tensor]:
    return [x, h, bias, torch.zeros_like(bias), o, bias_o]
