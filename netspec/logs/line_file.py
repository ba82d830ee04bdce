"""A text file that grows line by line during a run, and never ends the run."""

from __future__ import annotations

import os
import sys
from io import FileIO
from pathlib import Path

from netspec.diagnostics import NetspecError, os_reason


class LineFile:
    """Each line is on its way to the disk when `write` returns.

    A line that can't be written is lost; the first failure is reported.

    Args: append: go on with what stands in the file; else it begins anew.
    Raises: NetspecError where the file can't be opened.
    """

    def __init__(self, path: str | Path, append: bool) -> None:
        self.path = str(path)
        self.is_empty = True  # when it was opened
        self._is_torn = False  # whether the file ends within a line
        self._has_warned = False
        try:
            if append and os.path.isfile(path):
                last = _last_byte(path)
                self.is_empty, self._is_torn = not last, last not in (b"", b"\n")
            # a named pipe that nobody reads is an error, where open would wait for its reader
            self._file: FileIO = open(  # noqa: SIM115 - closed by close()
                path, "ab" if append else "wb", 0, opener=_open_at_once
            )
            os.set_blocking(self._file.fileno(), True)
        except (OSError, ValueError) as error:
            folder = Path(path).parent
            hint = None if folder.is_dir() else f"folder '{folder}' does not exist"
            raise NetspecError(
                f"the log '{path}' can't be written: {os_reason(error)}", hint=hint
            ) from None

    def write(self, line: str) -> None:
        content = line.encode(errors="backslashreplace") + b"\n"
        rest = memoryview(b"\n" + content if self._is_torn else content)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
                self._is_torn = bool(rest)
        except OSError as error:
            self._warn(error)

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:  # a network disk tells only now
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            print(
                f"warning: the log '{self.path}' can't be written: {error.strerror or error}; "
                "the training goes on",
                file=sys.stderr,
            )


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def _last_byte(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(-1 if file.seek(0, os.SEEK_END) else 0, os.SEEK_END)
        return file.read(1)
