"""What `netspec solver schedule` prints: the facts of a run and the table of its rates."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.diagnostics import counted
from netspec.schema import caffe_pb2
from netspec.solver.check_solver import TYPE_SETTINGS
from netspec.solver.schedule import Reading, Schedule
from netspec.syntax.scalar_value import float_text
from netspec.text_table import text_table
from netspec.weights.snapshot_size import size_text


def schedule_text(schedule: Schedule) -> str:
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
        "? parameters: --input gives the shape of its data"
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
    return text_table(rows, left=())
