"""The readmes' commands are commands, their files are there or made by the commands before them."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from netspec.cli import COMMANDS
from netspec.cli.parser import command_parser, spelled, unknown_word
from netspec.data.sample_digits import sample_sets
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
MODEL_READMES = sorted(ROOT.glob("models/*/readme.md"))
OURS = ("models/", "tools/", "tests/", "examples/", "data/")  # what a path in a readme begins with, unless the reader brings the file


def commands(text: str) -> list[str]:
    """The command lines of a readme: what is indented and begins with a program's name."""
    return [match[1].split("#")[0].strip() for match in re.finditer(r"^    ((?:netspec|python|make|torchrun) .*)$", text, re.MULTILINE)]


ALL = [
    pytest.param(line, id=f"{path.relative_to(ROOT)}: {line}") for path in (ROOT / "README.md", *MODEL_READMES) for line in commands(path.read_text())
]


def parsed(line: str) -> argparse.Namespace:
    """The arguments of a netspec command, by its own parser. Raises: argparse.ArgumentError, AssertionError."""
    words = shlex.split(line)
    _, name, *arguments = words[words.index("netspec") :]
    if name == "help":
        assert arguments[0] in COMMANDS
        return argparse.Namespace(command="help")
    parser = command_parser(name, COMMANDS[name])
    parser.exit_on_error = False
    arguments = spelled(arguments, parser)
    assert unknown_word(arguments, parser) is None
    return argparse.Namespace(command=name, **vars(parser.parse_args(arguments)))


@pytest.mark.parametrize("line", ALL)
def test_command_line_is_understood(line: str) -> None:
    program, *words = shlex.split(line)
    if "netspec" in (program, *words):
        parsed(line)
    elif program == "python":
        assert (ROOT / words[0]).is_file()
    else:
        assert program == "make"


def test_no_command_of_the_readme_is_refused_for_what_an_earlier_one_left() -> None:
    left: set[str] = set()
    for line in commands(README):
        if not line.startswith("netspec train models/"):
            continue
        args = parsed(line)
        written = {args.solver_file} | {path for path in (args.log, args.caffe_log) if path}
        assert args.resume or args.overwrite or not written & left, line
        left |= written


def made_by(line: str) -> list[str]:
    """The files that a command of a readme leaves behind."""
    if line == "make train":
        return [path for sample in sample_sets() for path in (sample.train, sample.test, sample.mean)]
    if not line.startswith("netspec"):
        return []
    args = parsed(line)
    subcommand = getattr(args, "dataset_command", "")
    if subcommand == "sample":
        return [path for sample in sample_sets(args.only) for path in (sample.train, sample.test, sample.mean)]
    if subcommand == "import-idx":
        return [args.out, f"{args.out}/mnist_train_lmdb", f"{args.out}/mnist_test_lmdb"]
    if subcommand == "build":
        return [args.out, f"{args.out}/labels.txt"]
    if args.command == "train" and args.max_iter:
        prefix = re.search(r'^snapshot_prefix: "?([\w/]+)', (ROOT / args.solver_file).read_text(), re.MULTILINE)
        return [f"{prefix[1]}_iter_{args.max_iter}.caffemodel"] if prefix else []
    return [str(value) for name in ("out", "target", "log", "caffe_log") if (value := getattr(args, name, None))]


@pytest.mark.parametrize("path", [ROOT / "README.md", *MODEL_READMES], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_of_the_commands_are_there_or_made_before(path: Path) -> None:
    made: set[str] = set()
    for line in commands(path.read_text()):
        new = made_by(line)
        named = [word.partition("=")[2] or word for word in shlex.split(line)]
        assert [word for word in named if word.startswith(OURS) and not (ROOT / word).exists() and word not in made | {*new}] == []
        made.update(new)


@pytest.mark.parametrize("path", MODEL_READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_models_readme_makes_the_data_that_its_net_reads(path: Path) -> None:
    lines = commands(path.read_text())
    train = next(line for line in lines if line.startswith("netspec train"))
    assert any(line == f"netspec dataset sample --only {path.parent.name}" for line in lines[: lines.index(train)])
    made = {file for line in lines[: lines.index(train)] for file in made_by(line)}
    net = next(path.parent.glob("train_val.*")).read_text()
    read = set(re.findall(r'(?:source|mean_file): "?([\w/.]+)', net))
    assert read
    assert read <= made


def test_files_that_the_readme_links_are_there() -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r'src="([^"]+)"', README)
    assert len(linked) >= 5
    assert [path for path in linked if not (ROOT / path).exists()] == []


def test_make_has_the_readmes_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:`|^    )make ([a-z-]+)", README, re.MULTILINE))
    assert {"train", "test", "bench"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_table_of_layers_is_that_of_the_registry(capsys: pytest.CaptureFixture) -> None:
    from netspec.cli import main

    assert main(["layers", "--format", "markdown"]) == 0
    table = capsys.readouterr().out.strip()
    assert f"<!-- netspec layers --format markdown -->\n{table}\n<!-- end of the table -->" in README
