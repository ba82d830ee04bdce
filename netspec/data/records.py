"""Databases of Datums: what data_param.source names, record by record in the order of the keys."""

from __future__ import annotations

import os
import struct
from typing import Protocol

from google.protobuf.message import DecodeError

from netspec.diagnostics import NetspecError, Span
from netspec.schema.caffe_pb2 import DataParameter, Datum

HOW_TO_GET_ONE = (
    "`netspec dataset sample` makes small stand-ins for the nets in models/, "
    "`netspec dataset build LIST OUT` and `netspec dataset import-idx FOLDER OUT` make real ones"
)
_DAMAGE = (OSError, ValueError, IndexError, struct.error)  # what a reader raises on a file that is not as it should be


class Entries(Protocol):
    """A store of keys and values. `count` may have to read all of it, `entry` wraps around at its end."""

    @property
    def count(self) -> int: ...
    def entry(self, index: int) -> tuple[bytes, bytes]: ...
    def close(self) -> None: ...


class Records:
    """The Datums of a database. Reading in sequence is fast; one thread at a time may use it."""

    def __init__(self, entries: Entries, path: str, span: Span | None) -> None:
        self._entries = entries
        self.path = path
        self._span = span

    @property
    def count(self) -> int:
        """The number of records. A LevelDB has to be read through once for it. Raises: NetspecError."""
        try:
            return self._entries.count
        except _DAMAGE as error:
            raise self._damaged(error) from None

    def read(self, index: int) -> tuple[bytes, Datum]:
        """Key and Datum at a place in key order; places past the end wrap around, as Caffe's cursor does.

        Raises: NetspecError where the database is damaged or the value is no Datum.
        """
        try:
            key, value = self._entries.entry(index)
        except _DAMAGE as error:
            raise self._damaged(error) from None
        try:
            return key, Datum.FromString(value)
        except DecodeError:
            raise NetspecError(f"{self.describe(index, key)} is no Datum", self._span) from None

    def describe(self, index: int, key: bytes) -> str:
        """How a message calls a record."""
        return f"record {index} ('{key_text(key)}') of '{self.path}'"

    def close(self) -> None:
        self._entries.close()

    def _damaged(self, error: Exception) -> NetspecError:
        return NetspecError(f"the database '{self.path}' is damaged: {_reason(error)}", self._span)


def open_records(path: str, backend: int = DataParameter.LEVELDB, span: Span | None = None) -> Records:
    """Opens the database at a path.

    What lies on the disk decides what it is: a folder with data.mdb (or a lone .mdb file) is an LMDB, one with
    CURRENT a LevelDB. `backend` counts only where both lie there: its default in the schema is LEVELDB, so nets
    that mean an LMDB often forget to say so, and Caffe then stops.

    Raises: NetspecError where it is missing, empty or damaged.
    """
    kind = database_kind(path, backend)
    if kind is None:
        if not os.path.exists(path):
            raise NetspecError(f"the database '{path}' is missing", span, HOW_TO_GET_ONE)
        raise NetspecError(f"'{path}' is no database: it holds neither data.mdb (LMDB) nor CURRENT (LevelDB)", span, HOW_TO_GET_ONE)
    entries: Entries
    try:
        if kind == DataParameter.LMDB:
            from netspec.data.lmdb_reader import LmdbReader

            entries = LmdbReader(path)
            empty = entries.count == 0
        else:
            from netspec.data.leveldb_reader import LevelDbReader

            entries = LevelDbReader(path)
            empty = entries.empty
    except ModuleNotFoundError as error:
        raise NetspecError(f"the database '{path}' needs the package {error.name}", span, f"`pip install {error.name}`") from None
    except _DAMAGE as error:
        raise NetspecError(f"the database '{path}' can't be opened: {_reason(error)}", span) from None
    if empty:
        entries.close()
        raise NetspecError(f"the database '{path}' is empty", span)
    return Records(entries, path, span)


def database_kind(path: str, backend: int = DataParameter.LEVELDB) -> int | None:
    """DataParameter.LMDB or LEVELDB by what lies at the path, None where neither does."""
    if not path:  # else the working directory would be looked into
        return None
    found = []
    if os.path.isfile(os.path.join(path, "data.mdb")) or (path.endswith(".mdb") and os.path.isfile(path)):
        found.append(DataParameter.LMDB)
    if os.path.isfile(os.path.join(path, "CURRENT")):
        found.append(DataParameter.LEVELDB)
    return backend if backend in found else found[0] if found else None


def key_text(key: bytes) -> str:
    """A key for people; what can't be printed comes escaped."""
    text = key[:80].decode(errors="backslashreplace")
    return text if text.isprintable() else repr(text)[1:-1]


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, ValueError) else "its inner structure makes no sense"
