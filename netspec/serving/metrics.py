"""What a server counts, as Prometheus reads it.

Source: Prometheus's text format 0.0.4.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128)


class Histogram:
    """Counts of values up to each bound, with their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, what: str) -> Iterator[str]:
        """Its lines under a name."""
        yield f"# HELP {name} {what}"
        yield f"# TYPE {name} histogram"
        count = 0
        for bound, own in zip((*self.bounds, "+Inf"), self.counts, strict=True):
            count += own
            yield f'{name}_bucket{{le="{bound}"}} {count}'
        yield f"{name}_sum {self.total:.9g}"
        yield f"{name}_count {count}"


class Metrics:
    """What is counted of requests and batches; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds = Histogram(_SECONDS)
        self._batches = Histogram(_ITEMS)
        self._forward = Histogram(_SECONDS)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Counts a request that was answered. `path` is one of the server's own."""
        with self._lock:
            self._requests[path, status] += 1
            self._seconds.add(seconds)

    def batch(self, items: int, seconds: float) -> None:
        """Counts a batch that the net has computed."""
        with self._lock:
            self._batches.add(items)
            self._forward.add(seconds)

    def text(self, waiting: int) -> str:
        """All of it. Args: waiting: pictures that wait for the net."""
        with self._lock:
            lines = [
                "# HELP netspec_requests_total Requests answered.",
                "# TYPE netspec_requests_total counter",
                *(
                    f'netspec_requests_total{{path="{path}",status="{status}"}} {count}'
                    for (path, status), count in sorted(self._requests.items())
                ),
                *self._seconds.lines("netspec_request_seconds", "Time of a request."),
                *self._batches.lines("netspec_batch_items", "Items of a batch."),
                *self._forward.lines("netspec_forward_seconds", "Time of a batch in the net."),
                "# HELP netspec_waiting Pictures that wait for the net.",
                "# TYPE netspec_waiting gauge",
                f"netspec_waiting {waiting}",
            ]
        return "\n".join(lines) + "\n"
