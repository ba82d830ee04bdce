"""`netspec solver schedule SOLVER`: what a solver file will do, without doing it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from math import isfinite

from netspec.cli.numbers import positive
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.state import configure_level, input_shapes
from netspec.cli.subcommand import add_subcommand
from netspec.cli.terminal import show
from netspec.diagnostics import NetspecError, Report, counted, did_you_mean, whole_file
from netspec.graph import Net
from netspec.schema import caffe_pb2
from netspec.solver.check_solver import TYPE_SETTINGS
from netspec.solver.learning_rate import learning_rate
from netspec.solver.schedule import PlannedTest, Reading, Schedule, make_schedule, piece_starts
from netspec.solver.solver_file import SolverFile, load_solver, load_solver_net
from netspec.syntax.bind import float_text
from netspec.weights.snapshot_size import size_text

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
    if args.out:  # a picture that can't be written is told before anything is read
        from netspec.files.overwrite import require_own_picture
        from netspec.logs.plot import check_picture_path

        check_picture_path(args.out)
        require_own_picture(args.out, args.overwrite)
    file = load_solver(args.solver_file)
    show(file.warnings)
    param = caffe_pb2.SolverParameter()
    param.CopyFrom(file.message)
    param.max_iter = args.max_iter or param.max_iter
    nets, report = _load_nets(file, args)
    schedule = make_schedule(file, param, nets, args.points)
    show(report.in_order())
    for message in schedule.warnings:
        print(f"warning: {message}", file=sys.stderr)
    if args.out:
        _draw(schedule, args.out)
    write = {"text": _text, "json": _json, "csv": _csv}[args.format]
    sys.stdout.write(write(schedule))
    return 1 if report.failed else 0


def _load_nets(file: SolverFile, args: argparse.Namespace) -> tuple[list[Net | None], Report]:
    """The train net and the test nets, None for unreadable ones, and what is wrong in them."""
    inputs, every, nets = input_shapes(args.input), Report(), []
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
                args.level * is_train,
                args.stage * is_train,
                batch_size=args.batch_size,
                inputs=inputs,
                require_shapes=False,
                allow_python_layers=args.allow_python_layers,
            )
        except NetspecError as error:
            report.diagnostics += error.diagnostics
        nets.append(None if report.failed else net)
        every.diagnostics += report.diagnostics
    known = {name for net in nets if net for name in [*net.inputs, *net.sources]}
    for name in inputs:
        if all(nets) and name not in known:
            message = (
                f"no net of the solver has an input '{name}'; there is "
                f"{', '.join(sorted(known)) or 'none'}"
            )
            every.error(message, whole_file(file.path), did_you_mean(name, known))
    return nets, every


def _text(schedule: Schedule) -> str:
    p = schedule.param
    facts = [
        ("net", _net_text(schedule)),
        ("update", _update_text(p)),
        ("rate", _policy_text(p)),
        ("train data", _data_text(schedule)),
    ]
    facts += [("tests" if i == 0 else "", line) for i, line in enumerate(_test_lines(schedule))]
    facts += [
        ("snapshots" if i == 0 else "", line) for i, line in enumerate(_snapshot_lines(schedule))
    ]
    lines = [
        f"{schedule.path}: {_counted(p.max_iter, 'iteration')}",
        "",
        *(f"{name:<12}{text}".rstrip() for name, text in facts),
    ]
    return "\n".join([*lines, "", *_table(schedule)]).rstrip("\n") + "\n"


def _counted(number: int, noun: str) -> str:
    """A number with its noun, in groups of three digits: 1,000 iterations."""
    return f"{number:,} {counted(number, noun).split(' ', 1)[1]}"


def _net_text(schedule: Schedule) -> str:
    if schedule.net is None:
        return "? (it can't be read)"
    params = (
        "? parameters: --input tells the shape of its data"
        if schedule.param_count is None
        else f"{schedule.param_count:,} parameters"
    )
    return ", ".join(filter(None, (schedule.net, params)))


def _update_text(p: caffe_pb2.SolverParameter) -> str:
    words = [p.type]
    for name in (name for name, readers in TYPE_SETTINGS.items() if p.type in readers):
        unset = (
            " (Caffe's default; others have 0.9)"
            if (p.type, name) == ("Adam", "momentum") and not p.HasField(name)
            else ""
        )
        words.append(f"{name} {float_text(getattr(p, name))}{unset}")
    words.append(
        f"weight_decay {float_text(p.weight_decay)} ({p.regularization_type})"
        if p.weight_decay
        else "no weight decay"
    )
    if p.clip_gradients >= 0:
        words.append(f"gradients clipped to {float_text(p.clip_gradients)}")
    return ", ".join(words)


def _policy_text(p: caffe_pb2.SolverParameter) -> str:
    base, gamma, power = float_text(p.base_lr), float_text(p.gamma), float_text(p.power)
    if p.lr_policy == "multistep":
        shown = ", ".join(f"{value:,}" for value in p.stepvalue[:8]) + (
            ", …" if len(p.stepvalue) > 8 else ""
        )
        return f"multistep: {base}, times {gamma} at {shown or 'no iteration'}"
    return {
        "fixed": f"fixed: {base}",
        "step": f"step: {base}, times {gamma} every {_counted(p.stepsize, 'iteration')}",
        "exp": f"exp: {base} × {gamma}^iteration",
        "inv": f"inv: {base} × (1 + {gamma} × iteration)^-{power}",
        "poly": f"poly: {base} × (1 - iteration / {p.max_iter:,})^{power}",
        "sigmoid": f"sigmoid: {base} / (1 + e^(-{gamma} × (iteration - {p.stepsize:,})))",
    }[p.lr_policy]


def _data_text(schedule: Schedule) -> str:
    p, reading, total = schedule.param, schedule.train, schedule.images(schedule.param.max_iter)
    if total is None or schedule.images_per_iteration is None:
        return "?"
    batch = f"batch {reading.batch:,}" + (f" × iter_size {p.iter_size}" if p.iter_size > 1 else "")
    words = (
        f"{batch}: {_counted(schedule.images_per_iteration, 'image')} "
        f"an iteration, {total:,} in all"
    )
    epochs = schedule.epochs(p.max_iter)
    return (
        f"{words}, {_epochs(epochs)} epochs of {reading.size:,}"
        if epochs is not None
        else f"{words}, ? epochs: {reading.why}"
    )


def _test_lines(schedule: Schedule) -> Iterator[str]:
    p = schedule.param
    if not schedule.tests:
        yield "none"
        return
    start = (
        "and before the first iteration"
        if p.test_initialization
        else "but none before the first iteration"
    )
    yield f"{schedule.test_count:,}: every {_counted(p.test_interval, 'iteration')}, {start}"
    for i, test in enumerate(schedule.tests):
        name = test.net + (f" ({', '.join(test.stages)})" if test.stages else "")
        images = (
            "? images"
            if test.images is None
            else f"{test.batches:,} × {test.reading.batch:,} = {_counted(test.images, 'image')}"
        )
        yield f"  #{i} {name}: {images}, {_coverage(test.images, test.reading)}"


def _coverage(images: int | None, reading: Reading) -> str:
    """How what a test reads and its data compare."""
    size = reading.size
    if not size or images is None:
        return f"of ?: {reading.why}" if reading.why else "of ?"
    if images < size:
        return f"not all {size:,}: the next test goes on behind them"
    times, rest = divmod(images, size)
    if rest:
        often = "twice" if times == 1 else f"{times + 1} times, the others {times}"
        return f"more than all {size:,}: {rest:,} of them count {often}"
    return f"all {size:,}" + (f", each {times} times" if times > 1 else " once")


def _snapshot_lines(schedule: Schedule) -> Iterator[str]:
    p, plan = schedule.param, schedule.snapshots
    if not plan.count:
        yield "none"
        return
    when = (
        f"every {_counted(plan.iterations, 'iteration')}"
        if plan.iterations and plan.iterations <= p.max_iter
        else ""
    )
    end = (
        "at the end"
        if p.snapshot_after_train and not (plan.iterations and p.max_iter % plan.iterations == 0)
        else ""
    )
    yield f"{plan.count:,}: {' and '.join(filter(None, (when, end)))}, {plan.prefix}_iter_N"
    if plan.total is None or plan.weights is None or plan.state is None:
        yield "  ? bytes: the net's parameters are not known"
    else:
        yield (
            f"  {size_text(plan.weights)} of weights and {size_text(plan.state)} of state each, "
            f"{size_text(plan.total)} in all"
        )


def _epochs(value: float | None) -> str:
    return "?" if value is None else f"{value:,.2f}"


def _table(schedule: Schedule) -> list[str]:
    rates = schedule.rates
    if not rates.rows:
        return []
    rows = [
        (
            "iteration",
            "learning rate",
            "images before" if rates.is_sample else "images by then",
            "epochs",
        )
    ]
    for row in rates.rows:
        done = row.first if rates.is_sample else row.last + 1
        images = schedule.images(done)
        span = f"{row.first:,}" if rates.is_sample else f"{row.first:,} – {row.last:,}"
        rows.append(
            (
                span,
                f"{row.rate:.6g}",
                "?" if images is None else f"{images:,}",
                _epochs(schedule.epochs(done)),
            )
        )
    if rates.omitted:
        rows.insert(-1, (f"… {rates.omitted:,} more", "…", "…", "…"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


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
