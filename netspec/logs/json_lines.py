"""A run's events as JSON, an object a line."""

from __future__ import annotations

import json
import time
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from netspec.listener import Listener, RunInfo, Values
from netspec.logs.line_file import LineFile
from netspec.logs.throughput import Throughput


class JsonLog(Listener):
    """Writes each event of a run as a line of JSON.

    The events are start, restored, train, test, skipped, snapshot, best, removed, warning and end.

    Every line has "event", "time" (seconds since 1970) and "seconds" (since this part of the run
    began). A number that JSON has no word for is a string: "nan", "inf" or "-inf". What is not
    known is left out, or null in "start". Losses, outputs and rates are single precision, as in
    Caffe, in as few digits as distinguish them.

    Args: append: for a run that is resumed: one file then holds all its parts, each from its own
        "start".
    Raises: NetspecError where the file can't be opened. A disk that is full later is reported once
        on stderr.
    """

    def __init__(self, path: str | Path, append: bool = False) -> None:
        self._file = LineFile(path, append)
        self._began = time.monotonic()
        self._run: RunInfo | None = None
        self._throughput = Throughput(0)
        self._final_loss: float | None = None

    def started(self, run: RunInfo) -> None:
        self._began = time.monotonic()
        self._run = run
        self._throughput = Throughput(run.images_per_iteration)
        self._write(
            "start",
            net=run.net,
            solver=run.solver,
            type=run.rule,
            lr_policy=run.lr_policy,
            device=run.device,
            precision=run.precision,
            compile=run.compile,
            seed=run.seed,
            iter=run.start_iter,
            max_iter=run.max_iter,
            batch_size=run.batch_size,
            processes=run.processes,
            iter_size=run.iter_size,
            effective_batch=run.effective_batch,
            images_per_iteration=run.images_per_iteration,
            start_records=run.start_records,
            dataset_size=run.epoch_size,
            param_count=run.param_count,
            loss_weights=_numbers(run.loss_weights),
            test_iter=run.test_iter,
            test_dataset_sizes=run.test_sizes,
            test_loss_weights=[_numbers(weights) for weights in run.test_loss_weights],
        )

    def restored(self, iteration: int, path: Path) -> None:
        self._write("restored", iter=iteration, state=str(path))

    def displayed(self, iteration: int, loss: float, outputs: Values, rate: float) -> None:
        speed = self._throughput.since_last(iteration)
        known: dict[str, Any] = {} if speed is None else {"images_per_second": round(speed, 2)}
        epoch = self._run.epoch(iteration) if self._run else None
        if epoch is not None:
            known["epoch"] = round(epoch, 4)
        self._write(
            "train",
            iter=iteration,
            loss=_number(loss),
            lr=_number(rate),
            outputs=_values(outputs),
            **known,
        )

    def skipped(self, iteration: int, loss_scale: float, count: int) -> None:
        self._write("skipped", iter=iteration, loss_scale=loss_scale, count=count)

    def testing(self, iteration: int, index: int, batch: int, batches: int) -> None:
        if batch == 0:
            self._throughput.test_begins()

    def tested(self, iteration: int, index: int, means: Values, loss: float | None) -> None:
        self._throughput.test_ends()
        self._write(
            "test",
            iter=iteration,
            net=index,
            outputs=_values(means),
            **({} if loss is None else {"loss": _number(loss)}),
        )

    def saved(self, iteration: int, weights: Path, state: Path) -> None:
        self._write("snapshot", iter=iteration, weights=str(weights), state=str(state))

    def best(self, iteration: int, metric: str, value: float) -> None:
        self._write("best", iter=iteration, metric=metric, value=_number(value))

    def removed(self, state: Path) -> None:
        self._write("removed", state=str(state))

    def warned(self, message: str) -> None:
        self._write("warning", message=message)

    def finished(self, iteration: int, loss: float | None) -> None:
        self._final_loss = loss

    def ended(self, iteration: int, reason: str, message: str = "") -> None:
        known: dict[str, Any] = {"message": message} if message else {}
        if self._final_loss is not None:
            known["loss"] = _number(self._final_loss)
        self._write("end", iter=iteration, reason=reason, **known)

    def close(self) -> None:
        self._file.close()

    def _write(self, event: str, **fields: Any) -> None:
        when = {
            "event": event,
            "time": round(time.time(), 3),
            "seconds": round(time.monotonic() - self._began, 6),
        }
        self._file.write(json.dumps({**when, **fields}, allow_nan=False))


def _number(value: float) -> float | str:
    if not isfinite(value):
        return str(float(value))
    single = np.float32(value)
    return float(str(single)) if np.isfinite(single) else value


def _numbers(weights: dict[str, float]) -> dict[str, float | str]:
    return {name: _number(weight) for name, weight in weights.items()}


def _values(outputs: Values) -> dict[str, Any]:
    """An output of one element is a number, any other a list."""
    return {
        name: _number(values[0]) if len(values) == 1 else [_number(value) for value in values]
        for name, values in outputs.items()
    }
