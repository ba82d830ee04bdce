"""Caffemodels of every age and fork: how their values may stand in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.files.varint import varint
from netspec.schema.caffe_pb2 import BlobProto, BlobShape, V0LayerParameter
from netspec.weights.caffemodel import read_caffemodel

VALUES = np.array([[1.5, -2, 0], [70000, 1e-7, 3]])
SHAPE = BlobProto(shape=BlobShape(dim=[2, 3])).SerializeToString()


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(at: int, value: int) -> bytes:
    return varint(at << 3) + varint(value)


def read(tmp_path: Path, blob: bytes) -> np.ndarray:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(field(100, field(1, b"ip") + field(7, blob)))
    return read_caffemodel(path)["ip"][0]


@pytest.mark.parametrize(
    ("raw_type", "dtype"), [*enumerate(["<f8", "<f4", "<f2", "<i4", "<u4"])], ids=str
)
def test_raw_values_of_nvidias_fork(tmp_path: Path, raw_type: int, dtype: str) -> None:
    values = np.abs(VALUES) if dtype == "<u4" else VALUES
    with np.errstate(over="ignore"):  # a half ends at 65504
        held = values.astype(dtype)
    blob = SHAPE + number(10, raw_type) + field(12, held.tobytes())
    blob += number(11, 2) + field(13, bytes(12))  # raw_diff
    np.testing.assert_array_equal(read(tmp_path, blob), held.astype(np.float32))


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (field(12, bytes(12)), "does not say of what type its raw values are"),
        (number(10, 7) + field(12, bytes(12)), "says of type 7 its raw values are"),
        (number(10, 2) + field(12, bytes(13)), "ends within a value"),
        (number(10, 2) + field(12, bytes(10)), "2×3, 6 values, but holds 5"),
        (field(5, bytes(26)), "ends within a value"),
    ],
)
def test_raw_values_that_are_not_whole(tmp_path: Path, blob: bytes, message: str) -> None:
    with pytest.raises(NetspecError, match=rf"blob 0 of layer 'ip' .*{message}"):
        read(tmp_path, SHAPE + blob)


def test_doubles_with_gradients(tmp_path: Path) -> None:
    blob = BlobProto(num=1, channels=1, height=2, width=3, double_data=VALUES.ravel())
    blob.double_diff.extend(range(6))
    read_ = read(tmp_path, blob.SerializeToString())
    np.testing.assert_array_equal(read_, VALUES.astype(np.float32).reshape(1, 1, 2, 3))


def test_values_that_stand_in_pieces_or_one_by_one(tmp_path: Path) -> None:
    values = VALUES.ravel().astype("<f4")
    pieces = field(5, values[:2].tobytes()) + SHAPE + field(5, values[2:].tobytes())
    np.testing.assert_array_equal(read(tmp_path, pieces), values.reshape(2, 3))
    singles = b"".join(varint(5 << 3 | 5) + value.tobytes() for value in values)
    np.testing.assert_array_equal(read(tmp_path, SHAPE + singles), values.reshape(2, 3))


def test_the_oldest_form_keeps_name_and_blobs_within(tmp_path: Path) -> None:
    oldest = V0LayerParameter(name="conv1", type="conv")
    oldest.blobs.add(num=2, channels=1, height=1, width=1, data=[8, 9])
    path = tmp_path / "net.caffemodel"
    path.write_bytes(field(2, field(1, oldest.SerializeToString()) + field(2, b"data")))
    np.testing.assert_array_equal(read_caffemodel(path)["conv1"][0].ravel(), [8, 9])
