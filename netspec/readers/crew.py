"""Threads that share the work on the records of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Condition, Lock
from typing import Generic, TypeVar

import numpy as np

from netspec.cores import cores

T = TypeVar("T")
WORKER = "netspec-worker"  # what the threads' names begin with
_MOST = 8  # threads that are taken unasked: between numpy's calls only one of them runs
_END = object()


def default_workers(processes: int = 1) -> int:
    """The threads that one of some processes on this machine takes to read its data."""
    return max(1, min(cores() // processes, _MOST))


class Crew:
    """Some threads, the caller's own among them; the others start when there is work for them."""

    def __init__(self, threads: int) -> None:
        self._others = max(0, threads - 1)
        self._pool = (
            ThreadPoolExecutor(self._others, WORKER, _take_floats_as_they_come)
            if self._others
            else None
        )

    def each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        """Works on each item; returns when all are done.

        One thread at a time takes an item, in their order: an iterator may read a file in
        sequence, and need not be safe on several threads.

        Raises: the first fault in the items' order, as one thread alone would have met it.
        """
        if self._pool is None:
            for item in items:
                work(item)
            return
        shared = _Round(work, items)
        for _ in range(self._others):
            with suppress(RuntimeError):  # no more threads: the interpreter ends, or it is a limit
                self._pool.submit(shared.run)
        shared.run()
        shared.finish()

    def close(self) -> None:
        """Ends the threads. More than once does no harm."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


ALONE = Crew(1)


def _take_floats_as_they_come() -> None:
    """Infinity and NaN as in Caffe: numpy warns of them by each thread's own setting."""
    np.seterr(over="ignore", invalid="ignore")


class _Round(Generic[T]):
    """Work that several threads share."""

    def __init__(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        self._work, self._items = work, iter(items)
        self._lock, self._taken = Lock(), 0
        self._faults: list[tuple[int, BaseException]] = []
        self._inside, self._is_over = 0, False
        self._left = Condition(self._lock)

    def run(self) -> None:
        """A thread's part: item after item, until none is left or one was at fault."""
        with self._lock:
            if self._is_over:  # it comes too late
                return
            self._inside += 1
        try:
            self._take_part()
        finally:
            with self._lock:
                self._inside -= 1
                self._left.notify()

    def _take_part(self) -> None:
        while True:
            with self._lock:
                if self._faults:
                    return
                place, self._taken = self._taken, self._taken + 1
                try:
                    item = next(self._items, _END)
                except BaseException as error:
                    self._faults.append((place, error))
                    return
            if item is _END:
                return
            try:
                self._work(item)  # type: ignore[arg-type]
            except BaseException as error:
                with self._lock:
                    self._faults.append((place, error))
                return

    def finish(self) -> None:
        """Waits for those that take part. Raises: the first fault; all items before it are done."""
        with self._lock:
            self._is_over = True
            self._left.wait_for(lambda: not self._inside)
        if self._faults:
            _, fault = min(self._faults, key=lambda each: each[0])
            self._faults.clear()
            raise fault
