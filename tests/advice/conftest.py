"""A working folder with what the rules' examples name: databases of ten classes, a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.schema.caffe_pb2 import Datum
from tests.data_fixtures import write_lmdb

__all__ = ["write_lmdb"]


@pytest.fixture
def folder(
    tmp_path: Path, write_lmdb: Callable[[str, list[Datum]], str], monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.chdir(tmp_path)
    records = [
        Datum(channels=3, height=10, width=10, data=bytes(300), label=i % 10) for i in range(100)
    ]
    for name in ("train_lmdb", "test_lmdb"):
        write_lmdb(name, records)
    (tmp_path / "snapshots").mkdir()
    return tmp_path
