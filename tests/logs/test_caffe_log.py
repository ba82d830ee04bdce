"""What --caffe-log writes, read as Caffe's own tools read it.

Their patterns and columns stand here as facts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from math import inf, nan
from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError
from netspec.logs.caffe_log import CaffeLog
from netspec.logs.read_log import read_log
from tests.logs.reported_run import INFO, report_resumed, report_run

# parse_log.py searches each line for these
ITERATION = re.compile(r"Iteration (\d+)")
TRAIN_OUTPUT = re.compile(r"Train net output #(\d+): (\S+) = ([\.\deE+-]+)")
TEST_OUTPUT = re.compile(r"Test net output #(\d+): (\S+) = ([\.\deE+-]+)")
LEARNING_RATE = re.compile(r"lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?)")
LINE = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \w+\.cpp:\d+\] .*")


def written(path: Path, report_to=report_run) -> list[str]:
    """The log's lines below its head."""
    report_to(CaffeLog(path))
    lines = path.read_text().splitlines()
    assert re.fullmatch(r"Log file created at: \d{4}/\d\d/\d\d \d\d:\d\d:\d\d", lines[0])
    assert lines[1].startswith("Running on machine: ")
    assert lines[2] == "Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg"
    assert all(LINE.fullmatch(line) for line in lines[3:])
    return lines[3:]


def message(line: str) -> str:
    return line.split("] ", 1)[1]


def test_the_messages_of_a_run(tmp_path: Path) -> None:
    messages = [message(line) for line in written(tmp_path / "log")]
    messages = [re.sub(r"\(\S+ iter/s, \S+s/", "(V iter/s, Ts/", text) for text in messages]
    test_0 = [
        "    Test net output #0: accuracy = {}",
        "    Test net output #1: loss = 0.75 (* 1 = 0.75 loss)",
    ]
    test_1 = [
        "Test loss: 3.5",
        *(
            f"    Test net output #{i}: per_class = {value}"
            for i, value in enumerate(("0.5", "0.25", "1"))
        ),
    ]
    assert messages == [
        "Use CPU.",
        "Starting Optimization",
        "Solving LeNet",
        "Learning Rate Policy: step",
        "Iteration 0, Testing net (#0)",
        test_0[0].format("0.1"),
        test_0[1],
        "Iteration 0, Testing net (#1)",
        *test_1,
        "Iteration 0 (V iter/s, Ts/20 iters), loss = 2.30259",
        "    Train net output #0: aux = 0.5 (* 0.25 = 0.125 loss)",
        "    Train net output #1: loss = 2.17759 (* 1 = 2.17759 loss)",
        "Iteration 0, lr = 0.01",
        "Iteration 20 (V iter/s, Ts/20 iters), loss = 0.123457",
        "    Train net output #0: aux = 0.5 (* 0.25 = 0.125 loss)",
        "    Train net output #1: loss = -0.00154321 (* 1 = -0.00154321 loss)",
        "Iteration 20, lr = 0.001",
        "Snapshotting to binary proto file lenet_iter_40.caffemodel",
        "Snapshotting solver state to binary proto file lenet_iter_40.solverstate",
        "Best accuracy up to now: 0.9875",
        "Removed lenet_iter_20.solverstate",
        "the disk is nearly full",
        "Iteration 40, loss = 0.0625",
        "Iteration 40, Testing net (#0)",
        test_0[0].format("0.9875"),
        test_0[1],
        "Iteration 40, Testing net (#1)",
        *test_1,
        "Optimization Done.",
        "Optimization Done.",
    ]


def test_parse_log_py_finds_its_rows(tmp_path: Path) -> None:
    """Its way through the file.

    Every line from the first iteration on must have a time, outputs belong to the iteration above.
    """
    rows: dict[str, list[tuple[int, str, float]]] = {"train": [], "test": []}
    rates, iteration = [], -1
    for line in written(tmp_path / "log"):
        if found := ITERATION.search(line):
            iteration = int(found[1])
        if iteration == -1:
            continue
        day, clock = line.split()[:2]
        datetime(
            2024, int(day[1:3]), int(day[3:]), *(int(part) for part in re.split(r"[:.]", clock))
        )
        if found := LEARNING_RATE.search(line):
            rates.append(float(found[1]))
        for phase, pattern in (("train", TRAIN_OUTPUT), ("test", TEST_OUTPUT)):
            if found := pattern.search(line):
                rows[phase].append((iteration, found[2], float(found[3])))
    assert rates == [0.01, 0.001]
    assert rows["train"] == [
        (0, "aux", 0.5),
        (0, "loss", 2.17759),
        (20, "aux", 0.5),
        (20, "loss", -0.00154321),
    ]
    assert [row for row in rows["test"] if row[1] == "accuracy"] == [
        (0, "accuracy", 0.1),
        (40, "accuracy", 0.9875),
    ]


def test_the_shell_tools_find_their_columns(tmp_path: Path) -> None:
    """parse_log.sh greps lines and takes their words by number.

    extract_seconds.py begins at the line with 'Solving'.
    """
    lines = written(tmp_path / "log")
    assert len([line for line in lines if "] Solving " in line]) == 1
    assert next(line for line in lines if "Solving" in line).split()[4:] == ["Solving", "LeNet"]
    assert [line.split()[10] for line in lines if "Test net output #0: accuracy" in line] == [
        "0.1",
        "0.9875",
    ]
    assert [line.split()[8] for line in lines if ", lr = " in line] == ["0.01", "0.001"]
    assert [line.split("= ")[1] for line in lines if ", loss = " in line] == [
        "2.30259",
        "0.123457",
        "0.0625",
    ]


def test_reading_gives_the_same_numbers(tmp_path: Path) -> None:
    report_run(CaffeLog(tmp_path / "log"))
    run = read_log(tmp_path / "log")
    assert [(row.iter, row.loss, row.rate) for row in run.train] == [
        (0, 2.30259, 0.01),
        (20, 0.123457, 0.001),
        (40, 0.0625, None),
    ]
    assert run.train[0].outputs == {"aux": [0.5], "loss": [2.17759]}
    assert [(row.iter, row.loss, row.outputs["accuracy"]) for row in run.tests[0]] == [
        (0, 0.75, [0.1]),
        (40, 0.75, [0.9875]),
    ]
    assert [(row.iter, row.loss, row.outputs) for row in run.tests[1]] == [
        (i, 3.5, {"per_class": [0.5, 0.25, 1.0]}) for i in (0, 40)
    ]
    assert run.loss_outputs == {"aux", "loss"}


def test_a_resumed_run_follows_without_a_head(tmp_path: Path) -> None:
    path = tmp_path / "log"
    report_resumed(CaffeLog(path), 0, {0: 5.0, 10: 4.0, 20: 3.0})
    report_resumed(CaffeLog(path, append=True), 10, {10: 2.0, 20: 1.0})
    lines = path.read_text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines[3:])
    assert "Restoring previous solver status from lenet_iter_10.solverstate" in [
        message(line) for line in lines[3:]
    ]
    assert message(lines[-2]) == "Optimization stopped early."
    assert [(row.iter, row.loss) for row in read_log(path).train] == [(0, 5), (10, 2), (20, 1)]


def test_appending_to_what_is_not_there_begins_with_the_head(tmp_path: Path) -> None:
    CaffeLog(tmp_path / "log", append=True).close()
    assert (tmp_path / "log").read_text().startswith("Log file created at: ")


def test_hdf5_snapshots_debug_info_and_faults(tmp_path: Path) -> None:
    def report_few(log: CaffeLog) -> None:
        log.debugged(
            [
                "    [Forward] Layer data, top blob data data: 0.33",
                "    [Backward] All net params (data, diff): L1 norm = (1, 2)",
            ]
        )
        log.saved(5, Path("a.caffemodel.h5"), Path("a.solverstate.h5"))
        log.displayed(5, nan, {"loss": [inf]}, 1e-05)
        log.ended(5, "failed", "a.prototxt:1:1: error: no\n  hint: none")
        log.close()

    lines = written(tmp_path / "log", report_few)
    assert [message(line) for line in lines[:4]] == [
        "    [Forward] Layer data, top blob data data: 0.33",
        "    [Backward] All net params (data, diff): L1 norm = (1, 2)",
        "Snapshotting to HDF5 file a.caffemodel.h5",
        "Snapshotting solver state to HDF5 file a.solverstate.h5",
    ]
    assert message(lines[4]).endswith(", loss = nan")
    assert [message(line) for line in lines[5:7]] == [
        "    Train net output #0: loss = inf",
        "Iteration 5, lr = 1e-05",
    ]
    assert [(line[0], message(line)) for line in lines[7:]] == [
        ("E", "a.prototxt:1:1: error: no"),
        ("E", "  hint: none"),
    ]


def test_a_net_whose_name_has_lines(tmp_path: Path) -> None:
    def report_start(log: CaffeLog) -> None:
        log.started(replace(INFO, net="a\nb \udcff"))
        log.close()

    assert [message(line) for line in written(tmp_path / "log", report_start)][2:4] == [
        "Solving a",
        "b \\udcff",
    ]


def test_a_file_that_cant_be_written(tmp_path: Path) -> None:
    with pytest.raises(NetspecError, match="does not exist"):
        CaffeLog(tmp_path / "none" / "log")
