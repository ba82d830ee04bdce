"""LMDBs are whole or not there."""

import os
import subprocess
import sys
import textwrap

import lmdb
import pytest

from netspec.diagnostics import NetspecError
from netspec.stores import lmdb_writer
from netspec.stores.lmdb_writer import LmdbWriter


def entries(path):
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def test_records_come_back_in_the_order_of_keys(tmp_path):
    with LmdbWriter(tmp_path / "new" / "db") as writer:
        for key in (b"b", b"c", b"a"):
            writer.put(key, key * 3)
    assert entries(tmp_path / "new" / "db") == [(b"a", b"aaa"), (b"b", b"bbb"), (b"c", b"ccc")]
    assert os.listdir(tmp_path / "new") == ["db"]


def test_the_map_grows_within_a_commit_and_between(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_writer, "_FIRST_MAP", 64 << 10)
    with LmdbWriter(tmp_path / "db") as writer:
        for i in range(2500):
            writer.put(f"{i:08d}".encode(), bytes([i % 256]) * 3000)
    records = entries(tmp_path / "db")
    assert [key for key, _ in records] == [f"{i:08d}".encode() for i in range(2500)]
    assert all(value == bytes([i % 256]) * 3000 for i, (_, value) in enumerate(records))


def write(path, records, replace=False, then=None):
    with LmdbWriter(path, replace) as writer:
        for key, value in records:
            writer.put(key, value)
        if then:
            then()


def raising(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_run_leaves_nothing(tmp_path, error):
    with pytest.raises(error):
        write(
            tmp_path / "db", [(f"{i:08d}".encode(), b"x") for i in range(1500)], then=raising(error)
        )
    assert os.listdir(tmp_path) == []


def test_a_killed_process_leaves_nothing_under_the_name(tmp_path):
    code = f"""
        import os
        from netspec.stores.lmdb_writer import LmdbWriter
        with LmdbWriter({str(tmp_path / "db")!r}) as writer:
            for i in range(1500):
                writer.put(b"%08d" % i, b"x")
            os.kill(os.getpid(), 9)
    """
    assert (
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False).returncode == -9
    )
    assert not (tmp_path / "db").exists()


def test_what_is_there_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "data.mdb").write_bytes(b"")
    (tmp_path / "folder" / "thesis.tex").write_bytes(b"")
    for replace in (False, True):  # even then only an LMDB is replaced
        with pytest.raises(NetspecError, match="already exists"):
            LmdbWriter(tmp_path / "folder", replace)
    assert (tmp_path / "folder" / "thesis.tex").exists()


def test_replacing_happens_when_the_new_one_is_whole(tmp_path):
    write(tmp_path / "db", [(b"key", b"old")])
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "db", [(b"key", b"half")], replace=True, then=raising(KeyboardInterrupt))
    assert entries(tmp_path / "db") == [(b"key", b"old")]
    write(tmp_path / "db", [(b"key", b"new")], replace=True)
    assert entries(tmp_path / "db") == [(b"key", b"new")]
    assert os.listdir(tmp_path) == ["db"]


def test_one_that_came_to_be_in_the_meantime_stays(tmp_path):
    with pytest.raises(NetspecError, match="came to be"):
        write(tmp_path / "db", [(b"key", b"value")], then=(tmp_path / "db").mkdir)
    assert os.listdir(tmp_path) == ["db"]
    assert os.listdir(tmp_path / "db") == []


@pytest.mark.parametrize("key", [b"", b"x" * 512])
def test_keys_that_do_not_fit(tmp_path, key):
    with pytest.raises(NetspecError, match=f"has {len(key)} bytes"):
        write(tmp_path / "db", [(key, b"value")])
    assert os.listdir(tmp_path) == []


def test_a_key_that_comes_twice(tmp_path):
    with pytest.raises(NetspecError, match="'a' comes twice"):
        write(tmp_path / "db", [(b"a", b"1"), (b"a", b"2")])
    assert os.listdir(tmp_path) == []


def test_refusals_of_the_system_are_reported(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(NetspecError, match="can't be written"),
        LmdbWriter(tmp_path / "file" / "db"),
    ):
        pass


def test_a_full_disk_is_reported_and_cleaned_up(tmp_path):
    code = f"""
        import resource, signal
        from netspec.stores.lmdb_writer import LmdbWriter
        from netspec.diagnostics import NetspecError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            with LmdbWriter({str(tmp_path / "db")!r}) as writer:
                for i in range(2000):
                    writer.put(b"%08d" % i, b"x" * 1000)
        except NetspecError as error:
            print(error)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "can't be written" in result.stdout
    assert os.listdir(tmp_path) == []
