"""A read-only reader of LevelDB folders: the records in the order of their keys.

It takes no lock and writes nothing, so a database on a read-only disk or in use by another reader is no trouble,
and it streams: in memory are one block of each table in use and what the log holds.

Checksums are not verified, as in Caffe's own reading.

Source: LevelDB's doc/table_format.md, doc/log_format.md and version_edit.cc.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from heapq import merge
from itertools import chain
from typing import BinaryIO

import cramjam

_LOG_BLOCK, _LOG_HEADER = 32768, struct.Struct("<IHB")  # checksum, length, kind of a piece
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_FOOTER_SIZE, _MAGIC = 48, 0xDB4775248B80FB57
_BLOCK_TRAILER = 5  # kind of compression, checksum
_PLAIN, _SNAPPY = 0, 1
_SNAPPY_RATIO = 22  # 64 bytes from 3 is the best that Snappy can do
_DELETED, _VALUE = 0, 1
_COMPARATOR = b"leveldb.BytewiseComparator"
_LOG_NAME = re.compile(r"([0-9]+)\.log")

Item = tuple[bytes, int, bytes]  # key, minus (sequence number × 256 + kind) so that the newest comes first, value


class LevelDbReader:
    """The entries of a LevelDB by their place in key order.

    The format has no count of its records: that is known after one pass over all of them.

    Raises (in every method): OSError, ValueError, struct.error or IndexError for a folder that is no LevelDB or is
    damaged; `records.open_records` turns these into messages.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._levels, self._logs = _read_manifest(path)
        self._stream = self._live()
        self._item: tuple[bytes, bytes] = b"", b""
        self._place = -1
        self._count: int | None = None

    @property
    def empty(self) -> bool:
        stream = self._live()
        try:
            return next(stream, None) is None
        finally:
            stream.close()

    @property
    def count(self) -> int:
        """The number of records; the first time, all of them are read for it."""
        if self._count is None:
            self._count = sum(1 for _ in self._live())
        return self._count

    def entry(self, index: int) -> tuple[bytes, bytes]:
        """Key and value of the record at a place; places wrap around. Going back starts from the first again."""
        while True:
            index = index % self._count if self._count else index
            if index < self._place:
                self._stream.close()
                self._stream, self._place = self._live(), -1
            while self._place < index:
                item = next(self._stream, None)
                if item is None:
                    break
                self._item, self._place = item, self._place + 1
            if self._place == index:
                return self._item
            if self._place < 0:
                raise ValueError("its records are gone")
            self._count = self._place + 1

    def close(self) -> None:
        self._stream.close()

    def _live(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of each record that counts: the newest of its key, unless that is a deletion."""
        # tables of level 0 may overlap, those of a deeper level follow one another
        streams = [self._table(number) for number in self._levels.pop(0, [])]
        self._levels[0] = []
        last: bytes | None = None
        for key, tag, value in merge(*streams):
            if key != last and -tag & 255 == _VALUE:
                yield key, value
            last = key

    def _table(self, number: int) -> Iterator[Item]:
        return iter(())
