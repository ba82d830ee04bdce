"""The LMDB reader against liblmdb, which wrote the files, and against damage.

The damage would end liblmdb's process.
"""

import os
import random
from contextlib import suppress
from pathlib import Path

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import NetspecError
from netspec.stores.lmdb_reader import LmdbReader
from netspec.stores.records import open_records

RAW = Path(__file__).parents[1] / "reference" / "data" / "raw_lmdb" / "data.mdb"


def all_entries(path):
    reader = LmdbReader(path)
    try:
        return [reader.entry(i) for i in range(reader.count)]
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("count", "size"),
    [(1, 3), (7, 0), (200, 100), (3000, 30), (40000, 8), (30, 2025), (30, 2100), (20, 50000)],
)
def test_reads_what_liblmdb_wrote(write_lmdb, count, size):
    """Inline and overflow values, trees of one to three levels."""
    keys = random.Random(count).sample(range(10**9), count)
    records = {b"%d" % key: os.urandom(size) for key in keys}
    path = write_lmdb("db", records)
    assert all_entries(path) == sorted(records.items())


def test_reads_what_was_rewritten_and_deleted(write_lmdb):
    path = write_lmdb("db", {b"%05d" % i: b"old" * 100 for i in range(2000)})
    env = lmdb.open(path, map_size=1 << 26)
    with env.begin(write=True) as transaction:
        for i in range(0, 2000, 3):
            transaction.delete(b"%05d" % i)
        transaction.put(b"00001", b"new" * 5000)
        want = list(transaction.cursor())
    env.close()
    assert all_entries(path) == want


def test_places_wrap_and_come_in_any_order(write_lmdb):
    path = write_lmdb("db", [b"%d" % i for i in range(500)])
    reader = LmdbReader(path)
    for place in (499, 500, 0, 1250, 499, 3, 1_000_000_007):
        assert reader.entry(place)[1] == b"%d" % (place % 500)
    reader.close()


def test_needs_neither_lock_file_nor_write_access(write_lmdb):
    path = write_lmdb("db", [b"a", b"b"])
    os.remove(os.path.join(path, "lock.mdb"))
    os.chmod(path, 0o555)
    assert len(all_entries(path)) == 2
    assert len(all_entries(os.path.join(path, "data.mdb"))) == 2
    assert os.listdir(path) == ["data.mdb"]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "it is cut off: 0 bytes"),
        (100, "it is cut off: 100 bytes"),
        (4096, "it is cut off: 4,096 bytes"),
        (20000, "it is cut off: 20,000 bytes"),
    ],
)
def test_a_cut_file_is_reported(tmp_path, size, message):
    (tmp_path / "data.mdb").write_bytes(RAW.read_bytes()[:size])
    with pytest.raises(NetspecError, match=message):
        read_all(tmp_path)


def test_another_file_is_reported(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(
        NetspecError, match=r"the database '.*' can't be opened: it has no LMDB header"
    ):
        read_all(tmp_path)


def read_all(path):
    records = open_records(str(path))
    try:
        return [records.read(i) for i in range(records.count + 2)]
    finally:
        records.close()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, RAW.stat().st_size - 1), st.integers(0, 255)), max_size=30),
    st.integers(0, 2 * RAW.stat().st_size),
)
def test_damage_is_an_error_or_nothing(tmp_path_factory, changes, end):
    folder = tmp_path_factory.mktemp("damaged")
    damaged = bytearray(RAW.read_bytes())
    for place, byte in changes:
        damaged[place] = byte
    (folder / "data.mdb").write_bytes(damaged[:end])
    with suppress(NetspecError):
        read_all(folder)
