"""Caffe's log → rows.

The log is what glog writes to a file, or what `tee` kept of the terminal with other lines in
between.

Source: the messages of solver.cpp and sgd_solver.cpp, from the first Caffe to 1.0, and of NVIDIA's
    and Intel's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from math import nan

from netspec.logs.run import Row, Run

# I1122 05:18:54.123456  1234 solver.cpp:218] message; glog 0.6 writes the year before the month, on
# macOS a thread's id is hexadecimal
HEAD = re.compile(
    r"[IWEF](\d{4})?(0[1-9]|1[0-2])([0-3]\d) (\d\d):(\d\d):(\d\d)(\.\d+) "
    r"+(?:0x)?[\da-f]+ [^\s\]]+:\d+ ?\] ?"
)
_CREATED = re.compile(r"Log file created at: (\d{4})/")
_TESTING = re.compile(r"Iteration (\d+), Testing net \(#(\d{1,3})\)")
_LOSS = re.compile(r"Iteration (\d+)\b.*?, loss = ([^\s,]+)")
_RATE = re.compile(r"Iteration (\d+), lr = ([^\s,]+)")
_OUTPUT = re.compile(
    r"(Train|Test) net output #\d+: (.+?) ?= ?(\S+)(?: \(\* (\S+) = (\S+) loss\))?"
)
# of 2014, when outputs were logged without their names
_SCORE = re.compile(r"Test score #(\d+): (\S+)")
_TEST_LOSS = re.compile(r"Test loss: (\S+)")
_DAY = 86400.0
# near: seconds since the year 1 would lose their microseconds
_EPOCH = date(2020, 1, 1).toordinal()


def read_caffe_log(lines: Iterable[str], name: str, changed: float) -> Run:
    """Reads a Caffe log.

    Args: changed: when the file was written last, in seconds since 1970; glog's lines don't
        have the year.
    """
    reader = _Reader(Run(name), datetime.fromtimestamp(changed))
    for line in lines:
        if not line.endswith("\n"):
            break  # cut off, perhaps within a number
        heads = list(HEAD.finditer(line))  # two threads may have written into one line
        ends = [head.start() for head in heads[1:]] + [len(line)]
        for head, end in zip(heads, ends, strict=False):
            try:
                reader.take(head, line[head.end() : end].strip())
            except ValueError:
                continue  # a number that is none
        if not heads and (created := _CREATED.search(line)):
            reader.clock.year = int(created[1])
    return reader.run


class _Reader:
    """Follows the run through its messages.

    A row is begun by one and filled by those that come next.
    """

    def __init__(self, run: Run, changed: datetime) -> None:
        self.run = run
        self.clock = _Clock(changed)
        self.train_row: Row | None = None
        self.test: tuple[int, int] | None = None  # iteration and net of the test that goes on
        self.test_row: Row | None = None
        self.has_test_loss = False  # whether the log has it; else it is summed up
        self.is_resumed = False
        # an iteration's that was logged before its loss, as by the first Caffe
        self.rate: tuple[int, float] | None = None

    def take(self, head: re.Match[str], text: str) -> None:
        if text.startswith("Solving"):
            self.clock.begin(head)
            self.is_resumed = True
        elif "Iteration " in text:
            self.iteration(head, text)
        elif found := _OUTPUT.search(text):
            self.output(head, found)
        elif found := _TEST_LOSS.search(text):
            self.test_output(head).loss = _number(found[1])
            self.has_test_loss = True
        elif found := _SCORE.search(text):
            self.test_output(head).outputs[f"score{found[1]}"] = [_number(found[2])]

    def iteration(self, head: re.Match[str], text: str) -> None:
        if found := _TESTING.search(text):
            self.resume(int(found[1]))
            self.test, self.test_row, self.has_test_loss = (
                (int(found[1]), int(found[2])),
                None,
                False,
            )
        elif found := _LOSS.search(text):
            self.resume(int(found[1]))
            self.train_row = Row(int(found[1]), self.clock.seconds(head), _number(found[2]))
            if self.rate is not None and self.rate[0] == self.train_row.iter:
                self.train_row.rate = self.rate[1]
            self.run.add_train(self.train_row)
        elif found := _RATE.search(text):
            self.rate = (int(found[1]), _number(found[2]))
            if self.train_row is not None and self.train_row.iter == self.rate[0]:
                self.train_row.rate = self.rate[1]

    def resume(self, iteration: int) -> None:
        """What comes now belongs to another part of the run, or to another run.

        One that begins at 0 goes on from none.
        """
        if not self.is_resumed:
            return
        self.is_resumed, self.rate = False, None
        if iteration == 0:
            self.clock.restart()
            self.run.begin()
        else:
            self.run.go_on_from(iteration)

    def output(self, head: re.Match[str], found: re.Match[str]) -> None:
        phase, name, value, weight, share = found.groups()
        row = self.test_output(head) if phase == "Test" else self.train_row
        if row is None:
            return  # the log begins within an iteration
        row.outputs.setdefault(name, []).append(_number(value))
        if weight is not None:
            self.run.loss_outputs.add(name)
            if phase == "Test" and not self.has_test_loss:
                row.loss = (row.loss or 0.0) + _number(share)

    def test_output(self, head: re.Match[str]) -> Row:
        """The row of the test that goes on."""
        if self.test is None:
            raise ValueError("the log begins within a test")
        if self.test_row is None:
            self.test_row = Row(self.test[0], self.clock.seconds(head))
            self.run.add_test(self.test[1], self.test_row)
        return self.test_row


class _Clock:
    """Seconds since the run began, of lines with month, day and time."""

    def __init__(self, changed: datetime) -> None:
        self.changed = changed
        self.year: int | None = None
        self.start: float | None = None
        self.last: float | None = None
        self.begun: float | None = None

    def begin(self, head: re.Match[str]) -> None:
        """The run begins, or it is resumed: then the pause before does not count."""
        elapsed = 0.0 if self.start is None or self.last is None else self.last - self.start
        self.begun = self.at(head)
        self.start = self.begun - elapsed

    def restart(self) -> None:
        """The run that has begun last is a new one."""
        self.start = self.begun

    def seconds(self, head: re.Match[str]) -> float:
        now = self.at(head)
        if self.start is None:
            self.start = now  # solver.step() of pycaffe does not log that it begins
        return now - self.start

    def at(self, head: re.Match[str]) -> float:
        """The time of a line on a scale that only rises."""
        year, month, day, hour, minute, second, fraction = head.groups()
        if year:
            self.year = int(year)
        elif self.year is None:
            # the end of the log is known; it begins in the same year or in the one before
            self.year = self.changed.year - (
                (int(month), int(day)) > (self.changed.month, self.changed.day)
            )
        within_day = int(hour) * 3600 + int(minute) * 60 + int(second) + float(fraction)
        now = self.day(int(month), int(day)) + within_day
        if self.last is not None and now < self.last - 180 * _DAY and not year:
            self.year += 1
            now = self.day(int(month), int(day)) + within_day
        if self.last is not None and self.start is not None and now < self.last:
            self.start -= self.last - now  # threads in disorder, or a clock that was set back
        self.last = now
        return now

    def day(self, month: int, day: int) -> float:
        assert self.year is not None
        return (date(self.year, month, 1).toordinal() - _EPOCH + day - 1) * _DAY


def _number(text: str) -> float:
    return nan if "#" in text else float(text)  # Windows writes 1.#QNAN
