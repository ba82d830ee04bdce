"""Tries many files in a process of their own.

A hang or a crash costs that process, and the next case has another.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tests.conftest import ROOT

SECONDS = 10.0  # of one core, so that a busy machine is no fault
WAIT_SECONDS = 120.0  # by the clock, for a case that waits for something


class Case(NamedTuple):
    """A file, and what to do with it: names of worker.ACTIONS."""

    name: str
    file: str
    content: bytes
    actions: str
    cwd: str = ""


@dataclass
class Outcomes:
    """What became of the cases.

    `faults` holds those that ended neither in success nor in a message.
    """

    fine: int = 0
    reported: int = 0
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def add(self, case: Case, answer: str, seconds: float) -> None:
        self.slowest = max(self.slowest, (seconds, case.name))
        if answer == "fine":
            self.fine += 1
        elif answer == "reported":
            self.reported += 1
        else:
            self.faults.append(
                f"{case.name}:\n{case.content[:1500].decode(errors='replace')}\n{answer}"
            )


class Worker:
    """The process that tries cases."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        self._end()

    def _started(self) -> subprocess.Popen[str]:
        if self.process is None:
            command = [sys.executable, "-m", "tests.walk.worker"]
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            self._ask(Case("start", "net.prototxt", b"", "check"))
        return self.process

    def _end(self) -> str:
        if self.process is None:
            return ""
        self.process.kill()
        _, errors = self.process.communicate()
        status, self.process = self.process.returncode, None
        return f"exit status {status}\n{errors[-3000:]}"

    def outcome(self, case: Case) -> str:
        self._started()
        return self._ask(case)

    def _ask(self, case: Case) -> str:
        process = self.process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        message = {
            "file": case.file,
            "content": base64.b64encode(case.content).decode(),
            "actions": case.actions,
        }
        if case.cwd:
            message["cwd"] = case.cwd
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return f"the process has ended: {self._end()}"
        started, used = time.monotonic(), _used_seconds(process.pid)
        while not select.select([process.stdout], [], [], 0.5)[0]:
            if (
                _used_seconds(process.pid) - used > SECONDS
                or time.monotonic() - started > WAIT_SECONDS
            ):
                self._end()
                return f"no answer in {SECONDS:g} s"
        line = process.stdout.readline()
        return json.loads(line) if line else f"the process has ended: {self._end()}"


def _used_seconds(process: int) -> float:
    """What the process has used of the processors."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def outcomes_of(cases: Iterable[Case]) -> Outcomes:
    outcomes = Outcomes()
    with Worker() as worker:
        for case in cases:
            started = time.monotonic()
            answer = worker.outcome(case)
            outcomes.add(case, answer, time.monotonic() - started)
    return outcomes
