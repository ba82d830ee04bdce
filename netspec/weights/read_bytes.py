"""The bytes of a binary file and the protobuf message in it, with clear errors for neither."""

from __future__ import annotations

from errno import EFBIG
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from netspec.diagnostics import NetspecError, os_reason
from netspec.files.file_kind import HOW_TO_COPY, cut_short, file_kind
from netspec.read_file import GIB, read_file, unreadable
from netspec.schema.caffe_pb2 import NetParameter

# bytes; protobuf keeps sizes in 32 signed bits, and so does everything that reads them
PROTOBUF_LIMIT = 2**31 - 1
_LARGEST = 256 * GIB  # bytes of a weight file of any other format

M = TypeVar("M", bound=Message)


def read_bytes(path: str | Path, most: int = _LARGEST) -> bytes:
    """The content of a file of at most so many bytes.

    Raises: NetspecError where it can't be read.
    """
    try:
        return read_file(path, most, "a weight file")
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise unreadable(path, error) from None


def read_message(path: str | Path, message: M, what: str) -> M:
    """Fills a message from a file that holds it in binary form.

    `what` says in errors what the file should have been.

    Raises: NetspecError where the file can't be read, is cut short or is something else.
    """
    try:
        raw = read_file(path, PROTOBUF_LIMIT, f"a {what}")
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) != EFBIG:
            raise unreadable(path, error) from None
        raise NetspecError(
            f"'{path}' can't be read: {os_reason(error)}",
            hint="larger nets fit in .safetensors or .h5",
        ) from None
    try:
        message.ParseFromString(raw)
    except DecodeError:
        if not _read_any_dialect(raw, message):
            raise _unreadable(path, raw, message, what) from None
    return message


def _read_any_dialect(raw: bytes, message: Message) -> bool:
    """Reads the blobs of a net whose layers' settings are not Caffe's; False where that fails."""
    if not isinstance(message, NetParameter):
        return False
    from netspec.weights.without_settings import without_settings  # only a fork's file pays for it

    message.Clear()
    try:
        message.ParseFromString(without_settings(raw))
    except (DecodeError, ValueError, IndexError, KeyError):
        return False
    return bool(message.layer or message.layers)


def wrong_kind(path: str | Path) -> str | None:
    """A hint at what a file is instead of what was asked for; None where that is not known."""
    kind = file_kind(path)
    return f"it is {kind}" if kind else None


def _unreadable(path: str | Path, raw: bytes, message: Message, what: str) -> NetspecError:
    kind = wrong_kind(path)
    cut = cut_short(raw, message)
    if kind or cut is None:
        return NetspecError(f"'{path}' is not a {what}, or is damaged", hint=kind or HOW_TO_COPY)
    last = _last_layer(raw[: cut[0]]) if isinstance(message, NetParameter) else ""
    return NetspecError(
        f"'{path}' is cut short: {len(raw):,} bytes, at least {cut[1]:,} expected",
        hint=f"{HOW_TO_COPY}{last}",
    )


def _last_layer(raw: bytes) -> str:
    """Which layer is the last in what is left of a caffemodel."""
    net = NetParameter()
    try:
        net.ParseFromString(raw)
    except DecodeError:
        return ""
    names = [layer.name for layer in net.layer] or [layer.name for layer in net.layers]
    return f"; the last layer that is whole in it is '{names[-1]}'" if names else ""
