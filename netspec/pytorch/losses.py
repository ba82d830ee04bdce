"""The losses of the last iterations.

What a run displays is their mean, and what it watches for is that each is a number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor

from netspec.pytorch.processes import Processes


class Losses:
    """The last `average_loss` losses, kept where they were computed until somebody looks.

    Source: Solver::UpdateSmoothedLoss.
    """

    def __init__(self, length: int, device: torch.device) -> None:
        self._window: deque[Tensor] = deque(maxlen=length)
        self._device = device

    def append(self, loss: Tensor) -> None:
        """Takes the loss of an iteration."""
        self._window.append(loss.detach())

    @property
    def last(self) -> float:
        return float(self._window[-1])

    @property
    def smoothed(self) -> float:
        """The mean."""
        return float(torch.stack(list(self._window)).mean())

    @property
    def values(self) -> list[float]:
        return [float(loss) for loss in self._window]

    def replace(self, values: Iterable[float]) -> None:
        """Puts others in their place, such as those before an interruption."""
        self._window.clear()
        self._window.extend(torch.tensor(value, device=self._device) for value in values)

    def agree(self, processes: Processes) -> None:
        """Makes each the mean over the processes."""
        if processes.count > 1:
            self.replace(processes.means(self.values))
