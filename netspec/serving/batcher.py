"""Pictures of many requests run through the net together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

Items = NDArray[np.float32]
# what the net says of each item of any number of them
Run = Callable[[Items], list[Any]]
OnBatch = Callable[[int, float], None]


class Full(Exception):
    """More pictures wait than may."""


class Batcher:
    """One thread that runs what waits: all of it, up to the batch's size.

    While the net computes, the next batch gathers, so that a busy server has full batches and a
    quiet one answers at once.

    Args:
        run: computes items; it is called in the thread alone.
        most: items of a batch.
        longest: pictures that may wait.
        wait: seconds that a batch which is not full waits for more.
        on_batch: called after each batch with its items and seconds.
    """

    def __init__(
        self, run: Run, most: int, longest: int, wait: float = 0.0, on_batch: OnBatch | None = None
    ) -> None:
        self._run, self._most, self._longest, self._wait = run, most, longest, wait
        self._on_batch = on_batch
        self._waiting: deque[tuple[Items, Future[list[Any]]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Pictures that wait."""
        return len(self._waiting)

    @property
    def works(self) -> bool:
        """Whether its thread is there."""
        return self._thread.is_alive() and not self._closed

    def submit(self, items: Items) -> Future[list[Any]]:
        """Queues the items of a picture; the future has what the net says of each.

        Raises: Full.
        """
        future: Future[list[Any]] = Future()
        with self._changed:
            if self._closed or len(self._waiting) >= self._longest:
                raise Full
            self._waiting.append((items, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Ends the thread after its batch; what waits is cancelled."""
        with self._changed:
            self._closed = True
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while taken := self._take():
            pictures = [(items, future) for items, future in taken if _starts(future)]
            if pictures:
                self._compute(pictures)

    def _take(self) -> list[tuple[Items, Future[list[Any]]]]:
        """The next batch, empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._wait and not self._closed:
                self._changed.wait_for(self._is_full, self._wait)
            taken: list[tuple[Items, Future[list[Any]]]] = []
            count = 0
            # a picture of more items than a batch comes alone
            while self._waiting and (not taken or count + len(self._waiting[0][0]) <= self._most):
                taken.append(self._waiting.popleft())
                count += len(taken[-1][0])
            return taken

    def _is_full(self) -> bool:
        return self._closed or sum(len(items) for items, _ in self._waiting) >= self._most

    def _compute(self, pictures: list[tuple[Items, Future[list[Any]]]]) -> None:
        began = time.perf_counter()
        try:
            batch = np.concatenate([items for items, _ in pictures])
            found = self._run(batch)
        except BaseException as error:
            for _, future in pictures:
                future.set_exception(error)
            return
        if self._on_batch:
            self._on_batch(len(batch), time.perf_counter() - began)
        first = 0
        for items, future in pictures:
            future.set_result(found[first : first + len(items)])
            first += len(items)


def _starts(future: Future[list[Any]]) -> bool:
    """False where nobody waits for it any more."""
    return future.set_running_or_notify_cancel()
