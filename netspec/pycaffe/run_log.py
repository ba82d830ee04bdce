"""Caffe's log: the logger `caffe`, whose lines stand on stderr in glog's form.

Source: InitLogLevel and Log of pycaffe's _caffe.cpp, glog.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from netspec.listener import RunInfo
from netspec.logs.caffe_log import CaffeLines, glog_lines

LEVELS = (logging.INFO, logging.WARNING, logging.ERROR)
SEVERITIES = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR}


class _Stderr(logging.Handler):
    """Writes to what sys.stderr is at that time."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def _wanted_level() -> int:
    """What scripts set before they import caffe, to silence it."""
    text = os.environ.get("GLOG_minloglevel", "0")  # noqa: SIM112 - glog's name
    return LEVELS[min(int(text), 2)] if text.isdecimal() else logging.INFO


_logger = logging.getLogger("caffe")
if not _logger.handlers:
    _logger.addHandler(_Stderr())
    _logger.propagate = False
    _logger.setLevel(_wanted_level())


def init_log(level: int | None = None, stderr: bool = False) -> None:
    """Sets what is logged: 0 all, 1 warnings, 2 errors; without it what GLOG_minloglevel says.

    Args: stderr: nothing, for that is where the log goes.
    """
    _logger.setLevel(_wanted_level() if level is None else LEVELS[min(max(int(level), 0), 2)])


def log(message: str) -> None:
    """Logs a message."""
    write_lines("_caffe.cpp:64", [str(message)])


def write_lines(place: str, messages: Sequence[str]) -> None:
    """Logs messages as from a place in Caffe's code."""
    for message in messages:
        for line in glog_lines(place, message):
            write(line)


def write(line: str) -> None:
    """Logs a line that is in glog's form."""
    _logger.log(SEVERITIES[line[0]], "%s", line)


class RunLog(CaffeLines):
    """Logs a solver's run as Caffe's solvers do."""

    def __init__(self) -> None:
        super().__init__(write)

    def started(self, run: RunInfo) -> None:
        self.know(run)
        self._write("solver.cpp:272", f"Solving {run.net}")
        self._write("solver.cpp:273", f"Learning Rate Policy: {run.lr_policy}")

    def ended(self, iteration: int, reason: str, message: str = "") -> None:
        if reason == "done":
            self._write("solver.cpp:315", "Optimization Done.")
