"""SIGINT, SIGTERM and SIGHUP while a command works.

They are acknowledged at once, and acted on in two stages, first gently, then at once. Torch-free.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from select import select

SIGNAL_EFFECTS = ("stop", "snapshot", "none")
STOP = (signal.SIGINT, signal.SIGTERM)
HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()  # Windows has none
# seconds in which a second signal is still the first: timeout(1) sends each to its child and to the
# group
ECHO = 0.5
PATIENCE = 5.0  # seconds that the main thread has to end by itself after it was interrupted

STOPPING = "stopping after this iteration; a second signal stops at once"
STOPPING_NOW = "stopping now"
SNAPSHOT = "taking a snapshot after this iteration"


class Interrupted(KeyboardInterrupt):
    """A signal has ended the command in the midst of its work."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def interrupted_status(error: KeyboardInterrupt) -> int:
    """The exit status: 130 after SIGINT, 143 after SIGTERM."""
    return 128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT)


class TwoStage:
    """What becomes of each signal: it is passed on with its effect.

    After one whose effect is to stop, a later one ends all.

    Args:
        effect_of: a signal's effect: 'stop', 'snapshot' or 'none'.
        ask: called for every signal, with its effect.
        end_now: ends the work; returns whether the main thread is to be interrupted for it. None:
            it ends only by itself.
        acknowledged: the signals that a line on stderr acknowledges.
    """

    def __init__(
        self,
        effect_of: Callable[[int], str],
        ask: Callable[[str, int], None],
        end_now: Callable[[int], bool] | None,
        acknowledged: Sequence[int] = (*STOP, *HANGUP),
    ) -> None:
        self.effect_of, self.ask, self.end_now, self.acknowledged = (
            effect_of,
            ask,
            end_now,
            acknowledged,
        )
        self.stop_asked_at: float | None = None

    def __call__(self, number: int) -> bool:
        effect = self.effect_of(number)
        if effect == "stop" and self.stop_asked_at is not None:
            if self.end_now is None or time.monotonic() - self.stop_asked_at < ECHO:
                return False
            print_line(STOPPING_NOW)
            return self.end_now(number)
        if effect == "stop":
            self.stop_asked_at = time.monotonic()
        self.ask(effect, number)
        if effect != "none" and number in self.acknowledged:
            line = STOPPING if effect == "stop" else SNAPSHOT
            print_line(line if self.end_now else line.partition(",")[0])
        return False


def end_at_once(number: int) -> bool:
    """The first signal interrupts what the main thread does."""
    print_line("interrupted")
    return True


def print_line(line: str) -> None:
    """Writes a line to stderr, over the live line if there is one.

    It bypasses Python's buffers, which the main thread may hold.
    """
    with suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stderr.fileno()
        os.write(
            descriptor,
            ("\r\x1b[K" if os.isatty(descriptor) else "").encode() + f"{line}\n".encode(),
        )


@contextmanager
def handling_signals(
    handle: Callable[[int], bool], numbers: Sequence[int] = (*STOP, *HANGUP)
) -> Iterator[None]:
    """Within it `handle` is called for each signal at once, in a thread of its own.

    The main thread may be inside a long computation.

    Where it says so, the main thread is interrupted. Raises: Interrupted then; a computation that
    does not come to an end is ended with its process.
    """
    # Python gives signals to the main thread only
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    listening = _Listening(reader, handle, threading.get_ident())
    handlers = [signal.signal(number, listening.on_signal) for number in numbers]
    descriptor = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=listening.run, name="netspec-signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
        os.close(writer)
        thread.join()
        os.close(reader)


class _Listening:
    """The thread that reads what Python's own handler writes for each signal.

    It comes with the handler in the main thread.
    """

    def __init__(self, reader: int, handle: Callable[[int], bool], main_thread: int) -> None:
        self.reader, self.handle, self.main_thread = reader, handle, main_thread
        self.interrupting = 0  # the signal by which the main thread is to be interrupted

    def on_signal(self, number: int, frame: object) -> None:
        if self.interrupting:
            # once: what follows must not disturb the cleaning up
            number, self.interrupting = self.interrupting, 0
            raise Interrupted(number)

    def run(self) -> None:
        while True:
            for number in os.read(self.reader, 4096) or [0]:
                if number == 0:  # the end of the context
                    return
                if self.handle(number):
                    self._interrupt(number)
                    return

    def _interrupt(self, number: int) -> None:
        """Makes the main thread's handler raise.

        A third signal, or a computation without an end, ends the process.
        """
        self.interrupting = number
        signal.pthread_kill(self.main_thread, number)
        begin = time.monotonic()
        while (left := begin + PATIENCE - time.monotonic()) > 0:
            ready, _, _ = select([self.reader], [], [], left)
            if ready and not os.read(self.reader, 4096):
                return
            if ready and time.monotonic() - begin > ECHO:
                break
        os._exit(128 + number)
