"""Whether a message is cut short, or damaged in another way."""

from __future__ import annotations

import pytest

from netspec.files.file_kind import cut_short
from netspec.schema.caffe_pb2 import BlobProto

BLOB = BlobProto(num=1, channels=3, data=[1.0, 2.0]).SerializeToString()


@pytest.mark.parametrize(
    ("raw", "cut"),
    [(BLOB, None), (BLOB[:-1], (4, len(BLOB))), (BLOB[:1], None), (BLOB[:3], (2, 4))],
)
def test_a_missing_end_is_found(raw: bytes, cut: tuple[int, int] | None) -> None:
    assert cut_short(raw, BlobProto()) == cut


def test_a_number_without_an_end_is_damage() -> None:
    """And is given up at 64 bits: to add up a megabyte of them takes minutes."""
    assert cut_short(BLOB + b"\xff" * 11, BlobProto()) is None
