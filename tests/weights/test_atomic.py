"""A file is whole or not there."""

import os
import stat
import subprocess
import sys
import textwrap

import pytest

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError


def test_replaces_the_old_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a.caffemodel"
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    write_atomically(tmp_path / "b", lambda file: file.write(b"by a function"))
    assert path.read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["a.caffemodel", "b"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_a_write_that_is_interrupted_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def interrupted(file):
        file.write(b"half")
        raise error("stopped")

    with pytest.raises(NetspecError if error is OSError else error):
        write_atomically(path, interrupted)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    code = f"""
        import os
        from netspec.atomic import write_atomically
        def half(file):
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), 9)
        write_atomically({str(path)!r}, half)
    """
    assert (
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False).returncode == -9
    )
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such/folder/a", "does not exist"),
        ("", "it is a folder"),
        ("file/a", "can't be written"),
        ("x" * 300, "can't be written"),
        ("a\0", "can't be written"),
    ],
)
def test_refusals_of_the_system_are_reported(tmp_path, name, message):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NetspecError, match=message):
        write_atomically(tmp_path / name, b"new")
    assert os.listdir(tmp_path) == ["file"]


def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(NetspecError, match="not a plain file"):
        write_atomically("/dev/full", b"new")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_link_keeps_pointing_at_its_file(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_others_may_read_the_file(tmp_path):
    old = os.umask(0o022)
    try:
        write_atomically(tmp_path / "a", b"new")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
