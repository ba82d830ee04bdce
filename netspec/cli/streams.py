"""What a command does where its output can't go.

The reader of a pipe may have gone, the stream may be closed, or the disk full.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable

from netspec.diagnostics import os_reason

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def guarded(run: Callable[[], int]) -> int:
    """Runs a command with all of its output written out, and returns its exit status.

    The status is 1 where stdout takes no more.

    A closed stdout or stderr takes everything and keeps nothing. A text that the stream's encoding
    lacks is escaped.
    """
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return run()
        finally:
            # here, not when the interpreter ends, where a failure would be told with a traceback
            sys.stdout.flush()
    except BrokenPipeError:  # `netspec … | head`: nobody reads on
        _discard_stdout()
        return 1
    except OSError as error:
        # files have names, and errors of their own
        if error.filename is not None or error.errno not in _FULL:
            raise
        _discard_stdout()
        print(f"error: the standard output can't be written: {os_reason(error)}", file=sys.stderr)
        return 1


def _nowhere() -> io.TextIOWrapper:
    return open(os.devnull, "w", encoding="utf-8")


def _discard_stdout() -> None:
    """Drops what is still to be written, so that the interpreter's own last flush succeeds."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
