"""`netspec features`: what blobs hold for each record, in the formats that others read."""

from __future__ import annotations

from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch

import netspec
from netspec.cli import main
from netspec.readers.images import decode
from netspec.schema.caffe_pb2 import Datum
from tests.pictures import picture, small_net

DATA = """\
layer { name: "data" type: "DummyData" top: "data" dummy_data_param {
  shape { dim: 4 dim: 3 dim: 12 dim: 10 } data_filler { type: "gaussian" std: 1 } } }
"""
NET = ["deploy.prototxt", "--weights", "net.caffemodel"]


@pytest.fixture(autouse=True)
def _net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_net(tmp_path, "# netspec: preprocess { mean_value: 100 scale: 0.02 }")
    for i in range(6):
        picture(tmp_path / f"{i}.png", 12, 10, seed=i)


def expected(names: list[str], *blobs: str) -> dict[str, np.ndarray]:
    pixels = np.stack([decode(Path(name).read_bytes(), True) for name in names])
    module = netspec.compile("deploy.prototxt", weights="net.caffemodel", outputs=blobs)
    with torch.no_grad():
        data = torch.from_numpy((pixels.astype(np.float32) - 100) * np.float32(0.02))
        return {name: value.numpy() for name, value in module(data=data).items()}


def records(path: str) -> dict[bytes, Datum]:
    with lmdb.open(path, readonly=True, lock=False) as opened, opened.begin() as transaction:
        return {key: Datum.FromString(value) for key, value in transaction.cursor()}


@pytest.mark.parametrize("out", ["out.npz", "out.h5"])
def test_arrays_by_blob_with_the_pictures_paths(out, capsys):
    if out.endswith(".h5"):
        h5py = pytest.importorskip("h5py")
    names = [f"{i}.png" for i in range(6)]
    assert main(["features", *NET, "--blobs", "fc,conv", *names, out]) == 0
    assert capsys.readouterr().out == f"wrote {out}: 6 records\n"
    wanted = expected(names, "fc", "conv")
    with np.load(out) if out.endswith(".npz") else h5py.File(out) as found:
        assert set(found) == {"fc", "conv", "images"}
        for name in wanted:
            assert found[name].dtype == np.float32
            assert np.allclose(found[name][:], wanted[name], rtol=1e-5, atol=1e-6)
        paths = found["images"][:] if out.endswith(".npz") else found["images"].asstr()[:]
        assert list(paths) == names
    assert main(["features", *NET, "--blobs", "fc", *names, out]) == 1
    assert f"'{out}' already exists" in capsys.readouterr().err
    assert main(["features", *NET, "--blobs", "fc", "0.png", out, "--overwrite"]) == 0


def test_lmdbs_as_caffe_writes_them():
    assert main(["features", *NET, "--blobs", "fc,conv", "0.png", "1.png", "fc_lmdb,c.lmdb"]) == 0
    wanted = expected(["0.png", "1.png"], "fc", "conv")
    for path, name, size in (("fc_lmdb", "fc", (6, 1, 1)), ("c.lmdb", "conv", (4, 10, 8))):
        found = records(path)
        assert list(found) == [b"0000000000", b"0000000001"]
        for datum, value in zip(found.values(), wanted[name], strict=True):
            assert (datum.channels, datum.height, datum.width) == size
            assert not datum.data
            assert not datum.HasField("label")
            assert np.allclose(datum.float_data, value.ravel(), rtol=1e-5, atol=1e-6)
        assert Path(path, "images.txt").read_text() == "0.png\n1.png\n"
    net = 'layer { name: "d" type: "Data" top: "d" data_param { source: "fc_lmdb" batch_size: 2'
    fed = next(netspec.batches(netspec.loads(net + " backend: LMDB } }")))["d"]
    assert np.allclose(fed.reshape(2, 6), wanted["fc"], rtol=1e-5, atol=1e-6)


def test_the_nets_own_data(capsys):
    text = Path("deploy.prototxt").read_text()
    Path("train_val.prototxt").write_text(DATA + text[text.index('layer { name: "conv"') :])
    words = ["features", "train_val.prototxt", *NET[1:], "--blobs", "prob,data"]
    assert main([*words, "--iterations", "3", "out.npz"]) == 0
    with np.load("out.npz") as found:
        assert found["prob"].shape == (12, 6)
        assert set(found) == {"prob", "data"}
        module = netspec.compile("deploy.prototxt", weights="net.caffemodel")
        with torch.no_grad():
            again = module(data=torch.from_numpy(found["data"]))["prob"].numpy()
        assert np.allclose(found["prob"], again, rtol=1e-5)
    assert main([*words, "other.npz"]) == 1
    assert "say how many batches of the net's data" in capsys.readouterr().err


def test_a_picture_that_cant_be_read_is_left_out(capsys):
    Path("bad.png").write_bytes(b"none")
    assert main(["features", *NET, "--blobs", "fc", "0.png", "bad.png", "2.png", "out.npz"]) == 1
    out, err = capsys.readouterr()
    assert out == "wrote out.npz: 2 records\n"
    assert "'bad.png' does not decode" in err
    with np.load("out.npz") as found:
        assert list(found["images"]) == ["0.png", "2.png"]
        assert np.allclose(found["fc"], expected(["0.png", "2.png"], "fc")["fc"], rtol=1e-5)
    assert main(["features", *NET, "--blobs", "fc", "bad.png", "none_lmdb"]) == 1
    assert "there is no record to write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--blobs", "fc8", "0.png", "out.npz"], "has no blob 'fc8' to cut it at"),
        (["--blobs", "fc", "0.png", "out.csv"], "the suffix of 'out.csv' says no format"),
        (["--blobs", "fc,conv", "0.png", "a_lmdb"], "2 blobs for 1 LMDB"),
        (["--blobs", "fc,conv", "0.png", "a,./a"], "names one LMDB twice"),
        (["--blobs", "fc", "out.npz"], "has no data layer; name pictures before 'out.npz'"),
        (["--blobs", "fc", "--iterations", "2", "0.png", "out.npz"], "--iterations is for the"),
        (["--blobs", ",", "0.png", "out.npz"], "--blobs names no blob"),
        (["--blobs", "fc", "0.png", "no/folder/out.npz"], "'no/folder/out.npz' can't be written"),
        (["--blobs", "fc", "0.png", "full"], "'full' already exists"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_written(words, message, capsys):
    Path("full").mkdir()
    before = set(Path().rglob("*"))
    assert main(["features", *NET, *words]) == 1
    assert message in capsys.readouterr().err
    assert set(Path().rglob("*")) == before
