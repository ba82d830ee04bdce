"""A run's events in the words and the form of Caffe's own log, for the tools that read it.

Source: Caffe 1.0's solver.cpp, sgd_solver.cpp, caffe.cpp, whose lines are written here with
    their places; glog.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from netspec.listener import Listener, RunInfo, Values
from netspec.logs.line_file import LineFile


class CaffeLines(Listener):
    """Each event of a run in Caffe's lines.

    Args: write: takes a line, without its end.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write_line = write
        self._run: RunInfo | None = None
        self._last_display = (0, time.monotonic())

    def know(self, run: RunInfo) -> None:
        """Takes the loss weights and the rest of what later lines show."""
        self._run = run
        self._last_display = (run.start_iter, time.monotonic())

    def started(self, run: RunInfo) -> None:
        self.know(run)
        self._write(
            "caffe.cpp:218",
            "Use CPU." if run.device == "cpu" else f"Using GPUs {run.device.removeprefix('cuda:')}",
        )
        self._write("caffe.cpp:248", "Starting Optimization")
        self._write("solver.cpp:272", f"Solving {run.net}")
        self._write("solver.cpp:273", f"Learning Rate Policy: {run.lr_policy}")

    def restored(self, iteration: int, path: Path) -> None:
        self._write("solver.cpp:278", f"Restoring previous solver status from {path}")

    def displayed(self, iteration: int, loss: float, outputs: Values, rate: float) -> None:
        now = time.monotonic()
        done, lapse = iteration - self._last_display[0], now - self._last_display[1]
        self._last_display = (iteration, now)
        speed = (
            f"({done / max(lapse, 1e-9):g} iter/s, "
            f"{lapse:g}s/{self._run.display if self._run else done} iters)"
        )
        self._write("solver.cpp:218", f"Iteration {iteration} {speed}, loss = {loss:g}")
        self._outputs(
            "solver.cpp:237", "Train", outputs, self._run.loss_weights if self._run else {}
        )
        self._write("sgd_solver.cpp:105", f"Iteration {iteration}, lr = {rate:g}")

    def skipped(self, iteration: int, loss_scale: float, count: int) -> None:
        message = f"Iteration {iteration}, update skipped ({count} in all), scale = {loss_scale:g}"
        self._write("sgd_solver.cpp:105", message, "W")  # Caffe trains in fp32 and has no such line

    def debugged(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._write("net.cpp:591", line)

    def testing(self, iteration: int, index: int, batch: int, batches: int) -> None:
        if batch == 0:
            self._write("solver.cpp:330", f"Iteration {iteration}, Testing net (#{index})")

    def tested(self, iteration: int, index: int, means: Values, loss: float | None) -> None:
        if loss is not None:
            self._write("solver.cpp:383", f"Test loss: {loss:g}")
        weights = self._run.test_loss_weights if self._run else []
        self._outputs(
            "solver.cpp:397", "Test", means, weights[index] if index < len(weights) else {}
        )

    def saved(self, iteration: int, weights: Path, state: Path) -> None:
        self._write("solver.cpp:447", f"Snapshotting to {_kind(weights)} file {weights}")
        self._write(
            "sgd_solver.cpp:273", f"Snapshotting solver state to {_kind(state)} file {state}"
        )

    def best(self, iteration: int, metric: str, value: float) -> None:
        self._write("solver.cpp:447", f"Best {metric} up to now: {value:g}")

    def removed(self, state: Path) -> None:
        self._write("solver.cpp:447", f"Removed {state}")

    def warned(self, message: str) -> None:
        self._write("solver.cpp:447", message, "W")

    def finished(self, iteration: int, loss: float | None) -> None:
        if loss is not None:
            self._write("solver.cpp:310", f"Iteration {iteration}, loss = {loss:g}")

    def ended(self, iteration: int, reason: str, message: str = "") -> None:
        if reason == "failed":
            self._write("solver.cpp:218", message or "failed", "E")
            return
        self._write(
            "solver.cpp:315",
            "Optimization Done." if reason == "done" else "Optimization stopped early.",
        )
        self._write("caffe.cpp:259", "Optimization Done.")

    def _outputs(self, place: str, phase: str, outputs: Values, weights: dict[str, float]) -> None:
        """A line for each element of each output, numbered through."""
        number = 0
        for name, values in outputs.items():
            weight = weights.get(name, 0.0)
            for value in values:
                share = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
                self._write(place, f"    {phase} net output #{number}: {name} = {value:g}{share}")
                number += 1

    def _write(self, place: str, message: str, severity: str = "I") -> None:
        """One line of the log for each of the message.

        Caffe's tools want the head of a line on every one.
        """
        for line in glog_lines(place, message, severity):
            self._write_line(line)


class CaffeLog(CaffeLines):
    """Writes each event of a run as Caffe does: parse_log.py, parse_log.sh and their like read it.

    Args: append: for a run that is resumed: its lines follow those of the run before, as `tee -a`
        would have it.
    Raises: NetspecError where the file can't be opened. A disk that is full later is reported once
        on stderr.
    """

    def __init__(self, path: str | Path, append: bool = False) -> None:
        self._file = LineFile(path, append)
        super().__init__(self._file.write)
        if self._file.is_empty:  # Caffe's tools stop at a head within the log
            self._file.write(f"Log file created at: {datetime.now():%Y/%m/%d %H:%M:%S}")
            self._file.write(f"Running on machine: {platform.node()}")
            self._file.write("Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg")

    def close(self) -> None:
        self._file.close()


def glog_lines(place: str, message: str, severity: str = "I") -> list[str]:
    """A message in glog's form: severity, time, process and place before each of its lines."""
    head = f"{severity}{datetime.now():%m%d %H:%M:%S.%f} {os.getpid():5d} {place}]"
    return [f"{head} {line}" for line in message.splitlines() or [""]]


def _kind(path: Path) -> str:
    return "HDF5" if path.suffix == ".h5" else "binary proto"
