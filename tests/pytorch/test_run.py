"""`netspec.train`: what `netspec train` has, as a call."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import netspec
from netspec import Listener, NetspecError, Overrides, RunOptions
from netspec.diagnostics import Diagnostic


class Heard(Listener):
    def __init__(self) -> None:
        self.events: list[str] = []

    def checked(self, warnings: Sequence[Diagnostic]) -> None:
        self.events += [f"warning {each.message}" for each in warnings]

    def noted(self, message: str) -> None:
        self.events.append(message)

    def restored(self, iteration: int, path: Path) -> None:
        self.events.append(f"restored {iteration}")

    def ended(self, iteration: int, reason: str, message: str = "") -> None:
        self.events.append(f"{reason} {iteration}{message and f': {message}'}")

    def close(self) -> None:
        self.events.append("closed")


class Interrupting(Listener):
    """Sends this process a signal when the fourth iteration has ended."""

    def iterated(self, iteration: int) -> None:
        if iteration == 4:
            signal.raise_signal(signal.SIGINT)


def train(options: RunOptions, *others: Listener) -> tuple[str, int, int, list[str]]:
    heard = Heard()
    result = netspec.train("solver.prototxt", options, [heard, *others])
    return result.reason, result.signal, result.solver.iter, heard.events


@pytest.fixture
def prefix(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(run_folder)
    return "own/run"


def test_a_run_is_resumed_and_its_log_goes_on(
    prefix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    begin = RunOptions(
        log="run.jsonl", keep_last=1, overrides=Overrides(max_iter=4, snapshot_prefix=prefix)
    )
    assert train(begin) == (
        "done",
        0,
        4,
        ["made the folder 'own' for the snapshots", "done 4", "closed"],
    )
    resumed = RunOptions(
        resume=True,
        log="run.jsonl",
        overrides=Overrides(max_iter=6, snapshot_prefix=prefix),
    )
    assert train(resumed) == ("done", 0, 6, ["restored 4", "done 6", "closed"])
    ends = [json.loads(line) for line in Path("run.jsonl").read_text().splitlines()]
    assert [line["iter"] for line in ends if line["event"] == "end"] == [4, 6]
    assert capfd.readouterr() == ("", ""), "what happens goes to the listeners alone"


def test_a_run_does_not_write_over_another(prefix: str) -> None:
    options = Overrides(max_iter=2, snapshot_prefix=prefix)
    train(RunOptions(log="run.jsonl", overrides=options))
    heard = Heard()
    with pytest.raises(NetspecError, match=r"the log 'run\.jsonl' already exists"):
        netspec.train("solver.prototxt", RunOptions(log="run.jsonl", overrides=options), [heard])
    assert heard.events == ["closed"]
    with pytest.raises(NetspecError, match="of another run already exist"):
        train(RunOptions(overrides=options))
    assert train(RunOptions(overwrite=True, log="run.jsonl", overrides=options))[0] == "done"


def test_a_signal_stops_the_run_after_its_iteration(
    prefix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options = RunOptions(overrides=Overrides(max_iter=100000, snapshot_prefix=prefix))
    reason, number, iteration, events = train(options, Interrupting())
    assert (reason, number, events[-2:]) == (
        "stopped",
        signal.SIGINT,
        [f"stopped {iteration}", "closed"],
    )
    assert 4 <= iteration < 100000
    assert Path(f"{prefix}_iter_{iteration}.solverstate").exists()
    assert "stopping after this iteration" in capfd.readouterr().err


def test_a_run_that_fails_ends_so_for_its_listeners(prefix: str) -> None:
    heard = Heard()
    options = RunOptions(overrides=Overrides(base_lr=1e30, snapshot_prefix=prefix))
    with pytest.raises(NetspecError, match="the loss is"):
        netspec.train("solver.prototxt", options, [heard])
    assert heard.events[-2].startswith("failed ")
    assert heard.events[-1] == "closed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snapshot": "a", "weights": ("b",)}, "give one of them"),
        ({"snapshot": "a", "resume": True}, "give one of them"),
        ({"resume": True, "overwrite": True}, "give one of them"),
        ({"log": "a", "caffe_log": Path("a")}, "name the same file"),
        ({"sigint_effect": "end"}, "'sigint_effect' is stop, snapshot or none, got 'end'"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict, message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        RunOptions(**options)


def test_a_run_starts_without_what_takes_as_long_to_import_as_torch():
    code = "import sys, netspec.pytorch.run; print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
