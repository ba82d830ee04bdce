"""A read-only reader of LevelDB folders: the records in the order of their keys.

It takes no lock and writes nothing, so a database on a read-only disk or in use by another reader
is no trouble, and it streams: in memory are one block of each table in use and what the log holds.

Source: LevelDB's doc/impl.md and version_edit.cc.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from heapq import merge

from netspec.files.varint import read_varint
from netspec.stores.damage import DAMAGE, Damaged, reason, refuse
from netspec.stores.leveldb_table import log_records, read_slice, table_entries

_DELETED, _VALUE = 0, 1  # kinds of entry
_COMPARATOR = b"leveldb.BytewiseComparator"
_COMPARATOR_TAG, _LOG, _NEXT_FILE, _LAST_SEQUENCE, _COMPACT, _DELETED_FILE, _NEW_FILE, _OLD_LOG = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    9,
)

# key, minus (sequence number × 256 + kind) so that a key's newest is first, value
Item = tuple[bytes, int, bytes]


class LevelDbReader:
    """The entries of a LevelDB by their place in key order.

    The format has no count of its records: that is known after one pass over all of them.

    Raises (in every method): OSError, ValueError, struct.error or IndexError for a folder that is
    no LevelDB or is damaged; `records.open_records` turns these into messages.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._manifest = _Manifest(path)
        self._log: list[Item] | None = None
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

    def place(self, index: int) -> int:
        """Where an index lies that may be past the end, as far as that is known."""
        return index % self._count if self._count else index

    def entry(self, index: int) -> tuple[bytes, bytes]:
        """Key and value of the record at a place; places wrap around.

        Going back starts from the first again.
        """
        while True:
            index = self.place(index)
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

    def walk(self, damaged: Damaged) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of each record that can be read.

        `damaged` is called for the files and blocks that can't.
        """
        self._manifest.compare_with_folder(damaged)
        log = sorted(_read_logs(self._path, self._manifest, damaged, may_end_early=False))
        yield from self._merged(log, damaged)

    def _live(self) -> Generator[tuple[bytes, bytes], None, None]:
        if self._log is None:
            self._log = sorted(_read_logs(self._path, self._manifest))
        yield from self._merged(self._log, refuse)

    def _merged(self, log: list[Item], damaged: Damaged) -> Iterator[tuple[bytes, bytes]]:
        """The key and value of each record that counts.

        Of the records of a key the newest counts, unless it is a deletion.
        """
        # tables of level 0 may overlap, those of a deeper level follow one another
        levels = self._manifest.levels()
        streams = [self._items([number], damaged) for number in levels.get(0, [])]
        streams += [self._items(numbers, damaged) for level, numbers in levels.items() if level]
        last: bytes | None = None
        for key, order, value in merge(*streams, log):
            if key != last and -order & 255 == _VALUE:
                yield key, value
            last = key

    def _items(self, numbers: list[int], damaged: Damaged) -> Iterator[Item]:
        for number in numbers:
            for key, value in table_entries(_table_path(self._path, number), damaged):
                if len(key) < 8:
                    damaged(f"a key of its table {number:06d} is damaged", None)
                else:
                    yield key[:-8], -int.from_bytes(key[-8:], "little"), value


def _table_path(folder: str, number: int) -> str:
    old = os.path.join(folder, f"{number:06d}.sst")  # the name up to LevelDB 1.13
    return old if os.path.exists(old) else os.path.join(folder, f"{number:06d}.ldb")


class _Manifest:
    """Which tables and logs a database consists of."""

    def __init__(self, folder: str) -> None:
        with open(os.path.join(folder, "CURRENT"), "rb") as file:
            name = file.read(100).strip().decode(errors="replace")
        if not name.startswith("MANIFEST-") or os.path.basename(name) != name:
            raise ValueError("its CURRENT names no manifest")
        self._folder, self._path = folder, os.path.join(folder, name)
        self._files: dict[tuple[int, int], bytes] = {}  # (level, number): smallest key
        self.numbers: dict[int, int] = {}
        for edit in log_records(self._path):
            _apply_edit(edit, self._files, self.numbers)
        # Source: VersionSet::Recover
        if not {_LOG, _NEXT_FILE, _LAST_SEQUENCE} <= self.numbers.keys():
            raise ValueError(
                f"its {name} is cut off or damaged: it does not say which log is in use"
            )

    def levels(self) -> dict[int, list[int]]:
        """The tables of each level by number, in the order of their keys."""
        levels: dict[int, list[int]] = {}
        for level, number in sorted(self._files, key=lambda file: self._files[file][:-8]):
            levels.setdefault(level, []).append(number)
        return levels

    def log_path(self) -> str:
        return os.path.join(self._folder, f"{self.numbers[_LOG]:06d}.log")

    def is_log_in_use(self, number: int) -> bool:
        return number >= self.numbers[_LOG] or number == self.numbers.get(_OLD_LOG, 0)

    def compare_with_folder(self, damaged: Damaged) -> None:
        """Reports what the reading of records would not notice.

        It finds edits, tables and logs that got lost.
        """
        for _ in log_records(self._path, damaged, may_end_early=False):
            pass
        known = {number for _, number in self._files}
        for name in sorted(os.listdir(self._folder)):
            number, suffix = os.path.splitext(name)
            if suffix in (".ldb", ".sst") and number.isdecimal() and int(number) not in known:
                damaged(
                    f"its table {name} is not named by its manifest, "
                    "so that its records are not read",
                    None,
                )
        if self.numbers[_LOG] and not os.path.exists(self.log_path()):
            damaged(f"its log {os.path.basename(self.log_path())} is missing", None)


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


def _read_logs(
    folder: str, manifest: _Manifest, damaged: Damaged = refuse, may_end_early: bool = True
) -> Iterator[Item]:
    """What was written since the last table."""
    for name in os.listdir(folder):
        number, suffix = os.path.splitext(name)
        if suffix != ".log" or not number.isdecimal() or not manifest.is_log_in_use(int(number)):
            continue
        for batch in log_records(os.path.join(folder, name), damaged, may_end_early):
            try:
                yield from _batch_items(batch)
            except DAMAGE as error:
                damaged(f"its log {name} is damaged: {reason(error)}", None)


def _batch_items(batch: bytes) -> Iterator[Item]:
    """The changes that a record of a log holds."""
    if len(batch) < 12:
        raise ValueError("a record of it is too short")
    sequence, at = int.from_bytes(batch[:8], "little"), 12
    while at < len(batch):
        kind = batch[at]
        if kind not in (_DELETED, _VALUE):
            raise ValueError(f"a change in it is of the unknown kind {kind}")
        key, at = read_slice(batch, at + 1)
        value = b""
        if kind == _VALUE:
            value, at = read_slice(batch, at)
        yield key, -(sequence << 8 | kind), value
        sequence += 1
