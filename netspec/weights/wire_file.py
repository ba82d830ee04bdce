"""A protobuf message in a file, walked field by field: of any size, and nothing held but a field.

protobuf's own parsers take no more than 2 GiB, and hold what they read beside the bytes of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from io import BufferedIOBase
from typing import NamedTuple

import numpy as np

from netspec.files.varint import read_varint

VARINT, EIGHT, SIZED, FOUR = 0, 1, 2, 5  # how the wire format keeps a value
_FIXED = {EIGHT: 8, FOUR: 4}  # bytes
_LONGEST_HEAD = 20  # bytes of a tag and a length, or a number


class WireField(NamedTuple):
    """Where a field stands: its tag, its content, its end, as offsets in the file."""

    number: int
    kind: int
    start: int
    content: int
    end: int


class WireError(Exception):
    """The bytes at `start` are no field."""

    def __init__(self, start: int) -> None:
        super().__init__(f"no field at byte {start:,}")
        self.start = start


class CutShortError(WireError):
    """The message ends before the field does, which would be at `needs`."""

    def __init__(self, start: int, needs: int, number: int = 0) -> None:
        super().__init__(start)
        self.needs, self.number = needs, number


class WireFile:
    """An open file that can seek, of `size` bytes."""

    def __init__(self, file: BufferedIOBase, size: int) -> None:
        self.file, self.size = file, size

    def fields(self, start: int, end: int) -> Iterator[WireField]:
        """The fields of the message between two offsets.

        Raises: WireError where there is none, or one goes beyond the end; CutShortError where that
            is the file's.
        """
        at = start
        while at < end:
            self.file.seek(at)
            try:
                field = _field(self.file.read(min(_LONGEST_HEAD, end - at)), at)
                if field.end > end:
                    raise CutShortError(at, field.end, field.number)
            except CutShortError:
                if start > 0:  # a message within another, which is whole
                    raise WireError(at) from None
                raise
            yield field
            at = field.end

    def bytes_of(self, fields: Collection[WireField]) -> bytes:
        """The fields as they stand there, one after the other: a message again."""
        return b"".join(self.read(field.start, field.end) for field in fields)

    def read(self, start: int, end: int) -> bytes:
        """The bytes between two offsets.

        Raises: CutShortError where the file has become shorter.
        """
        self.file.seek(start)
        content = self.file.read(end - start)
        if len(content) < end - start:
            raise CutShortError(start, end)
        return content

    def number(self, field: WireField) -> int:
        """The value of a field that is a varint."""
        return read_varint(self.read(field.content, field.end), 0)[0]

    def read_into(self, array: np.ndarray, start: int) -> None:
        """Fills an array with the bytes at an offset.

        Raises: CutShortError where the file has become shorter.
        """
        self.file.seek(start)
        view, at = array.data.cast("B") if array.size else memoryview(b""), 0
        while at < len(view):
            count = self.file.readinto(view[at:])
            if not count:
                raise CutShortError(start, start + len(view))
            at += count


def _field(head: bytes, at: int) -> WireField:
    """The field whose first bytes these are."""
    try:
        tag, used = read_varint(head, 0)
        number, kind = tag >> 3, tag & 7
        if number and kind == VARINT:
            return WireField(number, kind, at, at + used, at + read_varint(head, used)[1])
        if number and kind == SIZED:
            length, used = read_varint(head, used)
            return WireField(number, kind, at, at + used, at + used + length)
    except IndexError:
        raise CutShortError(at, at + len(head) + 1) from None
    except ValueError:  # a number that does not end
        raise WireError(at) from None
    if not number or kind not in _FIXED:  # groups are in no file of Caffe's
        raise WireError(at)
    return WireField(number, kind, at, at + used, at + used + _FIXED[kind])
