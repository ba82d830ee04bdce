"""One run in two forms: the log of JSON lines and the log in Caffe's format that it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose, isnan

from netspec.logs.run import JSON_LINES, Row, Run

_DIGITS = 1e-5  # Caffe logs six of them


def once_each(runs: Sequence[Run]) -> tuple[list[Run], list[tuple[Run, Run]]]:
    """The runs without those that are there in another form, and the pairs (left out, kept).

    The JSON lines are kept: they hold more digits, and epochs. Two logs of the same form are two
    runs, whatever they hold.
    """
    kept: list[Run] = []
    pairs: list[tuple[Run, Run]] = []
    for run in runs:
        twin = next((other for other in kept if _is_same(run, other)), None)
        if twin is None:
            kept.append(run)
        elif run.form == JSON_LINES:
            kept[kept.index(twin)] = run
            pairs = [(out, run if other is twin else other) for out, other in pairs]
            pairs.append((twin, run))
        else:
            pairs.append((run, twin))
    return kept, pairs


def _is_same(one: Run, other: Run) -> bool:
    """Whether two logs of different forms hold the same iterations and values."""
    if one.form == other.form or len(one.tests) != len(other.tests):
        return False
    tables = zip([one.train, *one.tests], [other.train, *other.tests], strict=True)
    return all(
        len(rows) == len(others) and all(map(_is_same_row, rows, others)) for rows, others in tables
    )


def _is_same_row(one: Row, other: Row) -> bool:
    return (
        one.iter == other.iter
        and _is_close(one.loss, other.loss)
        and _is_close(one.rate, other.rate)
        and one.outputs.keys() == other.outputs.keys()
        and all(
            len(values) == len(other.outputs[name])
            and all(map(_is_close, values, other.outputs[name]))
            for name, values in one.outputs.items()
        )
    )


def _is_close(one: float | None, other: float | None) -> bool:
    """Whether two values are the same but for the digits that Caffe leaves out."""
    if one is None or other is None:
        return one is other
    return (isnan(one) and isnan(other)) or isclose(one, other, rel_tol=_DIGITS)
