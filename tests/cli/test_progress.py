"""What a run's live line says on a terminal."""

from __future__ import annotations

import io
import re
import time

import pytest

from netspec.cli import progress
from netspec.cli.progress import Progress
from netspec.listener import RunInfo


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run_info(**facts: object) -> RunInfo:
    return RunInfo(
        "Tiny",
        "solver.prototxt",
        "SGD",
        "fixed",
        "cpu",
        seed=1,
        start_iter=100,
        max_iter=200,
        batch_size=4,
        **facts,
    )


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Progress:
    """A run's progress on a terminal that is written at every event."""
    monkeypatch.setattr(progress, "LIVE_INTERVAL", 0.0)
    return Progress(io.StringIO(), Terminal())


def live_lines(heard: Progress) -> list[str]:
    assert isinstance(heard.live, Terminal)
    return [line for line in heard.live.getvalue().split("\r\x1b[K") if line]


def test_the_live_line_has_no_loss_before_one_is_displayed(heard: Progress) -> None:
    heard.started(run_info())
    heard.iterated(101)
    heard.iterated(102)
    heard.displayed(102, 0.5, {}, 0.1)
    heard.iterated(103)
    before, after = live_lines(heard)
    assert re.search(r" 102/200  \S+ images/s  \d+:\d\d left$", before)
    assert " 103/200  loss 0.5  " in after


def test_a_test_shows_the_time_that_is_left(
    heard: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = heard.last_live + 1
    monkeypatch.setattr(time, "monotonic", lambda: now)
    heard.started(run_info())
    heard.testing(100, 0, 0, 40)
    now += 10
    heard.testing(100, 0, 10, 40)
    first, second = live_lines(heard)
    assert first.endswith(" test 0: batch 0/40")
    assert second.endswith(" test 0: batch 10/40  0:30 left")


@pytest.mark.parametrize(
    ("batches", "printed"),
    [
        (1, "a test reads 1 batch of its 360 records"),
        (23, "a test reads 23 batches of its 360 records"),
        (
            1000,
            (
                "a test reads 1,000 batches of its 360 records, all of them 44.4 times; "
                "--test-iter 23 reads them once"
            ),
        ),
    ],
)
def test_a_test_that_reads_its_data_over_and_over_says_so(
    heard: Progress, batches: int, printed: str
) -> None:
    heard.started(run_info(test_iter=[batches], test_sizes=[360], test_batch_sizes=[16]))
    assert isinstance(heard.out, io.StringIO)
    assert heard.out.getvalue().splitlines()[1:] == [printed]
