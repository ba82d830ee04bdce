"""How fast a run trains."""

from __future__ import annotations

import time


class Throughput:
    """Images a second between two displays, the time of tests left out."""

    def __init__(self, images_per_iteration: int) -> None:
        self.images_per_iteration = images_per_iteration
        self._last: tuple[int, float] | None = None
        self._test_began: float | None = None
        self._test_seconds = 0.0

    def test_begins(self) -> None:
        self._test_began = time.monotonic()

    def test_ends(self) -> None:
        if self._test_began is not None:
            self._test_seconds += time.monotonic() - self._test_began
            self._test_began = None

    def since_last(self, iteration: int) -> float | None:
        """The images a second since the last call.

        Returns None at the first call, which has nothing to compare with.
        """
        now, last = time.monotonic(), self._last
        tests, self._test_seconds = self._test_seconds, 0.0
        self._last = (iteration, now)
        if last is None or iteration <= last[0]:
            return None
        return (iteration - last[0]) * self.images_per_iteration / max(now - last[1] - tests, 1e-9)
