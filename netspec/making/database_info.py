"""What a database holds, found by a walk over all of it that goes past what is broken."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.files.sample_sets import how_to_get
from netspec.readers.images import datum_pixels, image_header
from netspec.schema.caffe_pb2 import DataParameter, Datum
from netspec.stores.damage import key_text
from netspec.stores.records import (
    Entries,
    database_kind,
    no_database,
    open_entries,
    parse_annotated,
)

if TYPE_CHECKING:
    from netspec.schema.forks_pb2 import AnnotatedDatum

_MAX_FAULTS = 20  # that are kept, of however many
# sizes or labels that are counted each, so that no database needs much memory
_MAX_DISTINCT = 100_000

_ANNOTATED = b"\x0a"  # the first byte of an AnnotatedDatum, and of no Datum
RAW, FLOATS = "raw", "float_data"  # kinds of record; any other is the format of a compressed image
Progress = Callable[[int, int | None], object]  # records done, of how many where that is known


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken.

    A record by its place and key, or a part of the file, whose records are not known.
    """

    reason: str
    record: int | None = None
    key: str | None = None


class Tally(Counter[Any]):
    """How often each value came.

    Past 100,000 different ones, `others` counts those that are new.
    """

    def __init__(self) -> None:
        super().__init__()
        self.others = 0

    def add(self, value: object) -> None:
        if value in self or len(self) < _MAX_DISTINCT:
            self[value] += 1
        else:
            self.others += 1


class Range:
    """The smallest and the largest of what it has seen."""

    def __init__(self) -> None:
        self.smallest: float | None = None
        self.largest: float | None = None

    def add(self, smallest: float, largest: float) -> None:
        self.smallest = smallest if self.smallest is None else min(self.smallest, smallest)
        self.largest = largest if self.largest is None else max(self.largest, largest)


@dataclass(slots=True)
class DatabaseInfo:
    """What a walk over a database found.

    Sizes, labels and values are those of the records that are not broken.
    """

    path: str
    kind: str  # LMDB or LevelDB
    bytes_on_disk: int
    expected: int | None = None  # records by the header; a LevelDB does not say
    records: int = 0  # that could be read from the file, broken ones among them
    first_key: str = ""
    last_key: str = ""
    value_bytes: int = 0  # the values of all records
    kinds: Tally = field(default_factory=Tally)
    sizes: Tally = field(default_factory=Tally)
    labels: Tally = field(default_factory=Tally)
    label_range: Range = field(default_factory=Range)
    annotated: int = 0  # AnnotatedDatums, of which the labels are those of the boxes
    boxes: int = 0
    difficult: int = 0  # of the boxes
    # kind (raw, float_data) → range of its values
    values: dict[str, Range] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)  # the first twenty
    fault_count: int = 0

    @property
    def whole(self) -> bool:
        return not self.fault_count

    def add_label(self, label: int) -> None:
        self.labels.add(label)
        self.label_range.add(label, label)

    def add_boxes(self, record: AnnotatedDatum) -> None:
        self.annotated += 1
        for group in record.annotation_group:
            for each in group.annotation:
                self.boxes += 1
                self.difficult += each.bbox.difficult
                self.add_label(group.group_label)

    def add_fault(self, fault: Fault) -> None:
        self.fault_count += 1
        # each page behind the end of a cut file reports the same
        if len(self.faults) < _MAX_FAULTS and fault not in self.faults:
            self.faults.append(fault)


def examine_database(
    path: str | os.PathLike[str], decode: bool = True, progress: Progress | None = None
) -> DatabaseInfo:
    """Walks over all records of an LMDB or LevelDB, past what is broken as far as possible.

    Args: decode: decode each compressed image, which alone finds broken ones; else only its header
        is read.
    Raises: NetspecError where there is no database, its head is broken so that nothing can be
        found, or it is empty.
    """
    path = os.fspath(path)
    kind = database_kind(path)
    if kind is None and os.path.exists(path):
        raise no_database(path)
    entries = open_entries(path)
    try:
        info = DatabaseInfo(
            path, "LMDB" if kind == DataParameter.LMDB else "LevelDB", _bytes_on_disk(path)
        )
        info.expected = entries.count if kind == DataParameter.LMDB else None
        _walk(entries, info, decode, progress)
    finally:
        entries.close()
    if info.whole and not info.records:
        raise NetspecError(f"the database '{path}' is empty", hint=how_to_get(path))
    return info


def _walk(entries: Entries, info: DatabaseInfo, decode: bool, progress: Progress | None) -> None:
    def damaged(reason: str, key: bytes | None) -> None:
        info.add_fault(Fault(reason, None, None if key is None else key_text(key)))

    last = b""
    for key, value in entries.walk(damaged):
        if not info.records:
            info.first_key = key_text(key)
        last = key
        _add_record(info, key, value, decode)
        info.records += 1
        if progress:
            progress(info.records, info.expected)
    info.last_key = key_text(last)
    if info.whole and info.expected is not None and info.expected != info.records:
        info.add_fault(
            Fault(
                f"its header says that it holds {info.expected:,} records, but there are "
                f"{info.records:,}"
            )
        )


def _add_record(info: DatabaseInfo, key: bytes, value: bytes, decode: bool) -> None:
    info.value_bytes += len(value)
    try:
        if not value:
            raise NetspecError("it is empty")
        record = parse_annotated(value) if value.startswith(_ANNOTATED) else None
        datum = Datum.FromString(value) if record is None else record.datum
        kind, shape, pixels = _contents(datum, decode)
    except DecodeError:
        info.add_fault(Fault("it is no Datum", info.records, key_text(key)))
        return
    except NetspecError as error:
        info.add_fault(Fault(error.diagnostics[0].message, info.records, key_text(key)))
        return
    info.kinds.add(kind)
    info.sizes.add(shape)
    if record is None:
        info.add_label(datum.label)
    else:
        info.add_boxes(record)
    if pixels is not None:
        info.values.setdefault(kind, Range()).add(float(pixels.min()), float(pixels.max()))


def _contents(datum: Datum, decode: bool) -> tuple[str, tuple[int, ...], NDArray[Any] | None]:
    """Kind and size of a record, and its values where they are not compressed.

    Raises: NetspecError for a broken one.
    """
    if datum.encoded:
        image_format, shape = image_header(datum.data, name="it")
        return image_format.lower(), datum_pixels(datum, name="it").shape if decode else shape, None
    pixels = datum_pixels(datum, name="it")
    if pixels.dtype != np.uint8 and not np.isfinite(pixels).all():
        raise NetspecError("it holds values that are infinite or no numbers")
    return RAW if pixels.dtype == np.uint8 else FLOATS, pixels.shape, pixels


def _bytes_on_disk(path: str) -> int:
    if os.path.isfile(path):
        return os.stat(path).st_size
    return sum(
        entry.stat().st_size
        for entry in os.scandir(path)
        if entry.is_file() and entry.name not in ("lock.mdb", "LOCK")
    )
