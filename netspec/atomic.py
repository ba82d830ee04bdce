"""Files that are whole or not there.

A run that is interrupted leaves no half file under the final name.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from stat import S_IMODE
from typing import BinaryIO

from netspec.diagnostics import NetspecError


def write_atomically(
    path: str | Path, content: bytes | Callable[[BinaryIO], object], keep_mode: bool = False
) -> None:
    """Writes a file beside its place, brings it safely to the disk, then renames it.

    What was there is replaced.

    Args:
        content: the bytes, or a function that writes them to the open file (which it may read and
            seek).
        keep_mode: the file has the permissions of the one that it replaces.
    Raises: NetspecError where the system refuses (no folder, no permission, a full disk). The old
        file stands then, as
    it does after any other exception, and the half-written one is gone.
    """
    try:
        final = Path(os.path.realpath(path))  # a link keeps pointing at its file
    except (OSError, ValueError) as error:
        raise NetspecError(f"'{path!s}' can't be written: {error}") from None
    if os.path.exists(final) and not os.path.isfile(final):
        raise NetspecError(
            f"'{path}' can't be written: it is "
            f"{'a folder' if final.is_dir() else 'not a plain file'}"
        )
    partial = final.parent / f".{secrets.token_hex(8)}.partial"
    try:
        _write(partial, content)
        if keep_mode and final.exists():
            os.chmod(partial, S_IMODE(final.stat().st_mode))
        os.replace(partial, final)
        fsync_folder(final.parent)
    except OSError as error:
        hint = None if final.parent.is_dir() else f"folder '{final.parent}' does not exist"
        raise NetspecError(
            f"'{path}' can't be written: {error.strerror or error}", hint=hint
        ) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _write(partial: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    # Not tempfile: its files are readable by their owner alone, and stay so after the rename.
    with open(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), "w+b") as file:
        if callable(content):
            content(file)
        else:
            file.write(content)
        file.flush()
        os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk, so that a rename outlasts a power cut."""
    # some network file systems have no such thing; the rename itself stands
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
