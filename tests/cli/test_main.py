"""The command line as a whole: help, words that don't exist, and output that can't be written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from netspec import __version__
from netspec.cli import COMMANDS, main
from netspec.cli.examples import EXAMPLES
from netspec.cli.parser import command_parser, parsers_below
from tests.conftest import ROOT

DEPLOY = "models/bvlc_alexnet/deploy.prototxt"
ALL = [
    path
    for name, summary in COMMANDS.items()
    for path, _ in parsers_below(command_parser(name, summary), name)
]


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of bash in which $netspec is the command."""
    environment = {**os.environ, "netspec": f"{sys.executable} -m netspec", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def help_of(*argv: str, capsys: pytest.CaptureFixture) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*argv])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_and_version(capsys: pytest.CaptureFixture) -> None:
    for argv in (["help"], ["--help"], ["-h"], ["help", "help"]):
        assert main(argv) == 0
        text = capsys.readouterr().out
        assert all(f"  {name} " in text for name in COMMANDS)
    assert main([]) == 2
    assert capsys.readouterr() == ("", text)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"netspec {__version__}\n"
    assert help_of("help", "train", capsys=capsys) == help_of("train", "--help", capsys=capsys)
    assert help_of("help", "dataset", "build", capsys=capsys) == help_of(
        "dataset", "build", "--help", capsys=capsys
    )


def test_a_group_without_a_command_shows_its_help(capsys: pytest.CaptureFixture) -> None:
    text = help_of("dataset", "--help", capsys=capsys)
    assert main(["dataset"]) == 2
    assert capsys.readouterr() == ("", text)


@pytest.mark.parametrize("path", ALL)
def test_help_ends_with_examples_that_are_commands(
    path: str, capsys: pytest.CaptureFixture
) -> None:
    lines = EXAMPLES[path]
    assert 1 <= len(lines) <= 3
    assert help_of(*path.split(), "--help", capsys=capsys).endswith(
        "examples:\n" + "".join(f"  {line}\n" for line in lines)
    )
    for line in lines:
        _, name, *arguments = shlex.split(re.search(r"netspec [^)>#]*", line)[0])
        command_parser(name, "").parse_args(arguments)
        assert f"{name} {' '.join(arguments)}".startswith(path)
        named = [word for word in arguments if word.startswith("models/") and "_iter_" not in word]
        assert all(list(ROOT.glob(word)) for word in named)


def test_help_keeps_what_a_command_says_of_itself(capsys: pytest.CaptureFixture) -> None:
    text = help_of("check", "--help", capsys=capsys)
    assert "see below" in re.sub(r"\s+", " ", text)
    assert text.index(
        "Without --phase, a net is checked for the phases that its file means to have:"
    ) < text.index("examples:\n")


def test_every_example_is_of_a_command() -> None:
    assert sorted(EXAMPLES) == sorted(ALL)


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("tain solver.prototxt", "netspec: there is no command 'tain'; did you mean 'train'?"),
        ("hepl", "netspec: there is no command 'hepl'; did you mean 'help'?"),
        ("help tset", "netspec: there is no command 'tset'; did you mean 'test'?"),
        (
            "convert_imageset",
            (
                "netspec: there is no command 'convert_imageset'; "
                "`netspec dataset build` does what it did"
            ),
        ),
        ("--verison", "netspec: there is no option '--verison'; did you mean '--version'?"),
        (
            "dataset biuld list out",
            "netspec dataset: there is no command 'biuld'; did you mean 'build'?",
        ),
        (
            "help dataset biuld",
            "netspec dataset: there is no command 'biuld'; did you mean 'build'?",
        ),
        ("log xyz", "netspec log: there is no command 'xyz'; expected parse or plot"),
        (
            "solver net/solver.prototxt",
            "netspec solver: there is no command 'net/solver.prototxt'; expected schedule",
        ),
        (
            "dataset build list out --resise-width=3",
            (
                "netspec dataset build: there is no option '--resise-width'; "
                "did you mean '--resize-width'?"
            ),
        ),
        (
            "draw net.prototxt --rankdr LR",
            "netspec draw: there is no option '--rankdr'; did you mean '--rankdir'?",
        ),
        (
            "train --max-itr 5 solver.prototxt",
            "netspec train: there is no option '--max-itr'; did you mean '--max-iter'?",
        ),
        (
            "train -slover solver.prototxt",
            "netspec train: there is no option '-slover'; did you mean '-solver'?",
        ),
        (
            "test net.prototxt --phase TRAIN",
            "netspec test: there is no option '--phase'; see netspec test --help",
        ),
        (
            "shapes net.prototxt --qqq",
            "netspec shapes: there is no option '--qqq'; see netspec shapes --help",
        ),
    ],
)
def test_a_mistyped_word(line: str, printed: str, capsys: pytest.CaptureFixture) -> None:
    assert main(line.split()) == 2
    assert capsys.readouterr() == ("", printed + "\n")


def test_an_argument_too_many(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dataset", "info", "a", "b"])
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("usage: netspec dataset info ")
    assert printed.endswith("netspec dataset info: error: unexpected argument 'b'\n")


def test_subcommands_take_both_spellings_of_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(
        ["solver", "schedule", "models/mnist_alexnet/solver.prototxt", "--max_iter", "7"]
    ) in (0, 1)
    assert "7 iterations" in capsys.readouterr().out


@pytest.mark.parametrize("line", [f"shapes {DEPLOY}", "train --help", "layers", "help"])
def test_a_reader_that_goes_is_no_traceback(line: str) -> None:
    done = shell(f"set -o pipefail; $netspec {line} | true")
    assert done.stderr == ""
    assert done.returncode in (0, 1)


def test_a_reader_that_takes_one_line() -> None:
    assert shell(f"$netspec shapes {DEPLOY} | head -1").stdout == "AlexNet, phase TEST\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str, tmp_path: Path) -> None:
    out = tmp_path / "net.dot"
    done = shell(
        f"$netspec shapes {DEPLOY} {closed} && $netspec draw {DEPLOY} {out} {closed}; "
        f"$netspec shapes none.prototxt {closed}; echo $?"
    )
    assert done.stdout.splitlines()[-1] == "1"
    assert out.read_text(encoding="utf-8").startswith("digraph")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_under_stdout_is_reported() -> None:
    done = shell(f"$netspec shapes {DEPLOY} > /dev/full")
    assert (done.returncode, done.stderr) == (
        1,
        "error: the standard output can't be written: No space left on device\n",
    )
