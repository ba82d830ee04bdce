"""Runs to the panels of a picture.

They show loss, accuracy and learning rate over iterations, time or epochs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from netspec.diagnostics import NetspecError
from netspec.hint import did_you_mean
from netspec.logs.plot import Curve, Panel
from netspec.logs.run import Row, Run

X_AXES = ("iterations", "seconds", "epochs")
LOSS, ACCURACY, RATE = "loss", "accuracy", "lr"
_IS_ACCURACY = re.compile(r"acc|top.?\d", re.IGNORECASE)  # accuracy, acc/top5, loss3/top-1
_LOSS_LOG, _RATE_LOG = 1000, 10  # how far values spread before their axis is logarithmic
# seconds, from how many on
_UNITS = (("hours", 3600.0, 3 * 3600.0), ("minutes", 60.0, 300.0), ("seconds", 1.0, 0.0))


def run_panels(
    runs: Sequence[Run], what: Sequence[str] = (), x: str = "iterations"
) -> tuple[list[Panel], str]:
    """The panels to draw and the x axis's label.

    Args:
        what: 'loss', 'accuracy', 'lr', or (a part of) the name of an output; all that the logs hold
            of the first three by default.
        x: one of X_AXES.

    Raises: NetspecError where no log has one of them, or a log lacks what x asks for.
    """
    scale, x_label = _x_scale(runs, x)
    panels = []
    for word in what or (LOSS, ACCURACY, RATE):
        panel = _panel(runs, word, x, scale)
        if panel is not None:
            panels.append(panel)
        elif what:
            raise _nothing(runs, word)
    if not panels:
        raise _nothing(runs, "loss, accuracy or lr")
    return panels, x_label


def _x_scale(runs: Sequence[Run], x: str) -> tuple[float, str]:
    """What x values are divided by, and their name with its unit."""
    if x == "iterations":
        return 1.0, "iteration"
    if x == "epochs":
        for run in runs:
            if not run.knows_epochs:
                hint = "--x iterations and --x seconds need no such thing"
                raise NetspecError(
                    f"'{run.name}' does not hold the number of records of an epoch", hint=hint
                )
        return 1.0, "epoch"
    for run in runs:
        if any(row.seconds is None for rows in [run.train, *run.tests] for row in rows):
            raise NetspecError(
                f"'{run.name}' does not hold the time of each row", hint="--x iterations needs none"
            )
    longest = max(
        (row.seconds or 0.0 for run in runs for rows in [run.train, *run.tests] for row in rows),
        default=0.0,
    )
    unit, length = next((unit, length) for unit, length, least in _UNITS if longest >= least)
    return length, f"time ({unit})"


def _panel(runs: Sequence[Run], word: str, x: str, scale: float) -> Panel | None:
    names = _display_names([run.name for run in runs])
    curves: list[Curve] = []
    for run, name in zip(runs, names, strict=True):
        for label, rows, values, is_marked in _series(run, word):
            points = [
                (_x(row, x) / scale, value)
                for row, value in zip(rows, values, strict=True)
                if value is not None
            ]
            if points:
                curves.append(
                    Curve(
                        name,
                        label,
                        [at for at, _ in points],
                        [value for _, value in points],
                        is_marked,
                    )
                )
    if not curves:
        return None
    if word == LOSS:
        return Panel("loss", curves, _LOSS_LOG)
    if word == RATE:
        return Panel("learning rate", curves, _RATE_LOG)
    labels = {curve.name for curve in curves}
    return Panel(labels.pop() if len(labels) == 1 else word, curves)


_Series = tuple[str, list[Row], list[float | None], bool]


def _series(run: Run, word: str) -> list[_Series]:
    """A run's curves that a word asks for: name, rows, values, whether they are marked."""
    if word == RATE:
        return [("", run.train, [row.rate for row in run.train], False)]
    tests = [
        (f"test {i}" if len(run.tests) > 1 else "test", rows) for i, rows in enumerate(run.tests)
    ]
    if word == LOSS:
        train: list[_Series] = [("train", run.train, [row.loss for row in run.train], False)]
        return train + [(label, rows, [row.loss for row in rows], True) for label, rows in tests]
    series: list[_Series] = []
    for label, rows, is_marked in [
        ("train", run.train, False),
        *((label, rows, True) for label, rows in tests),
    ]:
        outputs = [output for output in _scalars(rows) if _is_asked(run, word, output)]
        for output in outputs:
            series.append(
                (
                    f"{label} {output}",
                    rows,
                    [next(iter(row.outputs.get(output, ())), None) for row in rows],
                    is_marked,
                )
            )
    return series


def _is_asked(run: Run, word: str, output: str) -> bool:
    if word == ACCURACY:
        return output not in run.loss_outputs and bool(_IS_ACCURACY.search(output))
    return word.lower() in output.lower()


def _scalars(rows: Sequence[Row]) -> list[str]:
    """The outputs of one element: curves."""
    return list(
        dict.fromkeys(
            name for row in rows for name, values in row.outputs.items() if len(values) == 1
        )
    )


def _x(row: Row, x: str) -> float:
    if x == "seconds":
        return row.seconds or 0.0
    return row.epoch or 0.0 if x == "epochs" else float(row.iter)


def _nothing(runs: Sequence[Run], word: str) -> NetspecError:
    """What to raise where no log has what a word asks for; its hint names what they have."""
    outputs = list(
        dict.fromkeys(
            name for run in runs for rows in [run.train, *run.tests] for name in _scalars(rows)
        )
    )
    known = [word for word in (LOSS, ACCURACY, RATE) if _panel(runs, word, "iterations", 1.0)]
    known += [name for name in outputs if name not in known]
    where = f"'{runs[0].name}' has" if len(runs) == 1 else "these logs have"
    there = (
        f"there is {', '.join(known)}"
        if known
        else "an output of several elements is no curve; `netspec log parse` writes it"
    )
    return NetspecError(f"{where} no '{word}'", hint=did_you_mean(word, known) or there)


def _display_names(paths: Sequence[str]) -> list[str]:
    """File names, with as many folders before them as tell them apart.

    >>> _display_names(["runs/a/train.log", "runs/b/train.log"]), _display_names(["runs/a.log"])
    (['a/train.log', 'b/train.log'], ['a.log'])
    """
    parts = [os.path.normpath(path).split(os.sep) for path in paths]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [
        f"{path} ({number})" if paths.count(path) > 1 else path
        for number, path in enumerate(paths, 1)
    ]
