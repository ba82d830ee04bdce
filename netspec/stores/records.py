"""Databases of Datums: what data_param.source names, record by record in the order of the keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError

from netspec.diagnostics import NetspecError, Span
from netspec.extras import missing_package
from netspec.files.file_kind import HOW_TO_COPY, file_kind
from netspec.files.sample_sets import how_to_get
from netspec.schema.caffe_pb2 import DataParameter, Datum
from netspec.stores.damage import DAMAGE, Damaged, key_text, reason

if TYPE_CHECKING:
    from netspec.schema.forks_pb2 import AnnotatedDatum

_INSTEAD = {
    "a blob, such as a mean file": (
        "transform_param.mean_file names it in a net; `netspec dataset "
        "mean DB OUT` made it of a database"
    ),
    "an HDF5 file": "an HDF5Data layer reads it, by a list of such files",
    "the data file of an LMDB": "call it data.mdb and name the folder that it is in",
    "text": (
        "`netspec dataset build LIST OUT` makes a database of a list of images; "
        "an ImageData layer reads the list itself"
    ),
    "a caffemodel": "it holds a net's weights",
    "a solverstate": "it holds the state of a training run",
}
HOW_TO_MEND = f"{HOW_TO_COPY}, or build it anew: `netspec dataset build LIST OUT`"


class Entries(Protocol):
    """A store of keys and values.

    `count` may have to read all of it, `entry` wraps around at its end: `place` is where
    to. `walk` goes past damage as far as it can, and reports it.
    """

    @property
    def empty(self) -> bool: ...
    @property
    def count(self) -> int: ...
    def place(self, index: int) -> int: ...
    def entry(self, index: int) -> tuple[bytes, bytes]: ...
    def walk(self, damaged: Damaged) -> Iterator[tuple[bytes, bytes]]: ...
    def close(self) -> None: ...


class Records:
    """The Datums of a database. Reading in sequence is fast; one thread at a time may read.

    Any thread may `describe`.
    """

    def __init__(self, entries: Entries, path: str, span: Span | None) -> None:
        self._entries = entries
        self.path = path
        self._span = span

    @property
    def count(self) -> int:
        """The number of records. A LevelDB has to be read through once for it.

        Raises: NetspecError.
        """
        try:
            return self._entries.count
        except DAMAGE as error:
            raise self._damaged(error) from None

    def read(self, index: int) -> tuple[bytes, Datum]:
        """Key and Datum at a place in key order.

        Places past the end wrap around, as Caffe's cursor does.

        Raises: NetspecError where the database is damaged or the value is no Datum.
        """
        key, value = self._entry(index)
        try:
            return key, Datum.FromString(value)
        except DecodeError:
            raise NetspecError(
                f"{self.describe(index, key)} is no Datum", self._span, self._how_to_look()
            ) from None

    def read_annotated(self, index: int) -> tuple[bytes, AnnotatedDatum]:
        """The same for a database of AnnotatedDatums, SSD's images with boxes.

        Raises: NetspecError.
        """
        key, value = self._entry(index)
        record = parse_annotated(value)
        if record is None:
            raise NetspecError(
                f"{self.describe(index, key)} is no AnnotatedDatum",
                self._span,
                "`netspec dataset build --annotations voc|coco` makes a database of these; a Data "
                "layer reads Datums",
            )
        return key, record

    def _entry(self, index: int) -> tuple[bytes, bytes]:
        try:
            return self._entries.entry(index)
        except DAMAGE as error:
            raise self._damaged(error, f" at record {self._entries.place(index)}") from None

    def describe(self, index: int, key: bytes) -> str:
        """How a message calls a record."""
        return f"record {self._entries.place(index)} ('{key_text(key)}') of '{self.path}'"

    def close(self) -> None:
        self._entries.close()

    def _damaged(self, error: Exception, where: str = "") -> NetspecError:
        return NetspecError(
            f"the database '{self.path}' is damaged{where}: {reason(error)}",
            self._span,
            self._how_to_look(),
        )

    def _how_to_look(self) -> str:
        return f"`netspec dataset info {self.path}` lists all that is damaged in it; {HOW_TO_MEND}"


def parse_annotated(value: bytes) -> AnnotatedDatum | None:
    """The AnnotatedDatum that some bytes hold; None where they hold none, but a Datum say."""
    from netspec.schema.forks_pb2 import AnnotatedDatum

    try:
        record = AnnotatedDatum.FromString(value)
    except DecodeError:
        return None
    return record if record.HasField("datum") else None


def open_records(
    path: str, backend: int = DataParameter.LEVELDB, span: Span | None = None
) -> Records:
    """Opens the database at a path.

    What lies on the disk decides what it is: a folder with data.mdb (or a lone .mdb file) is an
    LMDB, one with CURRENT a LevelDB. `backend` counts only where both lie there: its default in the
    schema is LEVELDB, so nets that mean an LMDB often forget to say so, and Caffe then stops.

    Raises: NetspecError where it is missing, empty or damaged.
    """
    entries = open_entries(path, backend, span)
    try:
        empty = entries.empty
    except DAMAGE as error:
        entries.close()
        raise NetspecError(
            f"the database '{path}' can't be opened: {reason(error)}", span, HOW_TO_MEND
        ) from None
    if empty:
        entries.close()
        raise NetspecError(
            f"the database '{path}' is empty",
            span,
            f"`netspec dataset info {path}` reports whether it was cut off; {how_to_get(path)}",
        )
    return Records(entries, path, span)


def open_entries(
    path: str, backend: int = DataParameter.LEVELDB, span: Span | None = None
) -> Entries:
    """The keys and values of the database at a path, of which only the head has been looked at.

    Raises: NetspecError where it is missing or can't be opened.
    """
    kind = database_kind(path, backend)
    if kind is None:
        if not os.path.exists(path):
            raise NetspecError(f"the database '{path}' does not exist", span, how_to_get(path))
        raise no_database(path, span)
    try:
        if kind == DataParameter.LMDB:
            from netspec.stores.lmdb_reader import LmdbReader

            return LmdbReader(path)
        from netspec.stores.leveldb_reader import LevelDbReader

        return LevelDbReader(path)
    except ModuleNotFoundError as error:
        raise missing_package(error.name or "", f"the database '{path}'", span) from None
    except DAMAGE as error:
        raise NetspecError(
            f"the database '{path}' can't be opened: {reason(error)}", span, HOW_TO_MEND
        ) from None


def no_database(path: str, span: Span | None = None) -> NetspecError:
    """The error to raise for a path that exists and is not a database.

    It says what it is, and what that is for.
    """
    kind = file_kind(path)
    if kind is None or kind == "a folder":
        return NetspecError(
            f"'{path}' is not a database: it holds neither data.mdb (LMDB) nor CURRENT (LevelDB)",
            span,
            how_to_get(path),
        )
    return NetspecError(
        f"'{path}' is not a database; it is {kind}", span, _INSTEAD.get(kind, how_to_get(path))
    )


def database_kind(path: str, backend: int = DataParameter.LEVELDB) -> int | None:
    """DataParameter.LMDB or LEVELDB by what lies at the path, None where neither does."""
    if not path:  # else the working directory would be looked into
        return None
    found = []
    if os.path.isfile(os.path.join(path, "data.mdb")) or (
        path.endswith(".mdb") and os.path.isfile(path)
    ):
        found.append(DataParameter.LMDB)
    if os.path.isfile(os.path.join(path, "CURRENT")):
        found.append(DataParameter.LEVELDB)
    return backend if backend in found else found[0] if found else None
