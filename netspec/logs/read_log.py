"""A training log of netspec or of Caffe → its rows."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

from netspec.diagnostics import NetspecError
from netspec.logs.read_caffe_log import HEAD, read_caffe_log
from netspec.logs.read_json_lines import read_event, read_json_lines
from netspec.logs.run import CAFFE, JSON_LINES, Run
from netspec.read_file import open_regular, unreadable

_SOUGHT = 1 << 20  # bytes in which a log must show what it is


def read_log(path: str | Path) -> Run:
    """Reads a log that `netspec train --log` or `--caffe-log` wrote, or Caffe.

    The content of the file shows which of them wrote it.

    Other lines among a log's own are passed over, and a last line that is cut off.

    Raises: NetspecError where the file can't be read, is no log, or has no iteration and no
        test.
    """
    try:
        file = open_regular(path)  # _read closes it
    except (OSError, ValueError) as error:  # a ValueError is a path with a NUL in it
        raise unreadable(path, error) from None
    try:
        run = _read(file, str(path))
    except OSError as error:
        raise unreadable(path, error) from None
    if not run.train and not any(run.tests):
        hint = (
            "'display' and 'test_interval' of the solver file are the iterations from one line "
            "to the next"
        )
        raise NetspecError(f"'{path}' has no iteration and no test", hint=hint)
    return run


def log_format(path: str | Path) -> str | None:
    """JSON_LINES or CAFFE, by what a file holds; None where that is no log.

    Raises: NetspecError where it can't be read.
    """
    try:
        with open_regular(path) as file:
            return _format(file.read(_SOUGHT))
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def _format(start: bytes) -> str | None:
    first_lines = start.decode(_encoding(start), "replace").splitlines()
    if any(read_event(line) is not None for line in first_lines):
        return JSON_LINES
    return CAFFE if any(HEAD.search(line) for line in first_lines) else None


def _encoding(start: bytes) -> str:
    # PowerShell's > writes UTF-16
    return "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _read(file: BinaryIO, name: str) -> Run:
    start = file.read(_SOUGHT)
    file.seek(0)
    changed = os.fstat(file.fileno()).st_mtime
    form = _format(start)
    with io.TextIOWrapper(file, _encoding(start), errors="replace") as lines:
        if form is not None:
            is_json = form == JSON_LINES
            run = read_json_lines(lines, name) if is_json else read_caffe_log(lines, name, changed)
            run.form = form
            return run
    hint = (
        "`netspec train --log FILE` or `--caffe-log FILE` writes one, and so does `caffe train … "
        "2>&1 | tee FILE`"
    )
    raise NetspecError(f"'{name}' is not a training log", hint=hint)
