"""`netspec completion SHELL`: a script by which a shell completes commands, options and files."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from netspec.cli.parser import fill, parsers_below
from netspec.extras import missing_package

SHELLS = ("bash", "zsh", "fish")
_FOLDERS = ("FOLDER", "DIR")
_WORDS = ("ID", "METRIC", "NAME", "TYPE")  # the metavars of texts that name no file


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell", metavar="SHELL", choices=SHELLS, help=f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}"
    )


def run(args: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError:
        raise missing_package("shtab", "completion") from None
    sys.stdout.write(shtab.complete(whole_parser(), args.shell) + "\n")
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """All commands in one parser, each argument with what completes it."""
    from netspec.cli import COMMANDS

    root = argparse.ArgumentParser(prog="netspec")
    root.add_argument("--version", "-V", action="version", help="print netspec's version")
    commands = root.add_subparsers(metavar="COMMAND")
    for name, summary in COMMANDS.items():
        fill(commands.add_parser(name, help=summary, description=summary), name)
    commands.add_parser("help", help="print a command's help").add_argument(
        "command", nargs="?", choices=list(COMMANDS)
    )
    for _, parser in parsers_below(root, ""):
        for action in parser._actions:
            _complete(action)
    return root


def _complete(action: Any) -> None:
    """Says what completes the values of an argument.

    Leaves its second spellings, which are Caffe's, out of the lists.
    """
    options = [
        option for option in action.option_strings if option.startswith("--") or len(option) == 2
    ]
    action.option_strings = [
        option for option in options if option.replace("_", "-") not in options or "_" not in option
    ]
    if action.nargs == 0 or action.choices or action.type is not None:
        return
    if choices := _names(action.dest):
        action.choices = choices
    elif action.metavar in _FOLDERS:
        action.complete = {
            "bash": "_shtab_compgen_dirs",
            "zsh": "_files -/",
            "fish": "(__fish_complete_directories)",
        }
    elif action.metavar not in _WORDS and "=" not in str(action.metavar):
        action.complete = {
            "bash": "_shtab_compgen_files",
            "zsh": "_files",
            "fish": "(__fish_complete_path (commandline -ct))",
        }


def _names(dest: str) -> list[str]:
    """What an argument can name where no parser says so."""
    if dest == "type":
        from netspec.layers import SPECS

        return sorted(SPECS)
    if dest == "only":
        from netspec.files.sample_sets import SAMPLE_SETS

        return [net for sample in SAMPLE_SETS for net in sample.nets]
    return []
