"""caffe.Timer: how long something takes on the CPU or the GPU. Source: Caffe's Timer."""

from __future__ import annotations

import time

import torch

from netspec.pycaffe import mode


class Timer:
    """A stopwatch: `start()`, `stop()`, and `ms`, what lies between in milliseconds."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._stop: float | None = None

    def start(self) -> None:
        """Begins."""
        self._start, self._stop = _now(), None

    def stop(self) -> None:
        """Ends."""
        if self._start is not None:
            self._stop = _now()

    @property
    def ms(self) -> float:
        """The milliseconds; a running timer is stopped. Raises: RuntimeError where none runs."""
        if self._start is None:
            raise RuntimeError("the timer was not started")
        if self._stop is None:
            self.stop()
        assert self._stop is not None
        return 1000 * (self._stop - self._start)


def _now() -> float:
    """The time, in seconds, when all that was asked of the device is done."""
    if mode.device().type == "cuda":
        torch.cuda.synchronize(mode.device())
    return time.perf_counter()
