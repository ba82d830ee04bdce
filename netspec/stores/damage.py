"""What the readers of databases say of a file that is not as it should be."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import NoReturn

# what a reader raises on a file that is not as it should be
DAMAGE = (OSError, ValueError, IndexError, struct.error)
# called with what is wrong, and the key of the record where one alone is at fault
Damaged = Callable[[str, bytes | None], object]


def refuse(reason: str, key: bytes | None = None) -> NoReturn:
    """The `Damaged` of who wants all records or none. Raises: ValueError."""
    raise ValueError(f"its record '{key_text(key)}': {reason}" if key is not None else reason)


def key_text(key: bytes) -> str:
    """A key for people; what can't be printed comes escaped."""
    text = key[:80].decode(errors="backslashreplace")
    return text if text.isprintable() else repr(text)[1:-1]


def reason(error: Exception) -> str:
    """What a reader's error says of the file."""
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return (
            f"{os.path.basename(error.filename)}: {why}" if isinstance(error.filename, str) else why
        )
    return str(error) if isinstance(error, ValueError) else "its inner structure makes no sense"
