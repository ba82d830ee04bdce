"""Rows of texts as a table in columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def text_table(
    rows: Sequence[Sequence[str]], left: Collection[int] | None = None, ruled: bool = True
) -> list[str]:
    """The lines of a table, two spaces between its columns.

    Args:
        rows: the headings, then the rows.
        left: the columns that are aligned to the left, others are to the right; None for all.
        ruled: whether a rule stands below the headings.

    >>> text_table([("layer", "count"), ("conv1", "9")], left=(0,))
    ['layer  count', '-----  -----', 'conv1      9']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if left is None or i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    if ruled:
        lines.insert(1, "  ".join("-" * width for width in widths))
    return lines
