"""The README's commands are commands, and its files are there."""

from __future__ import annotations

import argparse
import re
import shlex
from importlib import import_module

import pytest

from netspec.cli import COMMANDS
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
READMES = [README, *(path.read_text() for path in sorted(ROOT.glob("models/*/readme.md")))]
LINES = [match[1].split("#")[0].strip() for text in READMES for match in re.finditer(r"^    (netspec .*)$", text, re.MULTILINE)]


@pytest.mark.parametrize("line", LINES)
def test_command_line_is_understood(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    assert name in COMMANDS
    parser = argparse.ArgumentParser(exit_on_error=False)
    import_module(f"netspec.cli.{name}").configure(parser)
    parser.parse_args(arguments)


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
