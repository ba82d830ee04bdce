"""What a training run tells: a line for each display, test and snapshot; on a terminal a live line below them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from netspec.solver import Listener

if TYPE_CHECKING:
    from netspec.pytorch.train import Solver

LIVE_INTERVAL = 0.2  # seconds between two writings of the live line


class Progress(Listener):
    """Hears a run's events and prints them. Lines go to `out`; the live line goes to `live` where that is a terminal."""

    def __init__(self, max_iter: int, epoch_size: int | None, out: TextIO | None = None, live: TextIO | None = None) -> None:
        self.max_iter, self.epoch_size, self.out = max_iter, epoch_size, out or sys.stdout
        live = live or sys.stderr
        self.live = live if live.isatty() else None
        self.started = self.last_live = time.monotonic()
        self.first_iter: int | None = None
        self.test_seconds = self.test_began = 0.0  # tests are left out of the speed as well
        self.loss = float("nan")

    def iterated(self, solver: Solver) -> None:
        now = time.monotonic()
        if self.first_iter is None:
            self.first_iter, self.started = solver.iter, now  # the first iteration's set-up is left out of the speed
            return
        done = solver.iter - self.first_iter
        items = solver.batch_size * solver.param.iter_size
        self.images_per_second = done * items / max(now - self.started - self.test_seconds, 1e-9)
        self.items = solver.iter * items
        rest = (self.max_iter - solver.iter) * (now - self.started) / done
        place = f"{_bar(solver.iter / max(1, self.max_iter))} {solver.iter}/{self.max_iter}"
        self._live(f"{place}  loss {self.loss:.4g}{self._speed()}  {_duration(rest)} left")

    def testing(self, index: int, batch: int, batches: int) -> None:
        if batch == 0:
            self.test_began = time.monotonic()
        self._live(f"{_bar(batch / batches)} test {index}: batch {batch}/{batches}")

    def _live(self, text: str) -> None:
        """Writes the live line, though not more often than an eye can follow."""
        now = time.monotonic()
        if self.live and now - self.last_live >= LIVE_INTERVAL:
            self.last_live = now
            self.live.write(f"\r\x1b[K{text}")
            self.live.flush()

    def displayed(self, iteration: int, loss: float, outputs: dict[str, list[float]], rate: float) -> None:
        self.loss = loss
        others = {name: values for name, values in outputs.items() if not (len(values) == 1 and abs(values[0] - loss) < 1e-12)}
        self._line(f"iteration {iteration}  loss {loss:.6g}{_values(others)}  lr {rate:.6g}{self._speed()}")

    def tested(self, iteration: int, index: int, means: dict[str, list[float]]) -> None:
        if self.first_iter is not None:
            self.test_seconds += time.monotonic() - self.test_began
        self._line(f"test {index} at iteration {iteration} {_values(means)}")

    def saved(self, path: Path) -> None:
        self._line(f"snapshot {path}")

    def _speed(self) -> str:
        if not hasattr(self, "images_per_second"):
            return ""
        epoch = f"  epoch {self.items / self.epoch_size:.2f}" if self.epoch_size else ""
        return f"{epoch}  {self.images_per_second:.1f} images/s"

    def _line(self, text: str) -> None:
        if self.live:
            self.live.write("\r\x1b[K")
            self.live.flush()
        print(text, file=self.out, flush=True)

    def close(self) -> None:
        """Leaves the terminal on a line of its own."""
        if self.live:
            self.live.write("\r\x1b[K")
            self.live.flush()


def _bar(share: float) -> str:
    return "█" * round(20 * share) + "░" * (20 - round(20 * share))


def _values(outputs: dict[str, list[float]]) -> str:
    shown = []
    for name, values in outputs.items():
        shown.append(f"  {name} {' '.join(f'{value:.6g}' for value in values[:8])}{' …' if len(values) > 8 else ''}")
    return "".join(shown)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
