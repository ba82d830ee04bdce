"""What signals ask of a run between two iterations: a snapshot, or its end."""

from __future__ import annotations

from collections import deque

from netspec.pytorch.processes import Processes

REQUESTS = ("", "snapshot", "stop")  # a later one outweighs


class Requests:
    """Takes requests at any time and passes them on when the run can act on them.

    They come in a signal's handler or in another thread.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        # only its atomic methods are used: none is lost while others are read
        self._asked: deque[tuple[int, int]] = deque()
        self.is_asked_to_stop = False  # this process has been

    def ask(self, request: str, signal_number: int = 0) -> None:
        """Asks for 'snapshot' or 'stop'."""
        self.is_asked_to_stop = self.is_asked_to_stop or request == "stop"
        self._asked.append((REQUESTS.index(request), signal_number))

    def agreed(self) -> tuple[str, int]:
        """The weightiest request to any of the processes since the last time, and its signal.

        All processes call it at once.
        """
        request = signal_number = 0
        while self._asked:
            request, signal_number = max((request, signal_number), self._asked.popleft())
        request, signal_number = self._processes.all_reduce_max(request, signal_number)
        return REQUESTS[request], signal_number
