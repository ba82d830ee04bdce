"""`netspec fmt FILE|FOLDER…`: nets and solvers in one layout, their comments kept."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterator

from netspec.atomic import write_atomically
from netspec.cli.terminal import CYAN, GREEN, RED, painter, show
from netspec.diagnostics import NetspecError, Report, Source, counted, whole_file
from netspec.files.net_files import net_texts
from netspec.passes.upgrade_text import upgrade_text
from netspec.pipeline import read_text_file
from netspec.syntax.layout import layout
from netspec.syntax.read import read_stdin, without_collector

_STDIN = "-"
_COLORS = {"-": RED, "+": GREEN, "@": CYAN}
_NO_NEWLINE = "\n\\ No newline at end of file\n"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="nets and solvers, folders of them, or - for stdin, which goes to stdout",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; print the names of the files that would change, exit status 1 if any",
    )
    parser.add_argument(
        "--diff",
        action="store_true",
        help="write nothing; print what would change, exit status 1 if anything",
    )
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help="bring V0 and V1 layers, input fields and solver_type to today's format, too",
    )
    parser.add_argument(
        "--stdin-filename",
        metavar="FILE",
        default="<stdin>",
        help="the name of what stdin holds; its suffix says whether that is YAML",
    )


def run(args: argparse.Namespace) -> int:
    counts = {"changed": 0, "left": 0, "failed": 0}
    for path in _paths(args.files, counts):
        try:
            with without_collector():
                counts["changed" if _format(path, args) else "left"] += 1
        except NetspecError as error:
            show(error.diagnostics)
            counts["failed"] += 1
    is_dry = args.check or args.diff
    if args.files != [_STDIN]:
        print(_summary(counts, is_dry), file=sys.stderr)
    return 1 if counts["failed"] or (is_dry and counts["changed"]) else 0


def _paths(names: list[str], counts: dict[str, int]) -> Iterator[str]:
    """The files that the arguments name, each once."""
    seen: set[str] = set()
    for name in names:
        try:
            found = net_texts(name) if os.path.isdir(name) else [name]
        except NetspecError as error:
            show(error.diagnostics)
            counts["failed"] += 1
            continue
        if not found:
            print(f"warning: folder '{name}' holds no nets or solvers", file=sys.stderr)
        for path in found:
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path


def _format(path: str, args: argparse.Namespace) -> bool:
    """Formats a file, or prints what would change. Returns whether its text changes."""
    source = read_stdin(args.stdin_filename) if path == _STDIN else read_text_file(path)
    after = source
    if args.upgrade:
        report = Report(allow_unknown=True)
        after, _ = upgrade_text(source, report)
        show(report.in_order())
    text = layout(after)
    is_changed = text != source.text
    if args.diff:
        _print_diff(source, text)
    elif args.check:
        if is_changed:
            print(source.path)
    elif path == _STDIN:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode(errors="surrogateescape"))
    elif is_changed:
        if not os.access(path, os.W_OK):
            raise NetspecError(f"'{path}' can't be written: it is read-only", whole_file(path))
        write_atomically(path, text.encode(errors="surrogateescape"), keep_mode=True)
        print(f"{path}: {'upgraded' if after is not source else 'laid out'}", file=sys.stderr)
    return is_changed


def _print_diff(source: Source, text: str) -> None:
    lines = difflib.unified_diff(
        source.text.splitlines(keepends=True),
        text.splitlines(keepends=True),
        source.path,
        source.path,
    )
    paint = painter(sys.stdout)
    for line in lines:
        shown, end = line.rstrip("\n"), "\n" if line.endswith("\n") else _NO_NEWLINE
        color = _COLORS.get(line[0])
        sys.stdout.write((paint(shown, color) if color else shown) + end)


def _summary(counts: dict[str, int], is_dry: bool) -> str:
    changed, left, failed = counts["changed"], counts["left"], counts["failed"]
    texts = [
        f"{counted(changed, 'file')} {'would change' if is_dry else 'changed'}",
        f"{counted(left, 'file')} {'is' if left == 1 else 'are'} laid out already",
        f"{counted(failed, 'file')} failed",
    ]
    return (
        ", ".join(text for text, number in zip(texts, counts.values(), strict=True) if number)
        or "no files"
    )
