"""Which database lies at a path, and what is reported where none does."""

import shutil

import pytest

from netspec.diagnostics import NetspecError, Source, Span
from netspec.schema.caffe_pb2 import DataParameter
from netspec.stores.records import open_records

LEVELDB, LMDB = DataParameter.LEVELDB, DataParameter.LMDB


@pytest.mark.parametrize("backend", [LEVELDB, LMDB])
@pytest.mark.parametrize("name", ["raw_lmdb", "raw_leveldb"])
def test_the_disk_decides_what_it_is(reference, name, backend):
    """A net that forgot `backend: LMDB` says LEVELDB by default; Caffe stops there."""
    records = open_records(str(reference / name), backend)
    assert records.count == 12
    key, datum = records.read(12)
    assert (key, datum.label) == (b"00000000_im00.png", 6)
    records.close()


def test_the_backend_decides_where_both_lie(reference, tmp_path, write_lmdb, datums):
    path = write_lmdb("both", datums[:3])
    for file in (reference / "raw_leveldb").iterdir():
        shutil.copy(file, path)
    for backend, count in ((LMDB, 3), (LEVELDB, 12)):
        records = open_records(path, backend)
        assert records.count == count
        records.close()


def test_a_missing_database_names_the_commands_that_make_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = 'source: "examples/imagenet/ilsvrc12_train_lmdb"'
    with pytest.raises(NetspecError) as caught:
        open_records(
            "examples/imagenet/ilsvrc12_train_lmdb",
            LMDB,
            Span(Source("net.prototxt", text), 8, len(text)),
        )
    message = str(caught.value)
    assert message.startswith(
        "net.prototxt:1:9: error: the database "
        "'examples/imagenet/ilsvrc12_train_lmdb' does not exist\n"
    )
    for command in (
        "netspec dataset sample --only bvlc_alexnet",
        "netspec dataset build LIST OUT",
        "netspec dataset import-idx FOLDER OUT",
    ):
        assert f"`{command}`" in message
    with pytest.raises(NetspecError) as caught:
        open_records("mine/train_lmdb", LMDB)
    assert "dataset sample" not in str(caught.value), (
        "no sample is made at a path of the user's own"
    )


def test_a_folder_without_a_database_is_reported(tmp_path):
    with pytest.raises(
        NetspecError,
        match=r"is not a database: it holds neither data\.mdb \(LMDB\) nor CURRENT \(LevelDB\)",
    ):
        open_records(str(tmp_path))


def test_a_file_of_another_kind_is_reported(tmp_path):
    (tmp_path / "net.prototxt").write_text('name: "a"\nlayer { name: "b" }\n')
    with pytest.raises(NetspecError, match="is not a database; it is a prototxt"):
        open_records(str(tmp_path / "net.prototxt"))


def test_an_empty_lmdb_is_reported(write_lmdb):
    with pytest.raises(NetspecError, match=r"the database '.*' is empty"):
        open_records(write_lmdb("db", []))


def test_a_value_that_is_no_datum_is_reported(write_lmdb, datums):
    records = open_records(write_lmdb("db", {b"a": datums[0], b"b\x1b\xff": b"\xff\xff no datum"}))
    records.read(0)
    with pytest.raises(NetspecError, match=r"record 1 \('b\\x1b\\\\xff'\) of '.*' is no Datum"):
        records.read(1)
    records.close()
