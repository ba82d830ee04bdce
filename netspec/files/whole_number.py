"""Whole numbers in texts of any length.

Python itself refuses those of more than 4,300 digits, and arrays those of more than 19.
"""

from __future__ import annotations

INT32 = -(2**31), 2**31 - 1  # Caffe keeps labels and sizes in C's int
INT32_RANGE = "-2147483648 to 2147483647"


def whole_number(text: str, bounds: tuple[int, int] = INT32) -> int | None:
    """The number that ASCII digits, with or without a sign, stand for.

    Returns None where it is out of bounds.

    >>> whole_number("-007"), whole_number("2147483648")
    (-7, None)
    >>> whole_number("1" * 5000), whole_number("0" * 5000)
    (None, 0)
    """
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > 19:
        return None
    value = int(digits or "0") * (-1 if text.startswith("-") else 1)
    return value if bounds[0] <= value <= bounds[1] else None
