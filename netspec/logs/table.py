"""A run's rows as the tables that Caffe's parse_log.py makes.

The columns are NumIters, Seconds, LearningRate, then the outputs.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_right
from collections.abc import Sequence

from netspec.logs.run import Row, Run

COLUMNS = ("NumIters", "Seconds", "LearningRate")
LOSS = "loss"  # the column of a run that tells no outputs


def csv_of_training(run: Run, delimiter: str = ",") -> str:
    """The training as CSV; empty where the log has no row of it.

    Rows without outputs are left out, as by Caffe's tool.
    """
    return _table(run.train, [row.rate for row in run.train], delimiter)


def csv_of_test(run: Run, net: int, delimiter: str = ",") -> str:
    """A test net's rows as CSV.

    Their learning rate is that of the training row of their iteration, or of the last before it.
    """
    rated = [row for row in run.train if row.rate is not None]
    iterations = [row.iter for row in rated]
    places = [max(0, bisect_right(iterations, row.iter) - 1) for row in run.tests[net]]
    return _table(
        run.tests[net], [rated[place].rate if rated else None for place in places], delimiter
    )


def _table(rows: Sequence[Row], rates: Sequence[float | None], delimiter: str) -> str:
    widths: dict[str, int] = {}  # each output's most elements
    for row in rows:
        for name, values in row.outputs.items():
            widths[name] = max(widths.get(name, 0), len(values))
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    names = [
        f"{name}[{i}]" if width > 1 else name
        for name, width in widths.items()
        for i in range(width)
    ]
    writer.writerow([*COLUMNS, *(names if widths else [LOSS])])
    for row, rate in zip(rows, rates, strict=True):
        if row.outputs or not widths:
            writer.writerow(
                [
                    row.iter,
                    _cell(row.seconds, 6),
                    _cell(rate),
                    *(_outputs(row, widths) if widths else [_cell(row.loss)]),
                ]
            )
    return text.getvalue()


def _outputs(row: Row, widths: dict[str, int]) -> list[str]:
    cells = []
    for name, width in widths.items():
        values = row.outputs.get(name, [])
        cells += [_cell(value) for value in values] + [""] * (width - len(values))
    return cells


def _cell(value: float | None, digits: int | None = None) -> str:
    """A number such that reading it gives the same one; what was not told is an empty cell."""
    return "" if value is None else repr(value if digits is None else round(value, digits))
