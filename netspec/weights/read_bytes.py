"""The bytes of a binary file, and the protobuf message in it, with clear errors for what is none."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from netspec.diagnostics import NetspecError

PROTOBUF_LIMIT = 2**31 - 1  # bytes; protobuf keeps sizes in 32 signed bits, and so does everything that reads them

M = TypeVar("M", bound=Message)


def read_bytes(path: str | Path) -> bytes:
    """The content of a file.

    Raises: NetspecError where it can't be read.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise NetspecError(f"'{path}' can't be read: {getattr(error, 'strerror', None) or error}") from None


def read_message(path: str | Path, message: M, what: str) -> M:
    """Fills a message from a file that holds it in binary form; `what` says in errors what the file should have been.

    Raises: NetspecError where the file can't be read, is cut short or is something else.
    """
    raw = read_bytes(path)
    if len(raw) > PROTOBUF_LIMIT:
        raise NetspecError(f"'{path}' has {len(raw):,} bytes: {what} ends at 2 GiB", hint="larger nets fit in .safetensors or .h5")
    try:
        message.ParseFromString(raw)
    except DecodeError:
        raise NetspecError(f"'{path}' is no {what}, or is cut short", hint=_guess(raw)) from None
    return message


def _guess(raw: bytes) -> str | None:
    if not raw.strip(b"\0"):
        return "the file is empty or holds only zeros"
    if raw.startswith((b"\x89HDF", b"\x93NUMPY", b"PK\x03\x04", b"\x80")):
        return "it looks like HDF5, NumPy or PyTorch data under another format's name"
    if raw.lstrip()[:1] in (b"<", b"{") or (b"layer" in raw[:2000] and raw[:2000].isascii()):
        return "it looks like text: a page that a download left behind, or a prototxt?"
    return None
