"""`netspec log parse` and `plot`, as a user calls them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netspec.cli import main
from netspec.logs.caffe_log import CaffeLog
from netspec.logs.json_lines import JsonLog
from tests.conftest import ROOT
from tests.logs.reported_run import report_run


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    report_run(JsonLog("runs/a.jsonl"))
    report_run(CaffeLog("runs/b.log"))


def log(capsys: pytest.CaptureFixture, *arguments: str, status: int = 0) -> str:
    """Runs a command, and returns what goes to stderr; nothing goes to stdout."""
    assert main(["log", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    return err


def columns(path: str, delimiter: str = ",") -> list[list[str]]:
    """A table without its times."""
    cells = [line.split(delimiter) for line in Path(path).read_text().splitlines()]
    assert cells[0][:3] == ["NumIters", "Seconds", "LearningRate"]
    assert all(float(row[1]) >= 0 for row in cells[1:])
    return [row[:1] + row[2:] for row in cells]


def test_parse_writes_the_tables_here(capsys: pytest.CaptureFixture) -> None:
    assert (
        log(capsys, "parse", "runs/a.jsonl")
        == "a.jsonl.train: 2 rows\na.jsonl.test: 2 rows\na.jsonl.test1: 2 rows\n"
    )
    assert columns("a.jsonl.train") == [
        ["NumIters", "LearningRate", "aux", "loss"],
        ["0", "0.01", "0.5", "2.1775851"],
        ["20", "0.001", "0.5", "-0.00154321"],
    ]
    assert columns("a.jsonl.test") == [
        ["NumIters", "LearningRate", "accuracy", "loss"],
        ["0", "0.01", "0.1", "0.75"],
        ["40", "0.001", "0.9875", "0.75"],
    ]
    assert columns("a.jsonl.test1")[:2] == [
        ["NumIters", "LearningRate", "per_class[0]", "per_class[1]", "per_class[2]"],
        ["0", "0.01", "0.5", "0.25", "1.0"],
    ]


def test_parse_into_a_folder_with_a_delimiter(capsys: pytest.CaptureFixture) -> None:
    log(capsys, "parse", "runs/b.log", "runs", "--delimiter", "\\t")
    assert columns("runs/b.log.train", "\t")[1] == ["0", "0.01", "0.5", "2.17759"]
    assert sorted(path.name for path in Path("runs").iterdir()) == [
        "a.jsonl",
        "b.log",
        "b.log.test",
        "b.log.test1",
        "b.log.train",
    ]


def test_a_log_without_outputs_and_without_tests(capsys: pytest.CaptureFixture) -> None:
    Path("old.log").write_text(
        "I0917 15:36:24.644654  2254 solver.cpp:195] Iteration 30000, loss = nan\n"
    )
    assert log(capsys, "parse", "old.log") == "old.log.train: 1 row\n"
    assert (
        Path("old.log.train").read_text() == "NumIters,Seconds,LearningRate,loss\n30000,0.0,,nan\n"
    )
    assert not Path("old.log.test").exists()


def test_of_several_runs_the_tables_are_of_the_last(capsys: pytest.CaptureFixture) -> None:
    for name in ("a.jsonl", "b.log"):
        Path("runs", f"two_{name}").write_text(Path("runs", name).read_text() * 2)
        printed = log(capsys, "parse", f"runs/two_{name}")
        assert printed.startswith(
            f"runs/two_{name}: 2 runs from iteration 0 on; the tables are of the last\n"
        )
        log(capsys, "parse", f"runs/{name}")
        assert columns(f"two_{name}.train") == columns(f"{name}.train")


def test_names_with_the_delimiter_in_them_are_quoted(capsys: pytest.CaptureFixture) -> None:
    Path("x.log").write_text('{"event": "test", "iter": 1, "net": 0, "outputs": {"a,b": 1}}\n')
    log(capsys, "parse", "x.log")
    assert Path("x.log.test").read_text() == 'NumIters,Seconds,LearningRate,"a,b"\n1,,,1.0\n'


def test_an_output_without_elements(capsys: pytest.CaptureFixture) -> None:
    Path("x.log").write_text('{"event": "test", "iter": 1, "net": 0, "outputs": {"a": []}}\n')
    log(capsys, "parse", "x.log")
    assert Path("x.log.test").read_text() == "NumIters,Seconds,LearningRate\n1,,\n"


def test_plot(capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("matplotlib")
    for out, options in (
        ("a.png", []),
        ("b.svg", ["--what", "loss, acc", "--x", "seconds"]),
        ("c.pdf", ["--what=lr"]),
    ):
        assert log(capsys, "plot", "runs/a.jsonl", "-o", out, *options) == ""
        assert Path(out).stat().st_size > 5000
    assert log(capsys, "plot", "runs/a.jsonl", "-o", "d.png", "--x", "epochs") == ""


def test_a_run_in_two_forms_is_drawn_once(capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("matplotlib")
    told = "'runs/b.log' is a log in Caffe's format of the same run as 'runs/a.jsonl'"
    for logs in (["runs/a.jsonl", "runs/b.log"], ["runs/b.log", "runs/a.jsonl"]):
        # epochs stand in the JSON lines alone
        error = log(capsys, "plot", *logs, "-o", "a.svg", "--x", "epochs")
        assert error == f"{told}; it is drawn once, from 'runs/a.jsonl'\n"
        assert "b.log" not in Path("a.svg").read_text()


def test_runs_that_differ_are_both_drawn(capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("matplotlib")
    text = Path("runs/b.log").read_text()
    changes = [("2.30259", "2.30263"), ("Iteration 20,", "Iteration 21,")]
    for number, (old, new) in enumerate(changes):
        assert old in text
        Path("runs/c.log").write_text(text.replace(old, new))
        out = f"{number}.svg"
        assert log(capsys, "plot", "runs/a.jsonl", "runs/c.log", "-o", out) == ""
        assert "c.log" in Path(out).read_text()
    Path("runs/copy.jsonl").write_text(Path("runs/a.jsonl").read_text())
    assert log(capsys, "plot", "runs/a.jsonl", "runs/copy.jsonl", "-o", "d.svg") == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["parse", "none.log"], "file 'none.log' does not exist"),
        (["parse", "runs"], "'runs' can't be read: Is a directory"),
        (["parse", "runs/a.jsonl", "none"], "does not exist"),
        (
            ["plot", "runs/a.jsonl", "-o", "a.gif"],
            "no picture format is known by the suffix '.gif'",
        ),
        (
            ["plot", "runs/b.log", "-o", "a.png", "--x", "epochs"],
            "'runs/b.log' does not hold the number of records of an epoch",
        ),
        (["plot", "runs/a.jsonl", "-o", "none/a.png"], "does not exist"),
        (
            ["plot", "runs/a.jsonl", "-o", "a.png", "--what", "los,acuracy"],
            "has no 'acuracy'\n  hint: did you mean 'accuracy'?",
        ),
    ],
)
def test_faults(capsys: pytest.CaptureFixture, arguments: list[str], words: str) -> None:
    assert words in log(capsys, *arguments, status=1)
    assert [path.name for path in Path().iterdir()] == ["runs"]


@pytest.mark.parametrize(
    "arguments", ["parse", "plot a", "parse a --delimiter ab", "plot a -o b --x y"]
)
def test_usage(arguments: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["log", *arguments.split()])
    assert stopped.value.code == 2


def test_parse_needs_nothing_heavy() -> None:
    code = "import sys; from netspec.cli import main; main(['log', 'parse', 'runs/a.jsonl']); "
    code += (
        "print([name for name in ('torch', 'numpy', 'matplotlib', 'tensorboardX', 'yaml') "
        "if name in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )


def test_caffes_own_script_makes_the_tables(tmp_path: Path) -> None:
    report_run(CaffeLog(tmp_path / "run.log"))
    command = [
        sys.executable,
        "tools/parse_log.py",
        str(tmp_path / "run.log"),
        str(tmp_path),
        "--verbose",
        "--delimiter",
        ";",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (
        (tmp_path / "run.log.train")
        .read_text()
        .startswith("NumIters;Seconds;LearningRate;aux;loss\n0;")
    )
    assert (tmp_path / "run.log.test").read_text() in done.stdout


def test_caffes_own_script_takes_any_name_and_a_reader_that_goes(tmp_path: Path) -> None:
    report_run(CaffeLog(tmp_path / "run[1].log"))
    line = (
        f'set -o pipefail; "{sys.executable}" tools/parse_log.py "{tmp_path}/run[1].log" '
        f'"{tmp_path}" --verbose'
    )
    done = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (tmp_path / "run[1].log.test").read_text() in done.stdout
    done = subprocess.run(
        ["bash", "-c", f"{line} | true"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
