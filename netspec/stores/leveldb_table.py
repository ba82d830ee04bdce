"""The parts of LevelDB's files: blocks, tables and logs.

Checksums are not verified, as in Caffe's own reading; every length is checked against the bytes
that are there.

Source: LevelDB's doc/table_format.md and doc/log_format.md.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import cramjam

from netspec.files.varint import read_varint
from netspec.read_file import open_regular
from netspec.stores.damage import DAMAGE, Damaged, reason, refuse

_FOOTER_SIZE, _MAGIC = 48, 0xDB4775248B80FB57
_BLOCK_TRAILER = 5  # kind of compression, checksum
_PLAIN, _SNAPPY = 0, 1
_SNAPPY_RATIO = 22  # 64 bytes from 3 is the best that Snappy can do
_LARGEST_BLOCK = 2**31  # what protobuf can read of it, and the key
_LOG_BLOCK, _LOG_HEADER = 32768, struct.Struct("<IHB")  # checksum, length, kind of a piece
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_CUT, _WRONG = -1, -2  # in place of a piece's kind


def read_slice(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes with their length before them, and where they end. Raises: ValueError, IndexError."""
    length, at = read_varint(data, at)
    if at + length > len(data):
        raise ValueError("a text in it is cut off")
    return data[at : at + length], at + length


def table_entries(path: str, damaged: Damaged = refuse) -> Iterator[tuple[bytes, bytes]]:
    """Internal key and value of each entry of a table file, in its order.

    `damaged` is called for what can't be read.
    """
    where = f"its table {os.path.basename(path)}"
    try:
        file = open_regular(path)  # closed below
    except OSError as error:
        damaged(f"{where} can't be read: {error.strerror}", None)
        return
    with file:
        size = os.fstat(file.fileno()).st_size
        try:
            places = [
                place for _, place in _block_entries(_read_block(file, _index(file, size), size))
            ]
        except DAMAGE as error:
            damaged(f"{where} is damaged: {reason(error)}", None)
            return
        for place in places:
            try:
                yield from _block_entries(_read_block(file, _handle(place, 0)[0], size))
            except DAMAGE as error:
                damaged(f"{where} is damaged: {reason(error)}", None)


def _index(file: BinaryIO, size: int) -> tuple[int, int]:
    """Offset and length of the block that lists the others."""
    if size < _FOOTER_SIZE:
        raise ValueError("it is cut off")
    file.seek(size - _FOOTER_SIZE)
    footer = file.read(_FOOTER_SIZE)
    if int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise ValueError("it is cut off or no table")
    _, at = _handle(footer, 0)  # of the meta index, which only filters use
    return _handle(footer, at)[0]


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and length of a block."""
    offset, at = read_varint(data, at)
    length, at = read_varint(data, at)
    return (offset, length), at


def _read_block(file: BinaryIO, handle: tuple[int, int], size: int) -> bytes:
    offset, length = handle
    if offset + length + _BLOCK_TRAILER > size:
        raise ValueError("a block of it lies past its end")
    if length > _LARGEST_BLOCK:
        raise ValueError(f"a block of it has {length:,} bytes, which no record needs")
    file.seek(offset)
    data = file.read(length + 1)
    kind, data = data[length], data[:length]
    if kind == _PLAIN:
        return data
    if kind != _SNAPPY:
        raise ValueError(f"a block of it is compressed in a way other than Snappy (kind {kind})")
    expected, _ = read_varint(data, 0)
    if expected > _SNAPPY_RATIO * length:  # else damaged bytes could ask for any amount of memory
        raise ValueError("a compressed block makes no sense")
    try:
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError:
        raise ValueError("a compressed block makes no sense") from None


def _block_entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each entry; a key is stored as what differs from the key before it."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    if len(block) < 4 or end < 0:
        raise ValueError("a block makes no sense")
    at, key = 0, b""
    while at < end:
        shared, at = read_varint(block, at)
        own, at = read_varint(block, at)
        length, at = read_varint(block, at)
        if shared > len(key) or at + own + length > end:
            raise ValueError("a block makes no sense")
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length


def log_records(
    path: str, damaged: Damaged = refuse, may_end_early: bool = True
) -> Iterator[bytes]:
    """The records of a log file; `damaged` is called for what can't be read.

    Its end may be missing, for a process may have died while it wrote: LevelDB takes what is there.
    Only without `may_end_early` is that damage.
    """
    name = os.path.basename(path)
    parts: list[bytes] = []  # of a record that goes over several pieces
    is_cut = False
    with open_regular(path) as file:
        for kind, piece in _log_pieces(file):
            if kind in (_FULL, _FIRST):
                parts = [piece]
            elif kind in (_MIDDLE, _LAST) and parts:
                parts.append(piece)
            elif kind == _CUT:
                is_cut = True
            else:
                damaged(f"its file {name} is damaged", None)
                parts = []
            if parts and kind in (_FULL, _LAST):
                yield b"".join(parts)
                parts = []
    if (is_cut or parts) and not may_end_early:
        damaged(f"its file {name} ends within a record: what came later is lost", None)


def _log_pieces(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each piece of a log.

    _CUT where the file ends within one, _WRONG where one leaves its block.
    """
    while block := file.read(_LOG_BLOCK):
        at = 0
        while at + _LOG_HEADER.size <= len(block):
            _, length, kind = _LOG_HEADER.unpack_from(block, at)
            start = at + _LOG_HEADER.size
            at = start + length
            if kind == 0 and length == 0:  # space that was reserved and never written
                break
            if at > len(block):
                yield _CUT if len(block) < _LOG_BLOCK else _WRONG, b""
                break
            yield kind, block[start:at]
        else:
            if at < len(block) < _LOG_BLOCK:
                yield _CUT, b""
