"""`netspec solver schedule SOLVER`: what a solver file will do, without doing it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from math import isfinite

from netspec.cli.numbers import positive
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.schedule_text import schedule_text
from netspec.cli.state import configure_level, options_of
from netspec.cli.subcommand import add_subcommand
from netspec.cli.terminal import show
from netspec.diagnostics import NetspecError, Report, as_errors, whole_file
from netspec.graph import Net
from netspec.hint import did_you_mean
from netspec.schema import caffe_pb2
from netspec.solver.learning_rate import learning_rate
from netspec.solver.schedule import PlannedTest, Schedule, make_schedule, piece_starts
from netspec.solver.solver_file import SolverFile, load_solver
from netspec.solver.solver_net import load_solver_net
from netspec.syntax.scalar_value import float_text

CURVE_POINTS, MAX_POINTS = 400, 100_000


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="solver_command", metavar="COMMAND", required=True)
    schedule = add_subcommand(
        commands, "schedule", "learning rates, epochs, tests and snapshots of the run to come"
    )
    schedule.add_argument(
        "solver_file", metavar="SOLVER", help="a solver prototxt, or YAML by its suffix"
    )
    schedule.add_argument(
        "-o", "--out", metavar="FILE", help="draw the learning rate into a .png, .svg or .pdf"
    )
    configure_overwrite(schedule)
    schedule.add_argument(
        "--format",
        choices=["text", "json", "csv"],
        default="text",
        help="csv holds the rates only (default %(default)s)",
    )
    schedule.add_argument(
        "--points",
        type=_points,
        metavar="N",
        help="rows of the rates (default: 10 samples of a curve, at most 24 of its steps)",
    )
    configure_level(schedule, "the train net's state")
    input_help = (
        "the shape of an input or of a data layer's top, "
        "where its data do not exist; may be repeated"
    )
    schedule.add_argument(
        "--input", metavar="NAME=N,C,H,W", action="append", default=[], help=input_help
    )
    trial = schedule.add_argument_group("in place of the files' values, as in netspec train")
    trial.add_argument("--max-iter", type=positive, metavar="N")
    trial.add_argument(
        "--batch-size", type=positive, metavar="N", help="of the train net and the test nets"
    )


def _points(text: str) -> int:
    value = positive(text)
    if value > MAX_POINTS:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_POINTS}, got {value}")
    return value


def run(args: argparse.Namespace) -> int:
    if args.out:  # a picture that can't be written is reported before anything is read
        from netspec.files.overwrite import require_own_picture
        from netspec.logs.plot import check_picture_path

        check_picture_path(args.out)
        require_own_picture(args.out, args.overwrite)
    file = load_solver(args.solver_file, strict=args.strict)
    show(file.warnings)
    param = caffe_pb2.SolverParameter()
    param.CopyFrom(file.message)
    param.max_iter = args.max_iter or param.max_iter
    nets, report = _load_nets(file, args)
    schedule = make_schedule(file, param, nets, args.points)
    if args.strict:
        report.diagnostics = as_errors(report.diagnostics)
    show(report.in_order())
    for message in schedule.warnings:
        print(f"warning: {message}", file=sys.stderr)
    if args.out:
        _draw(schedule, args.out)
    write = {"text": schedule_text, "json": _json, "csv": _csv}[args.format]
    sys.stdout.write(write(schedule))
    return 1 if report.failed else 0


def _load_nets(file: SolverFile, args: argparse.Namespace) -> tuple[list[Net | None], Report]:
    """The train net and the test nets, None for unreadable ones, and what is wrong in them."""
    options = options_of(args, require_shapes=False)
    every, nets = Report(), []
    for source in file.nets:
        report = Report()
        # the command line's level and stages are the train net's, as in Caffe
        is_train = source.phase == caffe_pb2.TRAIN
        net = None
        try:
            net = load_solver_net(
                source,
                file,
                report,
                options if is_train else replace(options, level=0, stages=()),
                args.batch_size,
            )
        except NetspecError as error:
            report.diagnostics += error.diagnostics
        nets.append(None if report.failed else net)
        every.diagnostics += report.diagnostics
    known = {name for net in nets if net for name in [*net.inputs, *net.sources]}
    for name in options.inputs:
        if all(nets) and name not in known:
            message = (
                f"no net of the solver has an input '{name}'; there is "
                f"{', '.join(sorted(known)) or 'none'}"
            )
            every.error(message, whole_file(file.path), did_you_mean(name, known))
    return nets, every


def _rows(schedule: Schedule) -> list[dict[str, int | float | None]]:
    rows: list[dict[str, int | float | None]] = []
    for row in schedule.rates.rows:
        done = row.first if schedule.rates.is_sample else row.last + 1
        # JSON has no inf and no nan
        rate = float(float_text(row.rate)) if isfinite(row.rate) else None
        rows.append(
            {
                "first": row.first,
                "last": row.last,
                "lr": rate,
                "images": schedule.images(done),
                "epochs": schedule.epochs(done),
            }
        )
    return rows


def _json(schedule: Schedule) -> str:
    p, plan = schedule.param, schedule.snapshots
    about = {
        "solver": schedule.path,
        "net": schedule.net,
        "param_count": schedule.param_count,
        "type": p.type,
        "lr_policy": p.lr_policy,
        "max_iter": p.max_iter,
        "iter_size": p.iter_size,
        "batch_size": schedule.train.batch,
        "dataset_size": schedule.train.size,
        "images": schedule.images(p.max_iter),
        "epochs": schedule.epochs(p.max_iter),
        "rates": {
            "is_sample": schedule.rates.is_sample,
            "omitted": schedule.rates.omitted,
            "rows": _rows(schedule),
        },
        "tests": {
            "count": schedule.test_count,
            "interval": p.test_interval,
            "nets": [_test(test) for test in schedule.tests],
        },
        "snapshots": {
            "count": plan.count,
            "prefix": plan.prefix,
            "weights_bytes": plan.weights,
            "state_bytes": plan.state,
            "total_bytes": plan.total,
        },
        "warnings": schedule.warnings,
    }
    return json.dumps(about, indent=1) + "\n"


def _test(test: PlannedTest) -> dict[str, object]:
    return {
        "net": test.net,
        "stages": test.stages,
        "test_iter": test.batches,
        "batch_size": test.reading.batch,
        "dataset_size": test.reading.size,
        "images": test.images,
    }


def _csv(schedule: Schedule) -> str:
    import csv
    import io

    out = io.StringIO()
    writer = csv.DictWriter(out, ("first", "last", "lr", "images", "epochs"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(schedule))
    return out.getvalue()


def _draw(schedule: Schedule, path: str) -> None:
    """The learning rate as a curve, over the iterations and, where they are known, the epochs."""
    import matplotlib
    import numpy as np

    from netspec.logs.plot import RC, Curve, Panel, draw_panels, save_figure

    p = schedule.param
    xs = _curve_iterations(schedule)
    curve = Curve(schedule.path, p.lr_policy, xs, [learning_rate(p, x) for x in xs])
    with matplotlib.rc_context(RC):
        figure = draw_panels([Panel("learning rate", [curve], log_from=50)], "iterations")
        (axes,) = figure.axes
        axes.lines[0].set(linewidth=1.6, alpha=1)
        epochs = schedule.epochs(p.max_iter)
        if epochs:
            an_iteration = epochs / p.max_iter
            top = axes.secondary_xaxis(
                "top",
                functions=(
                    lambda x: np.multiply(x, an_iteration),
                    lambda x: np.divide(x, an_iteration),
                ),
            )
            top.set_xlabel("epochs")
            top.xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}")
            top.spines["top"].set_visible(False)
    save_figure(figure, path)


def _curve_iterations(schedule: Schedule) -> list[int]:
    """Where the curve has its points: both ends of each constant piece, or evenly."""
    p = schedule.param
    if schedule.rates.is_sample:
        xs = {i * p.max_iter // CURVE_POINTS for i in range(CURVE_POINTS)}
    else:
        starts = piece_starts(p)
        xs = {
            max(0, x)
            for start in starts[:: max(1, len(starts) // CURVE_POINTS)]
            for x in (start - 1, start)
        }
    return sorted(xs | {max(0, p.max_iter - 1)})
