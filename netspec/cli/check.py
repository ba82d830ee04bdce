"""`netspec check FILE…`: every fault of nets and solver files, each with its line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from netspec.advice import RULES
from netspec.advice.page import markdown_pages, rule_list, rule_page
from netspec.advice.rule import Rule
from netspec.check_file import (
    PHASES,
    Checked,
    CheckOptions,
    check_file,
    check_found_file,
    check_source,
)
from netspec.cli.as_json import diagnostic_as_json
from netspec.cli.as_sarif import as_sarif
from netspec.cli.as_workflow_commands import as_workflow_command
from netspec.cli.state import configure_level, name_list, options_of
from netspec.cli.terminal import MAX_KINDS, counts, show
from netspec.diagnostics import (
    ERROR,
    Diagnostic,
    NetspecError,
    as_errors,
    counted,
    whole_file,
)
from netspec.files.file_kind import file_kind
from netspec.files.net_files import net_files
from netspec.hint import did_you_mean
from netspec.syntax.read import read_stdin

STDIN = "-"
FORMATS = ("text", "json", "sarif", "github", "markdown")
_PHASE_HELP = "which phases' nets (default ALL: those that the file is meant to have, see below)"
_ABOUT_PHASES = """
Without --phase, a net is checked for the phases that its file means to have:
- a phase for which layers make data, after the include and exclude rules; for both where neither
  has data.
- A net with data for one phase only is checked for that one. Where a rule asks for the other phase
  all the same, a warning says that its data are missing.
- A net that only Input layers feed, without a loss and without rules for a phase, is a deploy
  net: TEST.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help=(
            "nets and solver files, prototxt or YAML; - reads stdin; of a folder all that are "
            "below it, passing over files that are neither"
        ),
    )
    configure_level(parser)
    parser.add_argument(
        "--phase",
        "-phase",
        type=str.upper,
        choices=["TRAIN", "TEST", "ALL"],
        default="ALL",
        help=_PHASE_HELP,
    )
    parser.add_argument(
        "--input",
        metavar="NAME=N,C,H,W",
        action="append",
        default=[],
        help="the shape of an input or of a data layer's top; may be repeated",
    )
    all_help = (
        f"show every fault, not each kind once with its lines and at most {MAX_KINDS} kinds a file"
    )
    parser.add_argument("--all", action="store_true", help=all_help)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help=(
            "lines, a JSON list with every fault of each file, a SARIF log, or GitHub's workflow "
            "commands, on stdout (default %(default)s); of --explain markdown, too"
        ),
    )
    parser.add_argument(
        "--skip-other-files",
        action="store_true",
        help="pass over named files, too, that are neither nets nor solvers",
    )
    parser.add_argument(
        "--stdin-filename",
        metavar="FILE",
        default="<stdin>",
        help="the name of what - reads: its suffix says the syntax, its folder where paths begin",
    )
    _configure_advice(parser)
    parser.epilog = _ABOUT_PHASES


def _configure_advice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-advice", action="store_true", help="report errors and warnings only")
    for option, what in (("--select", "only these rules"), ("--ignore", "all rules but these")):
        parser.add_argument(
            option,
            type=name_list,
            action="extend",
            default=[],
            metavar="RULE,…",
            help=f"take advice of {what}; may be repeated",
        )
    parser.add_argument(
        "--explain",
        nargs="?",
        const="",
        metavar="RULE",
        help="print the page of a rule of advice and exit; without one, list the rules",
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """A file to check; `is_found` where it may be of another kind, as those of a folder."""

    path: str
    is_found: bool = False


def run(args: argparse.Namespace) -> int:
    if wrong := _usage_fault(args):
        print(f"netspec check: {wrong}", file=sys.stderr)
        return 2
    if args.explain is not None:
        sys.stdout.write(_explained(args.explain, args.format))
        return 0
    targets = list(_targets(args.files, args.skip_other_files))
    phases = PHASES if args.phase == "ALL" else (args.phase,)
    named = frozenset(os.path.abspath(target.path) for target in targets)
    options = CheckOptions(options_of(args, require_shapes=False), phases, named, _rules(args))
    files: list[Checked] = []
    passed_over = 0
    for target in targets:
        checked = _check(target, options, args.stdin_filename)
        if checked is None:
            passed_over += 1
            continue
        if args.strict:
            checked.diagnostics = as_errors(checked.diagnostics)
        files.append(checked)
        if args.format == "text":
            show(checked.diagnostics, args.all, "--all shows them")
            print(f"{checked.path}: {checked.kind}: {counts(checked.diagnostics) or 'no faults'}")
    found = [each for file in files for each in file.diagnostics]
    if args.format == "text":
        _print_total(files, passed_over, found)
    else:
        _print_as(args.format, files, found)
    return 1 if any(each.severity == ERROR for each in found) else 0


def _usage_fault(args: argparse.Namespace) -> str | None:
    """What is wrong with the arguments, taken together."""
    for name in (*args.select, *args.ignore, *filter(None, [args.explain])):
        if name not in RULES:
            hint = did_you_mean(name, RULES) or "`netspec check --explain` lists the rules"
            return f"there is no rule '{name}'; {hint}"
    if args.explain is None and not args.files:
        return "expected a FILE; see netspec check --help"
    if args.explain is None and args.format == "markdown":
        return "--format markdown goes with --explain"
    return None


def _explained(name: str, form: str) -> str:
    if form == "markdown":
        return markdown_pages()
    return rule_page(RULES[name]) if name else rule_list()


def _rules(args: argparse.Namespace) -> tuple[Rule, ...]:
    chosen = args.select or RULES
    return tuple(
        rule
        for name, rule in RULES.items()
        if not args.no_advice and name in chosen and name not in args.ignore
    )


def _targets(paths: list[str], skip_others: bool) -> Iterator[_Target]:
    """The files that the arguments mean, each once; a folder stands for itself if it has none."""
    seen: set[str] = set()
    named = {os.path.abspath(path) for path in paths}
    for path in paths:
        below = net_files(path) if path != STDIN and file_kind(path) == "a folder" else []
        for each in below or [path]:
            if os.path.abspath(each) not in seen:
                seen.add(os.path.abspath(each))
                is_found = skip_others or os.path.abspath(each) not in named
                yield _Target(each, is_found and each != STDIN)


def _check(target: _Target, options: CheckOptions, stdin_name: str) -> Checked | None:
    if target.path != STDIN:
        if file_kind(target.path) == "a folder":
            fault = f"there is no net or solver in '{target.path}'"
            return Checked(
                target.path, "not read", [Diagnostic(ERROR, fault, whole_file(target.path))]
            )
        check = check_found_file if target.is_found else check_file
        return check(target.path, options)
    try:
        return check_source(read_stdin(stdin_name), options)
    except NetspecError as error:
        return Checked(stdin_name, "not read", error.diagnostics)


def _print_total(files: list[Checked], passed_over: int, found: list[Diagnostic]) -> None:
    if len(files) == 1 and not passed_over:
        return
    more = [f"{counted(passed_over, 'file')} of another kind passed over"] if passed_over else []
    print(", ".join([counted(len(files), "file"), counts(found) or "no faults", *more]))


def _print_as(form: str, files: list[Checked], found: list[Diagnostic]) -> None:
    if form == "github":
        for each in found:
            print(as_workflow_command(each))
        return
    whole: object = as_sarif(files)
    if form == "json":
        whole = [
            {
                "path": file.path,
                "kind": file.kind,
                "diagnostics": [diagnostic_as_json(each) for each in file.diagnostics],
            }
            for file in files
        ]
    json.dump(whole, sys.stdout, indent=1)
    print()
