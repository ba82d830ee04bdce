"""What a training run reports on the terminal.

Each event has a line; where it is a terminal, a live line stands below them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from netspec.cli.terminal import show
from netspec.diagnostics import Diagnostic
from netspec.listener import Listener, RunInfo, Values

LIVE_INTERVAL = 0.2  # seconds between two writings of the live line


class Progress(Listener):
    """Receives a run's events and prints them.

    Lines go to `out`; the live line goes to `live` where that is a terminal.
    """

    def __init__(self, out: TextIO | None = None, live: TextIO | None = None) -> None:
        # None where nobody reads: standard output is closed, or was lost
        self.out: TextIO | None = out or sys.stdout
        live = live or sys.stderr
        self.live = live if live is not None and live.isatty() else None
        self.started_at = self.last_live = time.monotonic()
        self.first_iter: int | None = None
        self.test_seconds = self.test_began = 0.0  # tests are left out of the speed as well
        self.images_per_second: float | None = None
        self.iteration = 0
        self.loss: float | None = None  # none has been displayed yet

    def checked(self, warnings: Sequence[Diagnostic]) -> None:
        show(warnings)

    def noted(self, message: str) -> None:
        self._line(message)

    def started(self, run: RunInfo) -> None:
        self.run = run
        batch = f"batch {run.batch_size}"
        if run.processes > 1:
            batch += f" × {run.processes} processes = {run.effective_batch}"
        if run.iter_size > 1:
            batch += f", iter_size {run.iter_size}"
        if run.images_per_iteration != run.batch_size:
            batch += f", {run.images_per_iteration} images an iteration"
        records = f", {run.epoch_size:,} records" if run.epoch_size else ""
        self._line(
            f"{run.net}: {run.param_count:,} parameters, {run.rule}, "
            f"{batch}{records}, on {run.device}"
            + (f", {run.precision}" if run.precision != "fp32" else "")
            + (", compiled: the first passes wait for it" if run.compile else "")
        )
        for batches, size, batch_size in zip(
            run.test_iter, run.test_sizes, run.test_batch_sizes, strict=True
        ):
            if size:
                self._line(f"a test reads {coverage(batches, batch_size, size, '--test-iter')}")

    def restored(self, iteration: int, path: Path) -> None:
        self._line(f"resuming at iteration {iteration} from {path}")

    def iterated(self, iteration: int) -> None:
        now = time.monotonic()
        self.iteration = iteration
        if self.first_iter is None:
            # the first iteration's set-up is left out of the speed
            self.first_iter, self.started_at = iteration, now
            self.test_seconds = 0.0
            return
        done = iteration - self.first_iter
        self.images_per_second = (
            done
            * self.run.images_per_iteration
            / max(now - self.started_at - self.test_seconds, 1e-9)
        )
        rest = (self.run.max_iter - iteration) * (now - self.started_at) / done
        place = f"{_bar(iteration / max(1, self.run.max_iter))} {iteration}/{self.run.max_iter}"
        loss = "" if self.loss is None else f"  loss {self.loss:.4g}"
        self._live(f"{place}{loss}{self._speed()}  {_duration(rest)} left")

    def testing(self, iteration: int, index: int, batch: int, batches: int) -> None:
        if batch == 0:
            self.test_began = time.monotonic()
            rest = ""
        else:
            rest = (
                f"  {_duration((time.monotonic() - self.test_began) * (batches - batch) / batch)} "
                "left"
            )
        self._live(f"{_bar(batch / batches)} test {index}: batch {batch}/{batches}{rest}")

    def _live(self, text: str) -> None:
        """Writes the live line, though not more often than an eye can follow."""
        now = time.monotonic()
        if self.live and now - self.last_live >= LIVE_INTERVAL:
            self.last_live = now
            self._write_live(f"\r\x1b[K{text[: _columns(self.live) - 1]}")

    def displayed(self, iteration: int, loss: float, outputs: Values, rate: float) -> None:
        self.loss = loss
        weights = self.run.loss_weights
        shown = {
            n: v
            for n, v in outputs.items()
            if not (len(v) == 1 and weights.get(n) == 1 and f"{v[0]:.6g}" == f"{loss:.6g}")
        }
        self._line(
            f"iteration {iteration}  loss {loss:.6g}{_values(shown, weights)}  lr "
            f"{rate:.6g}{self._speed()}"
        )

    def skipped(self, iteration: int, loss_scale: float, count: int) -> None:
        self._line(
            f"iteration {iteration}  no update, gradients overflow in fp16; loss scale "
            f"{loss_scale:g}; {count} skipped in all"
        )

    def debugged(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._line(line)

    def tested(self, iteration: int, index: int, means: Values, loss: float | None) -> None:
        if self.first_iter is not None:
            self.test_seconds += time.monotonic() - self.test_began
        total = "" if loss is None else f"  test loss {loss:.6g}"
        self._line(
            f"test {index} at iteration {iteration} "
            f"{_values(means, self.run.test_loss_weights[index])}{total}"
        )

    def saved(self, iteration: int, weights: Path, state: Path) -> None:
        self._line(f"snapshot {state}")

    def best(self, iteration: int, metric: str, value: float) -> None:
        self._line(
            f"best {metric} so far: {value:.6g} at iteration {iteration}; its snapshot stays"
        )

    def removed(self, state: Path) -> None:
        self._line(f"removed {state}")

    def warned(self, message: str) -> None:
        self._clear()
        _warn(message)

    def finished(self, iteration: int, loss: float | None) -> None:
        if loss is not None:
            self._line(f"iteration {iteration}  loss {loss:.6g}")

    def ended(self, iteration: int, reason: str, message: str = "") -> None:
        self._clear()
        if reason == "failed":  # the message itself goes to stderr
            return
        self._line("stopped early" if reason == "stopped" else "done")

    def _speed(self) -> str:
        if self.images_per_second is None:
            return ""
        epoch = self.run.epoch(self.iteration)
        passes = "" if epoch is None else f"  epoch {epoch:.2f}"
        return f"{passes}  {self.images_per_second:.1f} images/s"

    def _line(self, text: str) -> None:
        """Prints a line.

        Where nobody reads on (a closed terminal or pipe, a full disk), the training goes on
        without.
        """
        self._clear()
        if self.out is None:
            return
        try:
            print(text, file=self.out, flush=True)
        except OSError as error:
            _to_nowhere(self.out)
            self.out = None
            _warn(
                f"the output can't be written: {error.strerror or error}; "
                "the training goes on without it"
            )

    def _clear(self) -> None:
        self._write_live("\r\x1b[K")

    def _write_live(self, text: str) -> None:
        if self.live is None:
            return
        try:
            self.live.write(text)
            self.live.flush()
        except OSError:  # the terminal was closed
            _to_nowhere(self.live)
            self.live = None

    def close(self) -> None:
        self._clear()


def coverage(batches: int, batch_size: int | None, size: int, option: str) -> str:
    """What a test will read of its data.

    Where that is more than all of it, how many batches read it once.
    """
    text = f"{batches:,} {'batch' if batches == 1 else 'batches'} of its {size:,} records"
    once = -(-size // batch_size) if batch_size else batches
    if batches <= once or not batch_size:
        return text
    return (
        f"{text}, all of them {batches * batch_size / size:.1f} times; "
        f"{option} {once} reads them once"
    )


def _warn(message: str) -> None:
    try:
        print(f"warning: {message}", file=sys.stderr, flush=True)
    except OSError:
        _to_nowhere(sys.stderr)


def _to_nowhere(stream: TextIO) -> None:
    """What a stream still holds, and all that follows, goes nowhere.

    Else its last flush would fail as the program ends.
    """
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _columns(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _bar(share: float) -> str:
    return "█" * round(20 * share) + "░" * (20 - round(20 * share))


def _values(outputs: Values, weights: dict[str, float]) -> str:
    shown = []
    for name, values in outputs.items():
        weight = weights.get(name, 0)
        weighted = f" (× {weight:g} = {weight * sum(values):.6g})" if weight not in (0, 1) else ""
        few = " ".join(f"{value:.6g}" for value in values[:8])
        shown.append(f"  {name} {few}{' …' if len(values) > 8 else ''}{weighted}")
    return "".join(shown)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
