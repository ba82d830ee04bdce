"""The blobs of a caffemodel are read whatever its fork keeps at the numbers of Caffe's settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.files.varint import varint
from netspec.schema.caffe_pb2 import LayerParameter, NetParameter, V1LayerParameter
from netspec.weights.caffemodel import read_caffemodel

# Settings of forks at numbers at which Caffe keeps another message: here a text, at which Caffe's
# has a message of its own (mat_write_param 145 is Caffe's parameter_param, input_param 143 …).
NUMBERS = [143, 145, 146, 147, 148, 149, 152, 200, 203, 208, 8266711]


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def layer(name: str, old: bool = False) -> bytes:
    message = V1LayerParameter(name=name) if old else LayerParameter(name=name, type="Any")
    blob = message.blobs.add()
    blob.shape.dim[:] = [2, 3]
    blob.data[:] = range(6)
    return message.SerializeToString()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("old", [False, True])
def test_the_blobs_of_any_dialect(tmp_path: Path, number: int, old: bool) -> None:
    settings = field(number, field(1, b"\xffno message") + field(2, b"\xfe"))
    path = tmp_path / "net.caffemodel"
    net = field(1, b"net") + field(2 if old else 100, layer("conv", old) + settings)
    path.write_bytes(net + field(12, b"\xff"))
    weights = read_caffemodel(path)
    assert list(weights) == ["conv"]
    np.testing.assert_array_equal(weights["conv"][0], np.arange(6).reshape(2, 3))


def test_a_setting_at_which_protobuf_refuses_the_file_is_among_them() -> None:
    settings = field(145, field(1, b"\xffno message"))
    with pytest.raises(Exception, match="parsing"):
        NetParameter().ParseFromString(field(100, layer("conv") + settings))


def test_a_file_cut_short_is_still_reported(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes((field(100, layer("conv")) + field(100, layer("fc")))[:-5])
    with pytest.raises(NetspecError, match="cut short"):
        read_caffemodel(path)
