"""What --log writes, line by line, and that nothing that befalls the file ends the run."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from math import inf, isnan, nan
from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError
from netspec.logs.json_lines import JsonLog
from netspec.logs.read_log import read_log
from tests.logs.reported_run import INFO, LOSSES, RATES, report_resumed, report_run

needs_full_disk = pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="there is no /dev/full here"
)


def events(path: Path) -> list[dict]:
    return [
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
        for line in path.read_text().splitlines()
    ]


def test_each_event_is_a_line(tmp_path: Path) -> None:
    report_run(JsonLog(tmp_path / "log"))
    lines = events(tmp_path / "log")
    assert [line["event"] for line in lines] == (
        [
            "start",
            "test",
            "test",
            "train",
            "train",
            "snapshot",
            "best",
            "removed",
            "warning",
            "test",
            "test",
            "end",
        ]
    )
    assert all(line["time"] > 1.6e9 and line["seconds"] >= 0 for line in lines)
    start = {
        "net": "LeNet",
        "solver": "lenet_solver.prototxt",
        "type": "SGD",
        "lr_policy": "step",
        "device": "cpu",
        "seed": 7,
        "iter": 0,
    }
    start |= {
        "max_iter": 40,
        "batch_size": 64,
        "processes": 1,
        "iter_size": 2,
        "effective_batch": 64,
        "images_per_iteration": 128,
    }
    start |= {
        "dataset_size": 1280,
        "param_count": 431080,
        "loss_weights": {"loss": 1.0, "aux": 0.25},
        "test_iter": [10, 5],
        "test_dataset_sizes": [1000, None],
    }
    assert lines[0].items() >= start.items()
    assert (
        lines[2].items()
        >= {"iter": 0, "net": 1, "outputs": {"per_class": [0.5, 0.25, 1.0]}, "loss": 3.5}.items()
    )
    assert "images_per_second" not in lines[3]
    assert (
        lines[4].items()
        >= {
            "iter": 20,
            "loss": 0.12345679,
            "lr": 0.001,
            "outputs": {"aux": 0.5, "loss": -0.00154321},
        }.items()
    )
    assert lines[4]["epoch"] == 2
    assert lines[4]["images_per_second"] > 0
    assert (
        lines[5].items()
        >= {
            "iter": 40,
            "weights": "lenet_iter_40.caffemodel",
            "state": "lenet_iter_40.solverstate",
        }.items()
    )
    assert lines[6].items() >= {"iter": 40, "metric": "accuracy", "value": 0.9875}.items()
    assert lines[7]["state"] == "lenet_iter_20.solverstate"
    assert lines[8]["message"] == "the disk is nearly full"
    assert lines[-1].items() >= {"iter": 40, "reason": "done", "loss": 0.0625}.items()


def test_reading_gives_the_same_numbers(tmp_path: Path) -> None:
    report_run(JsonLog(tmp_path / "log"))
    run = read_log(tmp_path / "log")
    assert [(row.iter, row.loss, row.rate) for row in run.train] == [
        *((i, LOSSES[i], RATES[i]) for i in LOSSES),
        (40, 0.0625, None),
    ]
    assert run.train[0].outputs == {"aux": [0.5], "loss": [2.3025851 - 0.125]}
    assert [(row.iter, row.loss, row.outputs) for row in run.tests[0]] == [
        (0, 0.75, {"accuracy": [0.1], "loss": [0.75]}),
        (40, 0.75, {"accuracy": [0.9875], "loss": [0.75]}),
    ]
    assert [(row.iter, row.loss, row.outputs["per_class"]) for row in run.tests[1]] == [
        (0, 3.5, [0.5, 0.25, 1.0]),
        (40, 3.5, [0.5, 0.25, 1.0]),
    ]
    assert run.loss_outputs == {"loss", "aux"}
    assert [row.epoch for row in run.train] == [row.iter / 10 for row in run.train]
    seconds = [row.seconds for row in run.train]
    assert seconds == sorted(seconds)


def test_a_line_is_in_the_file_at_once(tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "log")
    log.started(INFO)
    assert events(tmp_path / "log")[-1]["event"] == "start"
    log.displayed(0, 1.0, {}, 0.1)
    assert events(tmp_path / "log")[-1]["event"] == "train"
    log.close()


def test_numbers_that_json_has_no_word_for(tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "log")
    log.displayed(0, nan, {"a": [inf], "b": [-inf, 1.0], "c": []}, inf)
    log.ended(0, "failed", "the loss is nan")
    log.close()
    line = events(tmp_path / "log")[0]
    assert (line["loss"], line["lr"], line["outputs"]) == (
        "nan",
        "inf",
        {"a": "inf", "b": ["-inf", 1.0], "c": []},
    )
    row = read_log(tmp_path / "log").train[0]
    assert isnan(row.loss)
    assert (row.rate, row.outputs) == (inf, {"a": [inf], "b": [-inf, 1.0], "c": []})
    assert events(tmp_path / "log")[1]["message"] == "the loss is nan"


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "log")
    log.saved(1, Path("\udcff.caffemodel"), Path("ü.solverstate"))
    log.close()
    assert events(tmp_path / "log")[0]["state"] == "ü.solverstate"


def test_a_resumed_run_goes_on_in_its_file_and_the_later_wins(tmp_path: Path) -> None:
    path = tmp_path / "log"
    report_resumed(JsonLog(path), 0, {0: 5.0, 10: 4.0, 20: 3.0, 30: 2.0})
    report_resumed(JsonLog(path, append=True), 20, {25: 2.5, 35: 1.5})
    assert [line["event"] for line in events(path)].count("start") == 2
    run = read_log(path)
    assert [(row.iter, row.loss) for row in run.train] == [(0, 5), (10, 4), (25, 2.5), (35, 1.5)]
    seconds = [row.seconds for row in run.train]
    assert seconds == sorted(seconds)


def test_tests_from_before_the_run_was_resumed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for start, reported in ((0, (0, 20, 40)), (20, (30,))):
        log = JsonLog(path, append=start > 0)
        report_resumed(log, start, {start: 1.0})
        log = JsonLog(path, append=True)
        for iteration in reported:
            log.tested(iteration, 0, {"accuracy": [iteration / 100]}, None)
        log.close()
    assert [row.iter for row in read_log(path).tests[0]] == [0, 20, 30]


def test_a_new_run_begins_the_file_anew(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("old\n")
    report_resumed(JsonLog(tmp_path / "log", append=False), 0, {0: 1.0})
    assert events(tmp_path / "log")[0]["event"] == "start"


def test_appending_to_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log"
    report_resumed(JsonLog(path), 0, {0: 5.0, 10: 4.0})
    path.write_bytes(path.read_bytes()[:-9])
    report_resumed(JsonLog(path, append=True), 10, {10: 3.0})
    assert [(row.iter, row.loss) for row in read_log(path).train] == [(0, 5), (10, 3)]


@pytest.mark.parametrize(
    ("name", "words"),
    [("none/log", "does not exist"), (".", "Is a directory"), ("a\0b", "null")],
)
def test_a_file_that_cant_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetspecError, match=words) as error:
        JsonLog(name, append=False)
    assert f"the log '{name[:1]}" in str(error.value)


@needs_full_disk
def test_a_full_disk_is_reported_once_and_the_run_goes_on(capsys: pytest.CaptureFixture) -> None:
    report_run(JsonLog("/dev/full"))
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        (
            "warning: the log '/dev/full' can't be written: No space left on device; "
            "the training goes on\n"
        ),
    )


def test_a_disk_that_reports_only_when_the_file_is_closed(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    log = JsonLog(tmp_path / "log")

    class Quota:
        def close(self) -> None:
            raise OSError(122, "Disk quota exceeded")

    log._file._file.close()
    log._file._file = Quota()
    log.close()
    assert capsys.readouterr().err == (
        f"warning: the log '{tmp_path / 'log'}' can't be written: Disk quota exceeded; "
        "the training goes on\n"
    )


def test_a_disk_that_has_room_again(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The line that was torn stays so; those after it are whole."""
    log = JsonLog(tmp_path / "log")
    real = log._file._file

    class Full:
        def write(self, content: bytes) -> int:
            if not real.tell():
                return real.write(bytes(content[:20]))
            raise OSError(28, "No space left on device")

    log._file._file = Full()
    log.displayed(0, 1.0, {}, 0.1)
    log._file._file = real
    log.displayed(20, 0.5, {}, 0.1)
    log.displayed(40, 0.25, {}, 0.1)
    log.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines[0]) == 20
    assert [json.loads(line)["iter"] for line in lines[1:]] == [20, 40]
    assert [row.iter for row in read_log(tmp_path / "log").train] == [20, 40]
    assert capsys.readouterr().err.count("warning") == 1


def test_a_run_that_goes_on_with_another_batch_counts_epochs_by_its_records(tmp_path: Path) -> None:
    for append, start, batch, read in ((False, 0, 20, 0), (True, 10, 10, 200)):
        log = JsonLog(tmp_path / "log", append=append)
        log.started(
            replace(
                INFO,
                start_iter=start,
                batch_size=batch,
                iter_size=1,
                start_records=read,
                epoch_size=100,
            )
        )
        for iteration in range(start, start + 10, 5):
            log.displayed(iteration, 1.0, {"loss": [1.0]}, 0.1)
        log.close()
    lines = [line["epoch"] for line in events(tmp_path / "log") if line["event"] == "train"]
    assert lines == [0.0, 1.0, 2.0, 2.5]
    assert [row.epoch for row in read_log(tmp_path / "log").train] == lines


def test_a_pipe_is_written_to_where_somebody_reads_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(NetspecError, match="log' can't be written: No such device or address"):
        JsonLog(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    log = JsonLog(tmp_path / "log")
    assert os.get_blocking(log._file._file.fileno())
    report_run(log)
    assert json.loads(os.read(reader, 1 << 20).splitlines()[0])["event"] == "start"
    os.close(reader)
    log.close()
