"""`netspec dataset mean`: compute_image_mean's file, byte for byte."""

import argparse
from pathlib import Path

import numpy as np
import pytest

from netspec.cli import dataset
from netspec.diagnostics import NetspecError
from netspec.making.encode_datum import encode_image, encoded_datum, raw_datum
from netspec.making.mean_image import mean_of_database, write_mean
from netspec.schema.caffe_pb2 import BlobProto, Datum
from netspec.stores.lmdb_writer import LmdbWriter

REFERENCE = Path(__file__).parents[1] / "reference" / "data"


def database(path, values):
    with LmdbWriter(path) as writer:
        for i, value in enumerate(values):
            writer.put(f"{i:08d}".encode(), value)
    return path


def test_equals_what_caffe_computed(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    dataset.configure(parser)
    out = tmp_path / "mean.binaryproto"
    assert dataset.run(parser.parse_args(["mean", str(REFERENCE / "raw_lmdb"), str(out)])) == 0
    assert out.read_bytes() == (REFERENCE / "mean.binaryproto").read_bytes()
    lines = capsys.readouterr().out.splitlines()
    blob = BlobProto.FromString(out.read_bytes())
    channels = np.array(blob.data).reshape(3, -1).mean(axis=1)
    assert [line.split()[:2] for line in lines[1:]] == [
        ["mean_value:", f"{value:.6g}"] for value in channels
    ]
    assert [line.split()[-1] for line in lines[1:]] == ["blue", "green", "red"]


def test_compressed_and_float_records(tmp_path):
    image = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    floats = Datum(channels=3, height=2, width=4, float_data=[0.5] * 24)
    path = database(
        tmp_path / "db",
        [
            raw_datum(image, 0),
            encoded_datum(encode_image(image, "png"), 1),
            floats.SerializeToString(),
        ],
    )
    np.testing.assert_allclose(mean_of_database(path), (image * 2.0 + 0.5) / 3, rtol=1e-7)


def test_sums_stay_exact_where_caffe_rounds(tmp_path):
    from netspec.making.mean_image import MeanImage

    mean = MeanImage()
    image = np.array([[[255, 254]]], np.uint8)
    for _ in range(70_000):
        mean.add(image, "")
    assert mean.mean().tolist() == [[[255, 254]]]


def test_another_size_names_the_key(tmp_path):
    path = database(
        tmp_path / "db",
        [raw_datum(np.zeros((1, 2, 3), np.uint8), 0), raw_datum(np.zeros((1, 3, 2), np.uint8), 0)],
    )
    with pytest.raises(NetspecError, match=r"'00000001'.* is 1×3×2, but the first is 1×2×3"):
        mean_of_database(path)


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xff",
        Datum(channels=1, height=2, width=2, data=b"123").SerializeToString(),
        encoded_datum(b"GIF8", 0),
    ],
)
def test_a_record_that_is_no_image_names_the_key(tmp_path, value):
    with pytest.raises(NetspecError, match="'00000000'"):
        mean_of_database(database(tmp_path / "db", [value]))


def test_a_missing_database(tmp_path):
    with pytest.raises(NetspecError, match="missing"):
        mean_of_database(tmp_path / "db")


def test_the_file_is_written_whole_or_not(tmp_path):
    with pytest.raises(NetspecError, match="can't be written"):
        write_mean(tmp_path / "no" / "mean.binaryproto", np.zeros((1, 2, 2), np.float32))
