"""What a record's shape is, found cheaply."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.readers.probe import hdf5_row_shapes, record_shape
from netspec.schema.caffe_pb2 import Datum


@pytest.fixture
def shape(data_net):
    return lambda *args: record_shape(data_net(*args).layers[0])


def test_of_the_first_record(shape, write_lmdb, datums, reference):
    assert shape(write_lmdb("db", datums)) == (3, 10, 12)
    assert shape(write_lmdb("db2", datums), "crop_size: 5") == (3, 10, 12)
    assert shape(reference / "raw_leveldb") == (3, 20, 24)
    # only compressed records can be forced
    assert shape(reference / "gray_lmdb", "force_color: true") == (1, 20, 24)


def test_of_a_compressed_record(shape, reference):
    for transform, channels in (("", 3), ("force_gray: true", 1), ("force_color: true", 3)):
        assert shape(reference / "png_lmdb", transform) == (channels, 20, 24)


def test_of_the_mean_file_where_it_is_there(shape, write_mean):
    assert shape("none_lmdb", f'mean_file: "{write_mean(np.zeros((3, 8, 9)))}"') == (3, 8, 9)
    assert shape("none_lmdb", 'mean_file: "none"') is None


def test_of_the_settings_alone(shape):
    assert shape("none_lmdb", "crop_size: 7") is None
    assert shape("none_lmdb", "force_color: true") is None
    assert shape("none_lmdb", "crop_size: 7 force_color: true") == (3, 7, 7)
    assert shape("none_lmdb", "crop_size: 7 force_gray: true") == (1, 7, 7)
    assert shape("none_lmdb", "crop_size: 7 mean_value: 1 mean_value: 2") == (2, 7, 7)
    assert shape("none_lmdb", "crop_size: 7 mean_value: 1") is None
    assert shape("", "") is None


def test_of_an_image_list(make_net, reference, tmp_path):
    def shape(param):
        return record_shape(
            make_net(
                f'layer {{ name: "d" type: "ImageData" top: "d" image_data_param {{ {param} }} }}'
            ).layers[0]
        )

    source = f'source: "{reference}/list_full.txt"'
    assert shape(source) == (3, 20, 24)
    assert shape(source + " is_color: false") == (1, 20, 24)
    assert shape(f'source: "{reference}/list.txt" root_folder: "images/"') == (3, 20, 24)
    assert shape('source: "none" new_height: 5 new_width: 6') == (3, 5, 6)
    assert shape('source: "none"') is None
    (tmp_path / "list.txt").write_text("none.png 3\n")
    assert shape(f'source: "{tmp_path}/list.txt"') is None


def test_of_windows(make_net, tmp_path):
    def shape(crop):
        text = (
            f'layer {{ type: "WindowData" transform_param {{ {crop} }} '
            'window_data_param { source: "windows.txt" } }'
        )
        return record_shape(make_net(text).layers[0])

    assert shape("crop_size: 7") is None
    (tmp_path / "windows.txt").write_text("# 0\nimages/a.jpg\n3\n375\n500\n1\n1 0.9 0 0 9 9\n")
    assert shape("crop_size: 7") == (3, 7, 7)
    assert shape("") is None
    (tmp_path / "windows.txt").write_text("something else")
    with pytest.raises(NetspecError, match=r"'.*windows.txt' is not a list of windows"):
        shape("crop_size: 7")


def test_of_hdf5_rows(make_net, tmp_path):
    h5py = pytest.importorskip("h5py")
    net = make_net(
        'layer { type: "HDF5Data" top: "a" top: "b" hdf5_data_param { source: "list.txt" } }'
    )
    assert hdf5_row_shapes(net.layers[0]) is None
    (tmp_path / "list.txt").write_text("rows.h5")
    assert hdf5_row_shapes(net.layers[0]) is None
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["a"], file["b"] = np.zeros((5, 3, 2)), np.zeros(5)
    assert hdf5_row_shapes(net.layers[0]) == [(3, 2), ()]


def test_what_is_there_but_damaged_is_reported(shape, tmp_path, reference, write_lmdb):
    (tmp_path / "mean").write_bytes(b"\xff")
    with pytest.raises(NetspecError, match=r"is not a .binaryproto of a blob"):
        shape("none", f'mean_file: "{tmp_path / "mean"}"')
    shutil.copytree(reference / "raw_lmdb", tmp_path / "cut")
    (tmp_path / "cut" / "data.mdb").write_bytes(
        (reference / "raw_lmdb" / "data.mdb").read_bytes()[:9000]
    )
    with pytest.raises(NetspecError, match="it is cut off"):
        shape(tmp_path / "cut")
    with pytest.raises(NetspecError, match=r"record 0 \('00000000'\) of '.*' has no size"):
        shape(write_lmdb("db", [Datum(channels=3)]))


def test_needs_nothing_heavy_for_databases_and_means(reference):
    text = f"""
import sys
from netspec.readers.probe import record_shape
from netspec.files.mean_file import read_mean_blob
from netspec.stores.records import open_records
open_records({str(reference / "raw_lmdb")!r}).read(0)
read_mean_blob({str(reference / "mean.binaryproto")!r})
heavy = ("numpy", "PIL", "lmdb", "h5py", "torch", "cramjam")
print([name for name in heavy if name in sys.modules])
"""
    assert (
        subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )
