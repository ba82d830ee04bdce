"""How far a command on a database has come."""

from __future__ import annotations

import sys
import time


class Progress:
    """A line on stderr.

    On a terminal it is written over itself five times a second, in a file one below the other every
    ten seconds.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        # what takes less says nothing
        self._next = time.monotonic() + (1 if sys.stderr.isatty() else 10)
        self._live = False

    def __enter__(self) -> Progress:
        return self

    def __call__(self, done: int, total: int | None) -> None:
        if time.monotonic() < self._next:
            return
        text = f"{done:,} {self._what}" if total is None else f"{done:,} of {total:,} {self._what}"
        self._live = sys.stderr.isatty()
        self._next = time.monotonic() + (0.2 if self._live else 10)
        sys.stderr.write(f"\r{text}\x1b[K" if self._live else f"{text}\n")
        sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
