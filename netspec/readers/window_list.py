"""The list of a WindowData layer: images, and the windows of each with their labels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, Span, os_reason
from netspec.files.whole_number import INT32, whole_number
from netspec.read_file import open_regular

Floats = NDArray[np.float32]
IMAGE, LABEL, LINE = 0, 1, 2  # columns of a table of windows; x1, y1, x2 and y2 follow
_LARGEST_FLOAT = float(np.finfo(np.float32).max)


def read_windows(
    path: str, fg_threshold: float, bg_threshold: float, span: Span | None = None
) -> tuple[list[str], tuple[NDArray[np.int32], ...]]:
    """The images of a list of windows, and its windows of background and of objects.

    For each image the list has a line each with '# ' and its number, its path, channels, height,
    width, and the number of its windows, which follow in a line each: label, overlap, x1, y1, x2,
    y2. Images are counted as they come, whatever number the list gives them. Windows with an
    overlap between the two thresholds are left out.

    Shapes: windows (n, 7): image, label (0 for background), line, x1, y1, x2, y2.
    Raises: NetspecError where it can't be read or breaks the form, with the line's number.
    """
    images: list[str] = []
    background, objects = [], []
    try:
        with io.TextIOWrapper(
            open_regular(path), encoding="utf-8", errors="surrogateescape"
        ) as file:
            lines = _Lines(file, path, span)
            while lines.begins_image():
                images.append(lines.text("the image's path"))
                for what in ("channels", "height", "width"):
                    lines.number(f"the image's {what}")
                overlaps, windows = lines.windows(
                    lines.number("the number of its windows"), len(images) - 1
                )
                is_object = overlaps >= np.float32(fg_threshold)
                is_background = ~is_object & (overlaps < np.float32(bg_threshold))
                wrong = windows[is_object & (windows[:, LABEL] <= 0)]
                if len(wrong):
                    message = (
                        f"line {wrong[0, LINE]} of '{path}' has label {wrong[0, LABEL]}; "
                        "a window that shows an object has one above 0"
                    )
                    raise NetspecError(message, span)
                objects.append(windows[is_object])
                windows[:, LABEL] = 0
                background.append(windows[is_background])
    except (OSError, ValueError) as error:
        raise NetspecError(f"the list '{path}' can't be read: {os_reason(error)}", span) from None
    if not images:
        raise NetspecError(f"the list '{path}' is empty", span)
    return images, (np.concatenate(background), np.concatenate(objects))


class _Lines:
    """The lines of a list of windows, those that are blank passed over."""

    def __init__(self, file: TextIO, path: str, span: Span | None) -> None:
        self._path, self._span = path, span
        self._last = 0  # number of the last line that was read
        self._lines: Iterator[tuple[int, str]] = (
            (i, line.strip()) for i, line in enumerate(file, 1) if not line.isspace()
        )

    def begins_image(self) -> bool:
        """Whether another image begins; its number is read."""
        line = self._next()
        if line is not None and (len(line.split()) != 2 or line.split()[0] != "#"):
            self._fail("'# ' and the number of an image", line)
        return line is not None

    def _next(self) -> str | None:
        found = next(self._lines, None)
        if found is None:
            return None
        self._last, line = found
        return line

    def text(self, what: str) -> str:
        line = self._next()
        return self._fail(what, None) if line is None else line

    def number(self, what: str) -> int:
        line = self.text(what)
        number = whole_number(line) if line.isascii() and line.isdecimal() else None
        return self._fail(f"{what}, at most {INT32[1]}", line) if number is None else number

    def windows(self, count: int, image: int) -> tuple[Floats, NDArray[np.int32]]:
        """The overlaps and the table of an image's windows."""
        form = "a window: label, overlap, x1, y1, x2, y2"
        rows = list(islice(self._lines, count))
        words = " ".join(line for _, line in rows).split()
        try:
            values = np.array(words, np.float64).reshape(len(rows), 6)
            whole = values[:, [0, 2, 3, 4, 5]]
            # what is no number fails each comparison
            if (
                not (abs(whole) < 2**31).all()
                or (whole % 1).any()
                or not (abs(values[:, 1]) <= _LARGEST_FLOAT).all()
            ):
                raise ValueError
        except ValueError:
            for self._last, line in rows:
                if not _is_window(line):
                    self._fail(form, line)
            raise
        self._last = rows[-1][0] if rows else self._last
        if len(rows) < count:
            self._fail(form, None)
        table = np.empty((count, 7), np.int32)
        table[:, IMAGE] = image
        table[:, LINE] = [number for number, _ in rows]
        table[:, [LABEL, 3, 4, 5, 6]] = whole
        return values[:, 1].astype(np.float32), table

    def _fail(self, expected: str, got: str | None) -> NoReturn:
        if got is None:
            raise NetspecError(
                f"the list '{self._path}' ends after line {self._last}, expected {expected}",
                self._span,
            )
        raise NetspecError(
            f"line {self._last} of '{self._path}' is '{got[:80]}', expected {expected}", self._span
        )


def _is_window(line: str) -> bool:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        return False
    is_whole = all(
        value.is_integer() and abs(value) < 2**31 for i, value in enumerate(values) if i != 1
    )
    return len(values) == 6 and is_whole and abs(values[1]) <= _LARGEST_FLOAT
