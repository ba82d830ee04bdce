"""What examine_database finds in databases that are whole, and in broken ones."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.making import database_info
from netspec.making.database_info import examine_database
from netspec.making.encode_datum import encode_image, encoded_datum
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.records import open_records
from tests.data_fixtures import datum
from tests.stores.test_leveldb_reader import batch, internal, write_database


@pytest.mark.parametrize(
    ("name", "kind"),
    [("raw_lmdb", "LMDB"), ("raw_leveldb", "LevelDB"), ("raw_lmdb/data.mdb", "LMDB")],
)
def test_a_whole_database(reference, name, kind):
    info = examine_database(reference / name)
    assert (info.kind, info.whole, info.records) == (kind, True, 12)
    assert info.expected == (12 if kind == "LMDB" else None)
    assert (info.first_key, info.last_key) == ("00000000_im00.png", "00000011_im11.png")
    assert (info.kinds, info.sizes) == ({"raw": 12}, {(3, 20, 24): 12})
    assert info.labels == {0: 2, 1: 1, 2: 1, 4: 1, 5: 2, 6: 5}
    assert (info.values["raw"].smallest, info.values["raw"].largest) == (7, 246)
    assert info.value_bytes == 17436


@pytest.fixture
def mixed(write_lmdb, images):
    """Records of each kind, and of each way to be broken."""
    png, jpeg = (encode_image(images[0], kind) for kind in ("png", "jpg"))
    return write_lmdb(
        "mixed",
        {
            b"a": datum(images[0], 3),
            b"b": b"\xff\xff",
            b"c": encoded_datum(png, -1),
            b"d": encoded_datum(jpeg, 3),
            b"e": encoded_datum(jpeg[:-20], 3),
            b"f": Datum(channels=1, height=1, width=2, float_data=[-0.5, 1e6], label=7),
            b"g": Datum(channels=1, height=1, width=2, float_data=[1, float("nan")]),
            b"h": Datum(channels=3, height=10, width=12, data=bytes(359)),
            b"i": b"",
            b"j": Datum(label=4),
        },
    )


def test_kinds_sizes_labels_and_faults(mixed):
    info = examine_database(mixed)
    assert (info.records, info.expected, info.whole, info.fault_count) == (10, 10, False, 6)
    assert info.kinds == {"raw": 1, "png": 1, "jpeg": 1, "float_data": 1}
    assert info.sizes == {(3, 10, 12): 3, (1, 1, 2): 1}
    assert info.labels == {3: 2, -1: 1, 7: 1}
    assert (info.label_range.smallest, info.label_range.largest) == (-1, 7)
    assert (info.values["float_data"].smallest, info.values["float_data"].largest) == (-0.5, 1e6)
    assert [(fault.record, fault.key, fault.reason) for fault in info.faults] == [
        (1, "b", "it is no Datum"),
        (4, "e", "it does not decode as an image: it is cut short"),
        (6, "g", "it holds values that are infinite or no numbers"),
        (7, "h", "it holds 359 values, but says that it is 3×10×12 (C×H×W)"),
        (8, "i", "it is empty"),
        (9, "j", "it has no size: channels, height and width are 0, 0 and 0"),
    ]


def test_headers_alone_give_the_sizes_but_not_all_faults(mixed):
    info = examine_database(mixed, decode=False)
    assert info.sizes == {(3, 10, 12): 4, (1, 1, 2): 1}
    assert [fault.key for fault in info.faults] == ["b", "g", "h", "i", "j"]


def test_only_the_first_faults_are_kept(write_lmdb, datums):
    info = examine_database(write_lmdb("db", [datums[0], *[b"\xff"] * 50]))
    assert (info.fault_count, len(info.faults), info.faults[-1].record) == (50, 20, 20)


def test_memory_is_bounded_by_the_different_sizes_and_labels(write_lmdb, datums, monkeypatch):
    monkeypatch.setattr(database_info, "_MAX_DISTINCT", 3)
    info = examine_database(write_lmdb("db", datums))
    assert (info.labels, info.labels.others) == ({0: 1, 1: 1, 2: 1}, 9)
    assert (info.label_range.smallest, info.label_range.largest) == (0, 11)


@pytest.mark.parametrize("part", [0.98, 0.94, 0.9])
def test_a_cut_lmdb_gives_what_is_left(write_lmdb, datums, part):
    file = Path(write_lmdb("db", datums * 200)) / "data.mdb"
    whole = file.read_bytes()
    end = int(part * len(whole))
    file.write_bytes(whole[:end])
    info = examine_database(file.parent)
    assert (info.expected, 1500 < info.records < 2400) == (2400, True)
    assert [fault.reason for fault in info.faults] == [
        f"it is cut off: {end:,} bytes, at least {len(whole):,} expected"
    ]
    assert info.fault_count > 3  # pages


def test_an_lmdb_that_lost_its_root_says_so(reference, tmp_path):
    (tmp_path / "data.mdb").write_bytes((reference / "raw_lmdb" / "data.mdb").read_bytes()[:20000])
    info = examine_database(tmp_path)
    assert (info.records, info.expected) == (0, 12)
    assert info.faults[0].reason.endswith(
        "57,344 expected; that page is the root, without it no record can be found"
    )


def test_a_record_whose_own_pages_are_lost_is_named(write_lmdb):
    file = (
        Path(write_lmdb("db", [datum(np.zeros((3, 60, 60), np.uint8), i) for i in range(6)]))
        / "data.mdb"
    )
    file.write_bytes(file.read_bytes()[:-4096])
    info = examine_database(file.parent)
    assert info.records == 5
    assert [fault.key for fault in info.faults] == ["00000005"]


def test_a_page_of_another_kind_costs_only_its_records(write_lmdb, datums):
    file = Path(write_lmdb("db", datums * 20)) / "data.mdb"
    content = bytearray(file.read_bytes())
    leaf = content.index(b"00000100") // 4096
    content[leaf * 4096 + 10] = 0  # its flags
    file.write_bytes(content)
    info = examine_database(file.parent)
    assert info.expected == 240
    assert 200 < info.records < 240
    assert [fault.reason for fault in info.faults] == [
        f"its page {leaf} is not of the kind expected there"
    ]


def test_pages_in_circles_end(write_lmdb, datums):
    file = Path(write_lmdb("db", datums * 400)) / "data.mdb"
    content = bytearray(file.read_bytes())
    for start in range(2 * 4096, len(content), 4096):
        # a branch page: each of its nodes leads to the first leaf, or its branch
        if content[start + 10] == 1:
            pointers = np.frombuffer(
                content,
                "<u2",
                (int.from_bytes(content[start + 12 : start + 14], "little") - 16) // 2,
                start + 16,
            ).tolist()
            first = content[start + pointers[0] : start + pointers[0] + 6]
            for pointer in pointers:
                content[start + pointer : start + pointer + 6] = first
    file.write_bytes(content)
    info = examine_database(file.parent)
    assert info.faults[0].reason == "its pages point to one another in circles"
    assert info.records < 10_000  # of 4,800: no page is read more often than there are pages


def leveldb(folder, datums, **options):
    entries = [(internal(b"%08d" % i, 1), d.SerializeToString()) for i, d in enumerate(datums)]
    return write_database(folder, [(1, 5, entries[:6]), (1, 7, entries[6:])], **options)


def test_a_leveldb_goes_on_past_a_broken_table_and_a_broken_block(tmp_path, datums):
    path = tmp_path / "db"
    leveldb(path, datums, snappy=False)
    table = path / "000005.ldb"
    whole = table.read_bytes()
    table.write_bytes(whole[:100])
    info = examine_database(path)
    assert (info.records, info.first_key) == (6, "00000006")
    assert [fault.reason for fault in info.faults] == [
        "its table 000005.ldb is damaged: it is cut off or no table"
    ]
    table.write_bytes(b"\xff" * 400 + whole[400:])  # the first block, of five records
    info = examine_database(path)
    assert info.records == 7
    assert "its table 000005.ldb is damaged: " in info.faults[0].reason
    table.unlink()
    assert (
        examine_database(path).faults[0].reason
        == "its table 000005.ldb can't be read: No such file or directory"
    )


def test_a_leveldb_whose_log_is_cut(tmp_path, datums):
    path = tmp_path / "db"
    write_database(
        path, batches=[batch(i + 1, (b"%d" % i, datums[i].SerializeToString())) for i in range(3)]
    )
    log = path / "000090.log"
    assert examine_database(path).whole
    log.write_bytes(log.read_bytes()[:-10])
    info = examine_database(path)
    assert (info.records, [fault.reason for fault in info.faults]) == (
        2,
        ["its file 000090.log ends within a record: what came later is lost"],
    )
    log.write_bytes(log.read_bytes()[:20])
    with pytest.raises(
        NetspecError,
        match=r"is empty(.|\n)*`netspec dataset .*` reports whether it was cut off",
    ):
        open_records(str(path))
    assert examine_database(path).fault_count == 1
    log.unlink()
    assert examine_database(path).faults[0].reason == "its log 000090.log is missing"


def test_a_leveldb_with_a_damaged_log_block_goes_on_with_the_next(tmp_path, datums):
    path = tmp_path / "db"
    write_database(
        path,
        batches=[batch(i + 1, (b"%03d" % i, datums[0].SerializeToString())) for i in range(200)],
    )
    log = path / "000090.log"
    content = bytearray(log.read_bytes())
    content[6] = 9  # the kind of the first piece
    log.write_bytes(content)
    info = examine_database(path)
    assert info.records == 199
    assert info.faults[0].reason == "its file 000090.log is damaged"
    with pytest.raises(NetspecError, match=r"its file 000090.log is damaged"):
        open_records(str(path))


def test_a_table_that_the_manifest_does_not_name_is_reported(reference, tmp_path):
    shutil.copytree(reference / "raw_leveldb", tmp_path / "db")
    (tmp_path / "db" / "000009.ldb").write_bytes(b"")
    info = examine_database(tmp_path / "db")
    assert info.records == 12
    assert (
        info.faults[0].reason
        == "its table 000009.ldb is not named by its manifest, so that its records are not read"
    )


def test_an_empty_database_is_reported(write_lmdb):
    with pytest.raises(NetspecError, match="is empty"):
        examine_database(write_lmdb("db", []))
