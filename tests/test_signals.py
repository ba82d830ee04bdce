"""Signals while a command works.

Acknowledged at once, the second ends it, whatever the main thread is doing.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from netspec.signals import TwoStage

# A computation in C that takes minutes: Python's own handlers would wait for its end.
BUSY = """
import hashlib, sys
from netspec import signals
from netspec.cli import main
signals.ECHO, signals.PATIENCE = 0.2, 0.2
heard = signals.TwoStage(lambda number: "stop", lambda effect, number: None, lambda number: True)
with signals.handling_signals(heard):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_even_a_long_computation_is_acknowledged_at_once_and_ended_by_a_second_signal(
    number: int,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.send_signal(number)  # as timeout(1) does
    assert (
        process.stderr.readline()
        == "stopping after this iteration; a second signal stops at once\n"
    )
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (128 + number, "stopping now\n")


def test_only_what_asks_to_stop_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("netspec.signals.ECHO", 0)
    monkeypatch.setattr("netspec.signals.print_line", lines.append)
    effects = {signal.SIGHUP: "snapshot", signal.SIGINT: "none", signal.SIGTERM: "stop"}
    asked: list[tuple[str, int]] = []
    heed = TwoStage(
        effects.__getitem__,
        lambda effect, number: asked.append((effect, number)),
        lambda number: True,
    )
    ended = [
        heed(number)
        for number in (
            signal.SIGINT,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGHUP,
            signal.SIGTERM,
            signal.SIGHUP,
            signal.SIGTERM,
        )
    ]
    assert ended == [False, False, False, False, False, False, True]
    assert [effect for effect, _ in asked] == [
        "none",
        "none",
        "snapshot",
        "snapshot",
        "stop",
        "snapshot",
    ]
    snapshot = "taking a snapshot after this iteration"
    assert lines == [
        snapshot,
        snapshot,
        "stopping after this iteration; a second signal stops at once",
        snapshot,
        "stopping now",
    ]
