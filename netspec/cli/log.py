"""`netspec log parse | plot`: training logs, netspec's own and Caffe's, as tables and pictures."""

from __future__ import annotations

import argparse
import os
import sys

from netspec.cli.overwrite import configure_overwrite
from netspec.cli.subcommand import add_subcommand
from netspec.diagnostics import counted
from netspec.logs.panels import X_AXES


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="log_command", metavar="COMMAND", required=True)

    parse = add_subcommand(
        commands, "parse", "a log as CSV tables, LOG.train and LOG.test (Caffe's parse_log.py)"
    )
    parse.add_argument(
        "log",
        metavar="LOG",
        help="what `netspec train --log` or `--caffe-log` wrote, or what Caffe logged",
    )
    parse.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        default=".",
        help="where to put the tables (default: here)",
    )
    parse.add_argument(
        "--delimiter",
        type=_delimiter,
        default=",",
        metavar="CHAR",
        help=r"between the columns (default ,); \t is a tab",
    )

    configure_overwrite(parse)

    plot = add_subcommand(
        commands, "plot", "loss, accuracy and learning rate of one or several runs in one picture"
    )
    plot.add_argument("logs", metavar="LOG", nargs="+", help="as for parse; each run gets a colour")
    plot.add_argument(
        "-o", "--out", metavar="FILE", required=True, help="the picture: .png, .svg or .pdf"
    )
    what = (
        "the panels: loss, accuracy, lr, or (a part of) an output's name, "
        "with commas between (default: the first three, where there are any)"
    )
    plot.add_argument("--what", type=_words, default=[], metavar="A,B", help=what)
    plot.add_argument(
        "--x",
        choices=X_AXES,
        default="iterations",
        help="the axis they share (default %(default)s; only netspec's logs hold epochs)",
    )
    configure_overwrite(plot)


def _delimiter(text: str) -> str:
    char = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(char) != 1 or char in '"\r\n':
        raise argparse.ArgumentTypeError(f"takes one character, got '{text}'")
    return char


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def run(args: argparse.Namespace) -> int:
    return {"parse": _parse, "plot": _plot}[args.log_command](args)


def _parse(args: argparse.Namespace) -> int:
    from netspec.atomic import write_atomically
    from netspec.files.overwrite import TABLE, require_own_kind
    from netspec.logs.read_log import read_log
    from netspec.logs.table import csv_of_test, csv_of_training

    run = read_log(args.log)
    if run.earlier_runs:
        print(
            f"{args.log}: {counted(run.earlier_runs + 1, 'run')} from iteration 0 on; "
            "the tables are of the last",
            file=sys.stderr,
        )
    tables = {".train": csv_of_training(run, args.delimiter)}
    for net in range(len(run.tests)):
        tables[f".test{net or ''}"] = csv_of_test(run, net, args.delimiter)
    paths = {
        os.path.join(args.folder, os.path.basename(args.log) + suffix): text
        for suffix, text in tables.items()
        if text
    }
    for path in paths:  # all of them before the first is written
        require_own_kind(path, TABLE, overwrite=args.overwrite)
    for path, text in paths.items():
        write_atomically(path, text.encode(errors="backslashreplace"))
        print(
            f"{os.path.normpath(path)}: {counted(text.count(chr(10)) - 1, 'row')}", file=sys.stderr
        )
    return 0


def _plot(args: argparse.Namespace) -> int:
    from netspec.files.overwrite import require_own_picture
    from netspec.logs.panels import run_panels
    from netspec.logs.plot import check_picture_path, plot_panels
    from netspec.logs.read_log import read_log
    from netspec.logs.same_run import once_each

    check_picture_path(args.out)  # before the logs are read
    require_own_picture(args.out, args.overwrite)
    runs, pairs = once_each([read_log(path) for path in args.logs])
    for out, kept in pairs:
        print(
            f"'{out.name}' is {out.form} of the same run as '{kept.name}'; "
            f"it is drawn once, from '{kept.name}'",
            file=sys.stderr,
        )
    panels, x_label = run_panels(runs, args.what, args.x)
    plot_panels(panels, x_label, args.out)
    return 0
