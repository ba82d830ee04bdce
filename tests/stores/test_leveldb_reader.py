"""The LevelDB reader on the original's database and on folders from a small writer here."""

import os
from contextlib import suppress
from pathlib import Path

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import NetspecError
from netspec.stores.leveldb_reader import LevelDbReader
from netspec.stores.records import open_records

RAW = Path(__file__).parents[1] / "reference" / "data" / "raw_leveldb"


def varint(number):
    out = b""
    while number >= 128:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def text(data):
    return varint(len(data)) + data


def internal(key, sequence, kind=1):
    return key + (sequence << 8 | kind).to_bytes(8, "little")


def block(entries, snappy, restart=4):
    out, restarts, last = b"", [], b""
    for i, (key, value) in enumerate(entries):
        shared = (
            next(
                (k for k, (a, b) in enumerate(zip(last, key, strict=False)) if a != b),
                min(len(last), len(key)),
            )
            if i % restart
            else 0
        )
        if not i % restart:
            restarts.append(len(out))
        out += (
            varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        )
        last = key
    out += b"".join(at.to_bytes(4, "little") for at in restarts or [0]) + len(
        restarts or [0]
    ).to_bytes(4, "little")
    return (bytes(cramjam.snappy.compress_raw(out)) + b"\1" if snappy else out + b"\0") + bytes(4)


def table(entries, snappy=True, per_block=5):
    out, index = b"", []
    for i in range(0, len(entries), per_block):
        made = block(entries[i : i + per_block], snappy)
        index.append(
            (
                entries[min(i + per_block, len(entries)) - 1][0],
                varint(len(out)) + varint(len(made) - 5),
            )
        )
        out += made
    handles = b""
    for part in (block([], False), block(index, snappy)):
        handles += varint(len(out)) + varint(len(part) - 5)
        out += part
    return out + handles.ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little")


def log(records):
    """Records in pieces that never cross a block of 32 KiB."""
    out = b""
    for record in records:
        first = True
        while first or record:
            room = 32768 - len(out) % 32768
            if room < 7:
                out, room = out + bytes(room), 32768
            piece, record = record[: room - 7], record[room - 7 :]
            kind = (1 if first else 4) if not record else (2 if first else 3)
            out += bytes(4) + len(piece).to_bytes(2, "little") + bytes([kind]) + piece
            first = False
    return out


def batch(sequence, *changes):
    body = b"".join(
        b"\0" + text(key) if value is None else b"\1" + text(key) + text(value)
        for key, value in changes
    )
    return sequence.to_bytes(8, "little") + len(changes).to_bytes(4, "little") + body


def write_database(
    folder,
    tables=(),
    batches=(),
    comparator=b"leveldb.BytewiseComparator",
    snappy=True,
    suffix="ldb",
):
    """tables: (level, number, [(internal key, value)]); batches: those of the log."""
    folder.mkdir(exist_ok=True)
    edit = (
        varint(1)
        + text(comparator)
        + varint(2)
        + varint(90)
        + varint(3)
        + varint(99)
        + varint(4)
        + varint(1000)
    )
    for level, number, entries in tables:
        made = table(entries, snappy)
        (folder / f"{number:06d}.{suffix}").write_bytes(made)
        edit += (
            varint(7)
            + varint(level)
            + varint(number)
            + varint(len(made))
            + text(entries[0][0])
            + text(entries[-1][0])
        )
    (folder / "000090.log").write_bytes(log(batches))
    (folder / "MANIFEST-000001").write_bytes(log([edit]))
    (folder / "CURRENT").write_text("MANIFEST-000001\n")
    return str(folder)


def all_entries(path):
    reader = LevelDbReader(path)
    try:
        return [reader.entry(i) for i in range(reader.count)]
    finally:
        reader.close()


def test_reads_caffes_own():
    entries = all_entries(str(RAW))
    assert [key for key, _ in entries] == [b"%08d_im%02d.png" % (i, i) for i in range(12)]


@pytest.mark.parametrize("snappy", [False, True])
@pytest.mark.parametrize("suffix", ["ldb", "sst"])
def test_reads_tables_of_a_level_in_key_order(tmp_path, snappy, suffix):
    want = [(b"%04d" % i, b"value %d " % i * 20) for i in range(60)]
    entries = [(internal(key, 9), value) for key, value in want]
    path = write_database(
        tmp_path / "db",
        [(1, 7, entries[40:]), (1, 5, entries[:20]), (1, 9, entries[20:40])],
        snappy=snappy,
        suffix=suffix,
    )
    assert all_entries(path) == want


def test_the_newest_of_a_key_counts_and_deletions_hide(tmp_path):
    old = [(internal(b"k%d" % i, 1), b"deep") for i in range(6)]
    first = [
        (internal(b"k1", 5), b"level 0"),
        (internal(b"k2", 6, kind=0), b""),
        (internal(b"k4", 5), b"level 0"),
    ]
    second = [(internal(b"k4", 8), b"newer"), (internal(b"k4", 7), b"between")]
    changes = [
        batch(20, (b"k3", None), (b"k5", b"log"), (b"k5", b"log twice")),
        batch(30, (b"k6", b"x" * 100_000)),
    ]
    path = write_database(tmp_path / "db", [(2, 3, old), (0, 5, first), (0, 6, second)], changes)
    want = {
        b"k0": b"deep",
        b"k1": b"level 0",
        b"k4": b"newer",
        b"k5": b"log twice",
        b"k6": b"x" * 100_000,
    }
    assert dict(all_entries(path)) == want


def test_a_log_that_ends_early_gives_what_it_has(tmp_path):
    path = write_database(
        tmp_path / "db", batches=[batch(1, (b"a", b"1")), batch(2, (b"b", b"2" * 50))]
    )
    file = tmp_path / "db" / "000090.log"
    file.write_bytes(file.read_bytes()[:-10])
    assert all_entries(path) == [(b"a", b"1")]


def test_places_wrap_and_come_in_any_order(tmp_path):
    path = write_database(
        tmp_path / "db", [(1, 5, [(internal(b"%03d" % i, 1), b"%d" % i) for i in range(10)])]
    )
    reader = LevelDbReader(path)
    for place in (3, 9, 10, 0, 25, 25, 4, 1_000_000_007):
        assert reader.entry(place)[1] == b"%d" % (place % 10)
    assert reader.count == 10
    reader.close()


def test_takes_no_lock_and_writes_nothing(tmp_path):
    path = write_database(tmp_path / "db", batches=[batch(1, (b"a", b"1"))])
    before = sorted(os.listdir(path))
    os.chmod(path, 0o555)
    first, second = LevelDbReader(path), LevelDbReader(path)
    assert first.entry(0) == second.entry(0) == (b"a", b"1")
    assert sorted(os.listdir(path)) == before


def test_an_empty_database_is_reported(tmp_path):
    path = write_database(tmp_path / "db", batches=[batch(1, (b"a", b"1"), (b"a", None))])
    with pytest.raises(NetspecError, match=r"the database '.*' is empty"):
        open_records(path)


def test_keys_in_another_order_are_reported(tmp_path):
    with pytest.raises(NetspecError, match="its keys are in an order of their own"):
        open_records(write_database(tmp_path / "db", comparator=b"mine"))


@pytest.mark.parametrize("file", ["CURRENT", "MANIFEST-000004", "000005.ldb"])
def test_a_missing_file_is_reported(tmp_path, file):
    for path in RAW.iterdir():
        if path.name != file:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(NetspecError, match=str(tmp_path)):
        open_records(str(tmp_path))


def test_a_cut_table_is_reported(tmp_path):
    for path in RAW.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:9000])
    with pytest.raises(
        NetspecError, match=r"its table 000005.ldb is damaged: it is cut off or no table"
    ):
        open_records(str(tmp_path))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["CURRENT", "MANIFEST-000004", "000005.ldb", "000005.ldb", "000006.log"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=30),
    st.floats(0, 2),
)
def test_damage_is_an_error_or_nothing(tmp_path_factory, victim, changes, end):
    folder = tmp_path_factory.mktemp("damaged")
    for path in RAW.iterdir():
        content = bytearray(path.read_bytes())
        if path.name == victim:
            for place, byte in changes if content else ():
                content[int(place * len(content))] = byte
            content = content[: int(end * len(content))]
        (folder / path.name).write_bytes(content)
    with suppress(NetspecError):
        records = open_records(str(folder))
        for i in range(records.count + 2):
            records.read(i)
