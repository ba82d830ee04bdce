"""Files that a user names, opened and read only where they come to an end."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from netspec.diagnostics import NetspecError, os_reason, whole_file
from netspec.hint import Hint, nearest, suggest

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
_CHUNK = MIB
_KINDS = {
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_regular(path: str | Path) -> None:
    """For files that a library opens.

    Raises: OSError for a folder, a device, a socket or a named pipe, whose reading may never end,
        and where there is no file; ValueError for a path with a NUL.
    """
    _refuse_endless(os.stat(path).st_mode, path)


def open_regular(path: str | Path) -> BufferedReader:
    """Opens a file to read its bytes.

    A pipe without a name is one as well: /dev/stdin, or a shell's <(command).

    Raises: OSError, ValueError, as `require_regular`.
    """
    require_regular(path)  # first: to open a socket or a device is not without consequences
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - the caller closes it
    try:
        mode = os.fstat(file.fileno()).st_mode
        _refuse_endless(mode, path)
        if stat.S_ISFIFO(mode):
            os.set_blocking(file.fileno(), True)
    except BaseException:
        file.close()
        raise
    return file


def _open_at_once(path: str, flags: int) -> int:
    """What took the place of a file since it was looked at does not block."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_file(path: str | Path, most: int, what: str = "such a file") -> bytes:
    """The content of a file.

    Args: most: bytes that it may have; it may never have more than this machine's memory. what:
        `what` it is, for errors.
    Raises: OSError, ValueError, as `require_regular`, and OSError for a larger one.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        _refuse_large(size, most, what)
        try:
            content = file.read(size) if size else b""
            parts, total = [content], len(content)
            while part := file.read(_CHUNK):  # a pipe does not tell its size, and a file may grow
                parts.append(part)
                total += len(part)
                _refuse_large(total, most, what)
            return b"".join(parts) if len(parts) > 1 else content
        except MemoryError:
            raise OSError(errno.ENOMEM, f"the memory is too small for its {size:,} bytes") from None


def _refuse_endless(mode: int, path: str | Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    kind = _KINDS.get(stat.S_IFMT(mode))
    # a pipe without a name is "pipe:[123]" behind /dev/fd
    if kind and not (stat.S_ISFIFO(mode) and not os.path.exists(os.path.realpath(path))):
        raise OSError(errno.EINVAL, f"it is {kind}, expected a regular file")


def _refuse_large(size: int, most: int, what: str) -> None:
    if size > most:
        raise OSError(
            errno.EFBIG, f"it has {_text(size)}, more than the {_text(most)} that {what} may have"
        )
    memory = _memory()
    if memory and size > memory:
        raise OSError(
            errno.EFBIG, f"it has {_text(size)}, more than this machine's memory of {_text(memory)}"
        )


def _memory() -> int:
    """Bytes of this machine's memory, 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _text(size: int) -> str:
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


def unreadable(path: object, error: Exception) -> NetspecError:
    """The error to raise for a file that can't be opened.

    Where it does not exist, the hint suggests the nearest name of its folder.
    """
    if not isinstance(error, FileNotFoundError):
        return NetspecError(f"'{path}' can't be read: {os_reason(error)}", whole_file(path))
    folder, name = os.path.split(str(path))
    try:
        near = nearest(name, sorted(os.listdir(folder or ".")))
    except OSError:
        return NetspecError(
            f"file '{path}' does not exist", whole_file(path), _missing_folder(folder)
        )
    return NetspecError(
        f"file '{path}' does not exist",
        whole_file(path),
        suggest(os.path.join(folder, near)) if near else None,
    )


def _missing_folder(path: str) -> Hint:
    """A hint at the first folder of a path that does not exist, with the nearest that does."""
    above, name = os.path.split(path.rstrip(os.sep))
    missing = f"folder '{path}' does not exist"
    try:
        near = nearest(
            name, sorted(entry.name for entry in os.scandir(above or ".") if entry.is_dir())
        )
    except OSError:
        return _missing_folder(above) if above != path else Hint(missing)
    meant = suggest(os.path.join(above, near)) if near else None
    return Hint(f"{missing}; {meant}", meant.names) if meant else Hint(missing)
