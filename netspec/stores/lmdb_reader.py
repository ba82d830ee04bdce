"""A read-only reader of LMDB files: the records of the main table in the order of their keys.

liblmdb maps the file into memory and trusts every number in it: a cut file ends the process with
SIGBUS, a damaged one with an assertion. This reader takes the pages it needs by plain reads and
checks what it follows, so damage is an error to catch. It takes no lock and needs no write access.

Source: lmdb.h and mdb.c of LMDB 0.9 (data version 1, 64 bits, little endian), which is what Caffe
    wrote.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterator

from netspec.read_file import require_regular
from netspec.stores.damage import DAMAGE, Damaged, reason, refuse

_PAGE = struct.Struct("<QHHHH")  # page number, pad, flags, lower, upper
_META = struct.Struct("<IIQQ")  # magic, version, address, map size
# page size or pad, flags, depth, branch, leaf and overflow pages, entries, root
_TABLE = struct.Struct("<IHHQQQQQ")
# low and high half of the data size (or page number), flags, size of the key
_NODE = struct.Struct("<HHHH")
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _OVERFLOW, _META_FLAG = 1, 2, 4, 8  # kinds of page
_BIG, _SUBTABLE, _DUPLICATES = 1, 2, 4  # kinds of node
_NO_PAGE = 2**64 - 1
_MAX_DEPTH = 32  # liblmdb's own limit


class LmdbReader:
    """The entries of an LMDB by their place in key order.

    Raises (in every method): OSError, ValueError, struct.error or IndexError for a file that is no
    LMDB, is cut off or damaged; `records.open_records` turns these into messages.
    """

    def __init__(self, path: str) -> None:
        file = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
        require_regular(file)
        self._file = open(file, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            # by the header; the file may be shorter where the last pages were never used
            self.expected_size = 0
            self._page_size, self._depth, self.count, self._root = self._read_metas()
        except BaseException:
            self._file.close()
            raise
        self._walk = self._leaves()
        self._firsts: list[int] = []  # place of the first record of each leaf page met so far
        self._pages: list[int] = []  # ... and its page number
        self._known = 0  # records on the leaf pages met so far
        self._leaf: tuple[int, bytes] = (_NO_PAGE, b"")  # the page in use

    def close(self) -> None:
        self._file.close()

    @property
    def empty(self) -> bool:
        return self.count == 0

    def place(self, index: int) -> int:
        """Where an index lies that may be past the end."""
        return index % self.count

    def entry(self, index: int) -> tuple[bytes, bytes]:
        """Key and value of the record at a place; places wrap around."""
        index = self.place(index)
        while index >= self._known:
            self._meet_next_leaf()
        at = bisect_right(self._firsts, index) - 1
        if self._leaf[0] != self._pages[at]:
            self._leaf = (self._pages[at], self._page(self._pages[at], _LEAF))
        # its page was looked at when it was met: of its pointers the one is enough
        start = _PAGE.size + 2 * (index - self._firsts[at])
        return next(self._nodes(self._leaf[1], struct.unpack_from("<H", self._leaf[1], start)))

    def walk(self, damaged: Damaged) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of each record that can be read.

        `damaged` is called for the pages and records that can't.
        """
        for _, page in self._leaves(damaged):
            yield from self._nodes(page, self._pointers(page), damaged)

    def _read_metas(self) -> tuple[int, int, int, int]:
        """Page size, depth, count and root page by the newer of the two meta pages."""
        page_size, *first = self._read_meta(0)
        if page_size < 256 or page_size > 65536 or page_size & (page_size - 1):
            raise ValueError(f"a page size of {page_size} bytes can't be")
        second_page_size, *second = self._read_meta(page_size)
        if second_page_size != page_size:
            raise ValueError("its two meta pages give different page sizes")
        _, depth, count, root, last_page = max(first, second, key=lambda meta: meta[0])
        self.expected_size = (last_page + 1) * page_size
        if (root == _NO_PAGE) != (count == 0) or depth > _MAX_DEPTH:
            raise ValueError("its meta page contradicts itself")
        return page_size, depth, count, root

    def _read_meta(self, offset: int) -> tuple[int, int, int, int, int, int]:
        """Page size, transaction, depth, count, root and last page, by an offset's meta page."""
        page = self._read(offset, _PAGE.size + _META.size + 2 * _TABLE.size + 16)
        magic, version, _, _ = _META.unpack_from(page, _PAGE.size)
        if magic != _MAGIC or not _PAGE.unpack_from(page)[2] & _META_FLAG:
            raise ValueError("it has no LMDB header")
        if version != _VERSION:
            raise ValueError(
                f"it is of LMDB's data version {version}, only version {_VERSION} can be read"
            )
        free, main = (
            _TABLE.unpack_from(page, _PAGE.size + _META.size + i * _TABLE.size) for i in (0, 1)
        )
        last_page, transaction = struct.unpack_from(
            "<QQ", page, _PAGE.size + _META.size + 2 * _TABLE.size
        )
        if main[1] & 4:
            raise ValueError("it holds several values a key")
        return free[0], transaction, main[2], main[6], main[7], last_page

    def _read(self, offset: int, length: int) -> bytes:
        if offset + length > self.size:
            if self.size >= self.expected_size > 0:
                raise ValueError(f"it points to byte {offset:,}, past its end")
            raise ValueError(
                f"it is cut off: {self.size:,} bytes, at least "
                f"{self.expected_size or offset + length:,} expected"
            )
        data = self._read_some(offset, length)
        while len(data) < length:  # a raw file may return less than asked for
            more = self._read_some(offset + len(data), length - len(data))
            if not more:
                raise ValueError("it became shorter while it was read")
            data += more
        return data

    def _read_some(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), length, offset)
        self._file.seek(offset)  # Windows has no other way
        return self._file.read(length)

    def _page(self, number: int, kind: int) -> bytes:
        page = self._read(number * self._page_size, self._page_size)
        if not _PAGE.unpack_from(page)[2] & kind:
            raise ValueError(f"its page {number} is not of the kind expected there")
        return page

    def _pointers(self, page: bytes) -> tuple[int, ...]:
        """Where the nodes of a branch or leaf page start."""
        count = (_PAGE.unpack_from(page)[3] - _PAGE.size) // 2
        if count < 1:
            raise ValueError("a page of it holds no node")
        return struct.unpack_from(f"<{count}H", page, _PAGE.size)

    def _leaves(self, damaged: Damaged = refuse) -> Iterator[tuple[int, bytes]]:
        """Number and content of each leaf page, in key order."""
        stack = [iter([self._root] if self.count else [])]
        unread = self.size // self._page_size
        while stack:
            number = next(stack[-1], None)
            if number is None:
                stack.pop()
                continue
            is_leaf = len(stack) >= self._depth
            try:
                page = self._page(number, _LEAF if is_leaf else _BRANCH)
                pointers = self._pointers(page)
                nodes = (
                    [] if is_leaf else [_NODE.unpack_from(page, pointer) for pointer in pointers]
                )
            except DAMAGE as error:
                is_root = len(stack) == 1
                damaged(
                    reason(error)
                    + (
                        "; that page is the root, without it no record can be found"
                        if is_root
                        else ""
                    ),
                    None,
                )
                continue
            unread -= 1
            if unread < 0:
                damaged("its pages point to one another in circles", None)
                return
            if is_leaf:
                yield number, page
            else:
                stack.append(
                    iter([low | high << 16 | flags << 32 for low, high, flags, _ in nodes])
                )

    def _meet_next_leaf(self) -> None:
        number, page = next(self._walk, (_NO_PAGE, b""))
        if not page:
            raise ValueError(f"it holds {self._known:,} records, its header says {self.count:,}")
        self._leaf = (number, page)
        self._firsts.append(self._known)
        self._pages.append(number)
        self._known += len(self._pointers(page))

    def _nodes(
        self, page: bytes, pointers: tuple[int, ...], damaged: Damaged = refuse
    ) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of the nodes of a leaf page that lie at some places."""
        for pointer in pointers:
            key = None
            try:
                low, high, flags, key_size = _NODE.unpack_from(page, pointer)
                start = pointer + _NODE.size + key_size
                if start > len(page):
                    raise ValueError("a key of it runs over the end of its page")
                key = page[pointer + _NODE.size : start]
                value = self._value(page, start, low | high << 16, flags)
            except DAMAGE as error:
                damaged(reason(error), key)
                continue
            yield key, value

    def _value(self, page: bytes, start: int, length: int, flags: int) -> bytes:
        """The value of a node; a big one lies on overflow pages of its own."""
        if flags & (_SUBTABLE | _DUPLICATES):
            raise ValueError("it is a table of its own, not a record")
        if not flags & _BIG:
            if start + length > len(page):
                raise ValueError("it runs over the end of its page")
            return page[start : start + length]
        number = struct.unpack_from("<Q", page, start)[0]
        offset = number * self._page_size
        if not _PAGE.unpack(self._read(offset, _PAGE.size))[2] & _OVERFLOW:
            raise ValueError(f"it points to page {number}, which is of another kind")
        return self._read(offset + _PAGE.size, length)
