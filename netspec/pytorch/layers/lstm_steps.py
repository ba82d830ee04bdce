"""The steps of an LSTM as autograd functions: one step, and all steps of a sequence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _activate(inputs: Tensor, cont: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gates i, f·cont, o, g of their inputs (…, 4H)."""
    hidden = inputs.shape[-1] // 4
    i, f, o = inputs[..., : 3 * hidden].sigmoid().chunk(3, -1)
    return i, f * cont, o, inputs[..., 3 * hidden :].tanh()


def gate_slopes(
    i: Tensor, f: Tensor, o: Tensor, g: Tensor, cell_before: Tensor, tanh_cell: Tensor
) -> Tensor:
    """What the gates' inputs (…, 4, H) get of the gradient of c (i, f, g) or of h (o).

    f holds cont: like Caffe's on the CPU, its slope f·(1 - f) is the true one where cont is 0 or 1.
    """
    return torch.stack(
        (g * i * (1 - i), cell_before * f * (1 - f), tanh_cell * o * (1 - o), i * (1 - g * g)), -2
    )


class LSTMStep(torch.autograd.Function):
    """One step: c = f·c + i·g, h = o·tanh(c)."""

    @staticmethod
    def forward(ctx: Any, cell: Tensor, inputs: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
        i, f, o, g = _activate(inputs, cont)
        after = f * cell + i * g
        ctx.save_for_backward(i, f, o, g, cell, after)
        return after, o * after.tanh()

    @staticmethod
    def backward(ctx: Any, grad_cell: Tensor, grad_hidden: Tensor) -> tuple[Tensor | None, ...]:
        i, f, o, g, cell, after = ctx.saved_tensors
        tanh_cell = after.tanh()
        grad_cell = grad_cell + grad_hidden * o * (1 - tanh_cell * tanh_cell)
        grads = torch.stack((grad_cell, grad_cell, grad_hidden, grad_cell), -2)
        return grad_cell * f, (gate_slopes(i, f, o, g, cell, tanh_cell) * grads).flatten(-2), None


class LSTMSequence(torch.autograd.Function):
    """All steps of an LSTM, from what the inputs give to the gates.

    One product makes the weight's gradient of all steps.

    Shapes: inputs (T, N, 4H), cont (T, N, 1), weight (4H, H), hidden and cell (N, H) → all hidden
        states (T, N, H), last cell.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, cont: Tensor, weight: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        steps: list[tuple[Tensor, ...]] = []
        transposed, before = weight.t(), (hidden, cell)
        for t in range(inputs.shape[0]):
            i, f, o, g = _activate(torch.addmm(inputs[t], hidden * cont[t], transposed), cont[t])
            cell = torch.addcmul(f * cell, i, g)
            hidden = o * cell.tanh()
            steps.append((i, f, o, g, cell, hidden))
        saved = [torch.stack(values) for values in zip(*steps, strict=True)]
        ctx.save_for_backward(cont, weight, *before, *saved)
        ctx.mark_non_differentiable(cell)
        return saved[-1], cell

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        cont, weight, hidden, cell, i, f, o, g, cells, hiddens = ctx.saved_tensors
        tanh_cells = cells.tanh()
        slopes = gate_slopes(i, f, o, g, torch.cat((cell.unsqueeze(0), cells[:-1])), tanh_cells)
        through = o * (1 - tanh_cells * tanh_cells)  # from h to c
        # nothing comes back from the next pass
        grad_hidden, grad_cell = torch.zeros_like(hidden), torch.zeros_like(cell)
        steps: list[Tensor] = []
        for t in range(grad.shape[0] - 1, -1, -1):
            grad_hidden = grad_hidden + grad[t]
            grad_cell = torch.addcmul(grad_cell, grad_hidden, through[t])
            steps.append(
                (
                    slopes[t] * torch.stack((grad_cell, grad_cell, grad_hidden, grad_cell), 1)
                ).flatten(1)
            )
            grad_hidden = (steps[-1] @ weight) * cont[t]
            grad_cell = grad_cell * f[t]
        grad_inputs = torch.stack(steps[::-1])
        grad_weight = None
        if ctx.needs_input_grad[2]:
            kept = torch.cat((hidden.unsqueeze(0), hiddens[:-1])) * cont
            grad_weight = grad_inputs.flatten(0, 1).t() @ kept.flatten(0, 1)
        return grad_inputs, None, grad_weight, None, None
