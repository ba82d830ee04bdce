"""A read-only reader of LevelDB folders: the records in the order of their keys.

It takes no lock and writes nothing, so a database on a read-only disk or in use by another reader is no trouble,
and it streams: in memory are one block of each table in use and what the log holds.

Source: LevelDB's doc/impl.md and version_edit.cc.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from heapq import merge

from netspec.data.leveldb_table import log_records, read_slice, read_varint, table_entries

_DELETED, _VALUE = 0, 1  # kinds of entry
_COMPARATOR = b"leveldb.BytewiseComparator"
_COMPARATOR_TAG, _LOG, _NEXT_FILE, _LAST_SEQUENCE, _COMPACT, _DELETED_FILE, _NEW_FILE, _OLD_LOG = 1, 2, 3, 4, 5, 6, 7, 9

Item = tuple[bytes, int, bytes]  # key, minus (sequence number × 256 + kind) so that a key's newest is first, value


class LevelDbReader:
    """The entries of a LevelDB by their place in key order.

    The format has no count of its records: that is known after one pass over all of them.

    Raises (in every method): OSError, ValueError, struct.error or IndexError for a folder that is no LevelDB or is
    damaged; `records.open_records` turns these into messages.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._levels, first_log, old_log = _read_manifest(path)
        self._log = sorted(_read_logs(path, first_log, old_log))
        self._stream = self._live()
        self._item: tuple[bytes, bytes] = b"", b""
        self._place = -1
        self._count: int | None = None

    @property
    def empty(self) -> bool:
        return next(self._live(), None) is None

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
            if self._place < 0 or self._count is not None:
                raise ValueError("it became smaller while it was read")
            self._count = self._place + 1

    def close(self) -> None:
        self._stream.close()

    def _live(self) -> Generator[tuple[bytes, bytes], None, None]:
        """Key and value of each record that counts: the newest of its key, unless that is a deletion."""
        # tables of level 0 may overlap, those of a deeper level follow one another
        streams = [self._items([number]) for number in self._levels.get(0, [])]
        streams += [self._items(numbers) for level, numbers in self._levels.items() if level]
        last: bytes | None = None
        for key, order, value in merge(*streams, self._log):
            if key != last and -order & 255 == _VALUE:
                yield key, value
            last = key

    def _items(self, numbers: list[int]) -> Iterator[Item]:
        for number in numbers:
            for key, value in table_entries(self._table_path(number)):
                yield _split_key(key, value)

    def _table_path(self, number: int) -> str:
        path = os.path.join(self._path, f"{number:06d}.ldb")
        return path if os.path.exists(path) else os.path.join(self._path, f"{number:06d}.sst")  # the name up to LevelDB 1.13


def _split_key(key: bytes, value: bytes) -> Item:
    if len(key) < 8:
        raise ValueError("a key of it is damaged")
    return key[:-8], -int.from_bytes(key[-8:], "little"), value


def _read_manifest(path: str) -> tuple[dict[int, list[int]], int, int]:
    """The tables of each level by number, in the order of their keys, and the numbers of the logs to read."""
    with open(os.path.join(path, "CURRENT"), "rb") as file:
        name = file.read(100).strip().decode(errors="replace")
    if not name.startswith("MANIFEST-") or os.path.basename(name) != name:
        raise ValueError("its CURRENT names no manifest")
    files: dict[tuple[int, int], bytes] = {}  # (level, number): smallest key
    logs = {_LOG: 0, _OLD_LOG: 0}
    for edit in log_records(os.path.join(path, name)):
        _apply_edit(edit, files, logs)
    levels: dict[int, list[int]] = {}
    for level, number in sorted(files, key=lambda file: files[file][:-8]):
        levels.setdefault(level, []).append(number)
    return levels, logs[_LOG], logs[_OLD_LOG]


def _apply_edit(edit: bytes, files: dict[tuple[int, int], bytes], logs: dict[int, int]) -> None:
    """One change of the database's state: which tables came and went."""
    at = 0
    while at < len(edit):
        tag, at = read_varint(edit, at)
        if tag == _COMPARATOR_TAG:
            comparator, at = read_slice(edit, at)
            if comparator != _COMPARATOR:
                raise ValueError(f"its keys are in an order of their own ({comparator[:80]!r})")
        elif tag in (_LOG, _OLD_LOG, _NEXT_FILE, _LAST_SEQUENCE):
            logs[tag], at = read_varint(edit, at)
        elif tag == _COMPACT:
            _, at = read_varint(edit, at)
            _, at = read_slice(edit, at)
        elif tag in (_DELETED_FILE, _NEW_FILE):
            level, at = read_varint(edit, at)
            number, at = read_varint(edit, at)
            if tag == _DELETED_FILE:
                files.pop((level, number), None)
                continue
            _, at = read_varint(edit, at)  # its size
            files[level, number], at = read_slice(edit, at)
            _, at = read_slice(edit, at)  # its largest key
        else:
            raise ValueError(f"its manifest has an entry of the unknown kind {tag}")


def _read_logs(path: str, first: int, old: int) -> Iterator[Item]:
    """What was written since the last table."""
    for name in os.listdir(path):
        number, suffix = os.path.splitext(name)
        if suffix != ".log" or not number.isdecimal() or not (int(number) >= first or int(number) == old):
            continue
        for batch in log_records(os.path.join(path, name)):
            if len(batch) < 12:
                raise ValueError(f"its log {name} is damaged")
            sequence, at = int.from_bytes(batch[:8], "little"), 12
            while at < len(batch):
                kind = batch[at]
                if kind not in (_DELETED, _VALUE):
                    raise ValueError(f"its log {name} is damaged")
                key, at = read_slice(batch, at + 1)
                value = b""
                if kind == _VALUE:
                    value, at = read_slice(batch, at)
                yield key, -(sequence << 8 | kind), value
                sequence += 1
