"""Logs as Caffe and its forks wrote them, of all ages and conditions."""

from __future__ import annotations

import os
from datetime import datetime
from math import isnan
from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError
from netspec.logs.read_log import read_log
from netspec.logs.run import Run
from netspec.logs.table import csv_of_test

LOG = """\
Log file created at: 2016/12/31 23:59:50
Running on machine: caffe
Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg
I1231 23:59:50.000000  4049 caffe.cpp:218] Using GPUs 0
I1231 23:59:51.250000  4049 solver.cpp:272] Solving LeNet
I1231 23:59:51.250010  4049 solver.cpp:273] Learning Rate Policy: inv
I1231 23:59:52.000000  4049 solver.cpp:330] Iteration 0, Testing net (#0)
I1231 23:59:54.000000  4054 data_layer.cpp:73] Restarting data prefetching from start.
I1231 23:59:54.250000  4049 solver.cpp:397]     Test net output #0: accuracy = 0.1045
I1231 23:59:54.250001  4049 solver.cpp:397]     Test net output #1: loss = 2.36391 (* 1 = 2.36391 loss)
I1231 23:59:55.250000  4049 solver.cpp:218] Iteration 0 (-4.41298e+18 iter/s, 3.779s/100 iters), loss = 2.33238
I1231 23:59:55.250001  4049 solver.cpp:237]     Train net output #0: loss = 2.33238 (* 1 = 2.33238 loss)
I1231 23:59:55.250002  4049 sgd_solver.cpp:105] Iteration 0, lr = 0.01
I0101 00:00:01.750000  4049 solver.cpp:218] Iteration 100 (14.7601 iter/s, 6.775s/100 iters), loss = 0.191773
I0101 00:00:01.750001  4049 solver.cpp:237]     Train net output #0: loss = 0.191753 (* 1 = 0.191753 loss)
I0101 00:00:01.750002  4049 sgd_solver.cpp:105] Iteration 100, lr = 9.92565e-05
I0101 00:00:02.000000  4049 solver.cpp:447] Snapshotting to binary proto file lenet_iter_200.caffemodel
I0101 00:00:03.000000  4049 sgd_solver.cpp:273] Snapshotting solver state to binary proto file lenet_iter_200.solverstate
I0101 00:00:04.000000  4049 solver.cpp:310] Iteration 200, loss = 0.0035
I0101 00:00:04.000001  4049 solver.cpp:330] Iteration 200, Testing net (#0)
I0101 00:00:06.000000  4049 solver.cpp:397]     Test net output #0: accuracy = 0.9912
I0101 00:00:06.000001  4049 solver.cpp:397]     Test net output #1: loss = 0.0277 (* 1 = 0.0277 loss)
I0101 00:00:06.000002  4049 solver.cpp:315] Optimization Done.
I0101 00:00:06.000003  4049 caffe.cpp:259] Optimization Done.
"""  # noqa: E501


def read(folder: Path, text: str, encoding: str = "utf-8") -> Run:
    (folder / "caffe.log").write_text(text, encoding=encoding)
    return read_log(folder / "caffe.log")


def rows(run: Run) -> tuple[list, list]:
    train = [
        (row.iter, round(row.seconds, 5), row.loss, row.rate, row.outputs) for row in run.train
    ]
    tests = [
        [(row.iter, round(row.seconds, 5), row.loss, row.outputs) for row in rows]
        for rows in run.tests
    ]
    return train, tests


EXPECTED = (
    [
        (0, 4.0, 2.33238, 0.01, {"loss": [2.33238]}),
        (100, 10.5, 0.191773, 9.92565e-05, {"loss": [0.191753]}),
        (200, 12.75, 0.0035, None, {}),
    ],
    [
        [
            (0, 3.0, 2.36391, {"accuracy": [0.1045], "loss": [2.36391]}),
            (200, 14.75, 0.0277, {"accuracy": [0.9912], "loss": [0.0277]}),
        ]
    ],
)


def test_caffe_1_over_new_year(tmp_path: Path) -> None:
    run = read(tmp_path, LOG)
    assert rows(run) == EXPECTED
    assert run.loss_outputs == {"loss"}
    assert not run.knows_epochs


def test_without_a_head_the_year_is_that_of_the_file(tmp_path: Path) -> None:
    """2016 has a 29th of February between these lines, 2015 has none."""
    line = "I{} 00:00:00.000000 1 solver.cpp:218] Iteration {}, loss = 1\n"
    (tmp_path / "log").write_text(line.format("0228", 0) + line.format("0301", 1))
    for year, days in ((2016, 2), (2015, 1)):
        changed = datetime(year, 3, 1, 12).timestamp()
        os.utime(tmp_path / "log", (changed, changed))
        assert read_log(tmp_path / "log").train[1].seconds == days * 86400
    (tmp_path / "log").write_text(line.format("0229", 0) + line.format("0301", 1))
    os.utime(tmp_path / "log", (changed, changed))
    assert [row.iter for row in read_log(tmp_path / "log").train] == [0, 1]


def test_what_tee_kept_of_the_terminal(tmp_path: Path) -> None:
    lines = LOG.splitlines()[3:]
    noisy = [
        "+ caffe train --solver=a.prototxt",
        "WARNING: Logging before InitGoogleLogging() is written to STDERR",
        'name: "LeNet"',
        "",
    ]
    for line in lines:
        noisy += [
            f"worker-1 | {line}",
            "Iteration 7 of my own layer, loss = 3",
            "\x1b[0m~~~ 99% |███  |",
        ]
    assert rows(read(tmp_path, "\n".join(noisy) + "\n")) == EXPECTED
    assert rows(read(tmp_path, LOG.replace("\n", "\r\n"))) == EXPECTED


def test_two_lines_in_one(tmp_path: Path) -> None:
    glued = LOG.replace(
        "Restarting data prefetching from start.\n", "Restarting data prefetching from start."
    )
    glued = glued.replace("loss = 2.33238\n", "loss = 2.33238 ", 1)
    assert rows(read(tmp_path, glued)) == EXPECTED


def test_powershell_writes_utf_16(tmp_path: Path) -> None:
    assert rows(read(tmp_path, LOG, "utf-16")) == EXPECTED


def test_a_glog_that_writes_the_year(tmp_path: Path) -> None:
    text = LOG.replace("\nI1231", "\nI20161231").replace("\nI0101", "\nI20170101")
    assert rows(read(tmp_path, text.split("\n", 3)[3])) == EXPECTED


def test_glog_0_6_and_its_threads(tmp_path: Path) -> None:
    """One space before a long id, hexadecimal on macOS.

    The year in the head of each line rules over the file's.
    """
    text = (
        LOG.replace("[IWEF]mmdd", "[IWEF]yyyymmdd")
        .replace("\nI1231", "\nI20231231")
        .replace("\nI0101", "\nI20240101")
        .replace("2016/", "2023/")
    )
    for thread in ("139872461346688", "0x1f2d3ac0"):
        train, tests = rows(read(tmp_path, text.replace("  4049 ", f" {thread} ")))
        assert (train, tests) == EXPECTED


def test_a_rate_belongs_to_its_own_iteration(tmp_path: Path) -> None:
    """Caffe prints it behind the loss, its first versions before.

    A table read line by line has it one display late.
    """
    loss, rate = (
        "I0101 00:00:00.0 1 solver.cpp:218] Iteration {}, loss = 1\n",
        "I0101 00:00:00.5 1 solver.cpp:105] Iteration {}, lr = {}\n",
    )
    logged = [(0, 0.1), (20, 0.01), (40, 0.001)]
    for order in ((loss, rate), (rate, loss)):
        run = read(tmp_path, "".join(line.format(*pair) for pair in logged for line in order))
        assert [(row.iter, row.rate) for row in run.train] == logged
    test = (
        "I0101 00:00:00.0 1 solver.cpp:330] Iteration 20, Testing net (#0)\n"
        "I0101 00:00:00.1 1 solver.cpp:397]     Test net output #0: a = 1\n"
    )
    run = read(
        tmp_path, test + "".join(line.format(*pair) for pair in logged for line in (loss, rate))
    )
    assert csv_of_test(run, 0).splitlines()[1].split(",")[2] == "0.01"


def test_of_several_runs_the_last_one_is_read(tmp_path: Path) -> None:
    """One that begins at 0 goes on from none.

    Neither its rows nor its seconds have to do with those before.
    """
    other = (
        LOG.replace("I1231", "I0301")
        .replace("I0101", "I0302")
        .replace("2016/12/31", "2017/03/01")
        .replace("Iteration 200,", "Iteration 300,")
    )
    run = read(tmp_path, other + LOG + LOG)
    assert rows(run) == EXPECTED
    assert run.earlier_runs == 2
    assert read(tmp_path, LOG).earlier_runs == 0


def test_a_cut_last_line_is_passed_over(tmp_path: Path) -> None:
    at = LOG.index("0.191773")
    train, _ = rows(read(tmp_path, LOG[: at + 3]))
    assert train == EXPECTED[0][:1]


def test_the_first_wordings(tmp_path: Path) -> None:
    """Caffe of 2014: outputs had no names, and no time stood in the line."""
    text = """\
I0917 15:36:20.000000  2254 solver.cpp:232] Iteration 30000, Testing net (#0)
I0917 15:36:23.184696  2254 solver.cpp:270] Test score #0: 0.25
I0917 15:36:23.184826  2254 solver.cpp:270] Test score #1: 15.3443
I0917 15:36:24.644654  2254 solver.cpp:195] Iteration 30000, loss = 0.00245684
I0917 15:36:24.644719  2254 solver.cpp:365] Iteration 30000, lr = 0.01
I0917 15:36:59.604066  2254 solver.cpp:195] Iteration 30020, loss = 0.00182616
I0917 15:36:59.604195  2254 solver.cpp:365] Iteration 30020, lr = 0.01
"""
    run = read(tmp_path, text)
    assert [(row.iter, row.loss, row.rate) for row in run.train] == [
        (30000, 0.00245684, 0.01),
        (30020, 0.00182616, 0.01),
    ]
    assert run.tests[0][0].outputs == {"score0": [0.25], "score1": [15.3443]}
    assert [row.seconds for row in run.tests[0]] == [0]


def test_forks(tmp_path: Path) -> None:
    """NVIDIA's prints epochs and momentum, another the time that is left, Intel's the rank."""
    text = """\
I0413 14:35:44.000000 22206 solver.cpp:352] Iteration 8120 (0.267884 iter/s, 149.318s/40 iter), 1.3/56.9ep, loss = 0.5
I0413 14:35:44.100000 22206 solver.cpp:380]     Train net output #0: loss_bbox = 2e-05 (* 2 = 4e-05 loss)
I0413 14:35:44.200000 22206 sgd_solver.cpp:172] Iteration 8120, lr = 0.00995, m = 0.9, lrm = 0.0995, wd = 0.0005
I0413 14:38:13.000000 22206 solver.cpp:242] [0] Iteration 8160 (0.26 iter/s, 149.2s/40 iter), loss = 0.25, remaining 3 hours and 2 minutes
I0413 14:38:14.000000 22206 caffe.cpp:345 ] Optimization Done.
"""  # noqa: E501
    run = read(tmp_path, text)
    assert [(row.iter, row.seconds, row.loss, row.rate) for row in run.train] == [
        (8120, 0, 0.5, 0.00995),
        (8160, 149, 0.25, None),
    ]
    assert run.train[0].outputs == {"loss_bbox": [2e-05]}


def test_several_test_nets_and_outputs_of_several_elements(tmp_path: Path) -> None:
    text = """\
I0413 14:35:40.0 1 solver.cpp:330] Iteration 10, Testing net (#0)
I0413 14:35:41.0 1 solver.cpp:383] Test loss: 7
I0413 14:35:41.0 1 solver.cpp:397]     Test net output #0: loss = 2 (* 1 = 2 loss)
I0413 14:35:41.0 1 solver.cpp:330] Iteration 10, Testing net (#1)
I0413 14:35:42.0 1 solver.cpp:397]     Test net output #0: accuracy = 0.5
I0413 14:35:42.0 1 solver.cpp:397]     Test net output #1: per_class = 0.25
I0413 14:35:42.0 1 solver.cpp:397]     Test net output #2: per_class = 0.75
I0413 14:35:42.0 1 solver.cpp:397]     Test net output #3: loss1/loss = 2 (* 0.3 = 0.6 loss)
I0413 14:35:42.0 1 solver.cpp:397]     Test net output #4: loss2/loss = 3 (* 0.5 = 1.5 loss)
"""
    run = read(tmp_path, text)
    assert run.tests[0][0].loss == 7  # as printed; else the sum of what the outputs add to it
    assert run.tests[1][0].loss == pytest.approx(2.1)
    assert run.tests[1][0].outputs == {
        "accuracy": [0.5],
        "per_class": [0.25, 0.75],
        "loss1/loss": [2],
        "loss2/loss": [3],
    }


def test_numbers_that_are_none(tmp_path: Path) -> None:
    line = "I0413 14:35:4{0}.0 1 solver.cpp:218] Iteration {0} (1 iter/s, 1s/1 iters), loss = {1}\n"
    words = ["nan", "-nan", "1.#QNAN", "inf", "what", "2"]
    run = read(tmp_path, "".join(line.format(i, word) for i, word in enumerate(words)))
    assert [row.iter for row in run.train] == [0, 1, 2, 3, 5]
    assert [isnan(row.loss) for row in run.train] == [True, True, True, False, False]


def test_a_resumed_run_appended(tmp_path: Path) -> None:
    """The pause does not count, and what was logged of the iterations that come again is void."""
    first = LOG.split("I0101 00:00:04")[0]
    second = """\
I0105 12:00:00.000000  9 solver.cpp:272] Solving LeNet
I0105 12:00:00.000000  9 solver.cpp:278] Restoring previous solver status from lenet_iter_50.solverstate
I0105 12:00:01.000000  9 solver.cpp:218] Iteration 50 (1 iter/s, 1s/1 iters), loss = 1.5
I0105 12:00:09.000000  9 solver.cpp:218] Iteration 100 (1 iter/s, 1s/1 iters), loss = 1.25
"""  # noqa: E501
    train, tests = rows(read(tmp_path, first + second))
    assert [row[:3] for row in train] == [(0, 4, 2.33238), (50, 11.5, 1.5), (100, 19.5, 1.25)]
    assert [row[0] for row in tests[0]] == [0]


def test_seconds_rise_when_the_clock_is_set_back(tmp_path: Path) -> None:
    line = "I1030 0{}.0 1 solver.cpp:218] Iteration {}, loss = 1\n"
    run = read(
        tmp_path,
        line.format("2:59:00", 0) + line.format("2:00:00", 10) + line.format("2:01:00", 20),
    )
    assert [row.seconds for row in run.train] == [0, 0, 60]


NO_LOGS = [
    b"",
    b"\0" * 5000,
    b"a,b\n1,2\n",
    b"{}\n",
    b"[1, 2]\n",
    b'{"event": 3}\n',
    b"{" * 100_000,
]
NO_LOGS += [b"Iteration 1, loss = 2\n", b"\xff\xfe\xd8", b"\x89PNG\r\n"]


@pytest.mark.parametrize("content", NO_LOGS, ids=range(len(NO_LOGS)))
def test_what_is_no_log(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(NetspecError, match="is not a training log") as error:
        read_log(tmp_path / "x")
    assert "hint: `netspec train --log FILE` or `--caffe-log FILE` writes one" in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        '{"event": "start", "iter": 0}\n',
        '{"event": "train", "iter": "x", "loss": 1, "lr": 1, "outputs": {}}\n',
        '{"event": "train", "iter": 1e999, "loss": 1, "lr": 1, "outputs": {}}\n',
        '{"event": "train", "iter": 1, "loss": [], "lr": 1, "outputs": {}}\n',
        '{"event": "train", "iter": 1, "loss": 1, "lr": 1, "outputs": 5}\n',
        '{"event": "test", "iter": 1, "net": 1e9, "outputs": {}}\n',
        '{"event": "test", "iter": 1, "net": -1, "outputs": {}}\n',
        '{"event": "start", "iter": 0, "test_loss_weights": 3, "dataset_size": "x"}\n',
        '{"event": "bake"}\n',
        '{"event": "train", "iter": -1, "loss": 1, "lr": 1, "outputs": {}}\n',
        '{"event": "train", "iter": 1%s, "loss": 1, "lr": 1, "outputs": {}}\n' % ("0" * 400),
        '{"event": "train", "iter": 1, "seconds": 1e400, "loss": 1, "lr": 1, "outputs": {}}\n',
        "I1231 23:59:50.0  4049 caffe.cpp:218] Using GPUs 0\n",
        "I1231 23:59:50.0  1 solver.cpp:1] Iteration 99999999999999999999999999999, loss = x\n",
        "I1231 23:59:50.0  1 solver.cpp:1]     Test net output #0: accuracy = 0.1045\n",
    ],
)
def test_a_log_that_says_nothing(tmp_path: Path, content: str) -> None:
    with pytest.raises(NetspecError, match="has no iteration and no test"):
        read(tmp_path, content)


def test_wrong_lines_among_right_ones_are_passed_over(tmp_path: Path) -> None:
    good = '{"event": "train", "iter": 3, "loss": 1, "lr": "nan", "outputs": {"a": 1}}\n'
    run = read(
        tmp_path, 'nonsense\n{"event": "train"}\n{"event": \n' + good + good.replace("3", "4")[:-20]
    )
    assert [(row.iter, row.loss, row.seconds) for row in run.train] == [(3, 1.0, None)]


@pytest.mark.parametrize("name", ["none", ".", "a\0b"])
def test_what_cant_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetspecError, match=r"can't be read|does not exist"):
        read_log(name)
