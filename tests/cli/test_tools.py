"""The scripts in tools/ by Caffe's names, with Caffe's flags."""

from __future__ import annotations

import csv
import runpy
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.readers.images import decode, resize
from netspec.schema.caffe_pb2 import Datum
from tests.conftest import ROOT
from tests.pictures import picture, small_net

RECORD = "# netspec: preprocess { mean_value: 100 scale: 0.02 }"


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tool(monkeypatch, capsys):
    """Runs a script of tools/; returns its status, stdout and stderr."""

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "tools" / name), run_name="__main__")
        return (ended.value.code or 0, *capsys.readouterr())

    return run


def datums(path: str) -> dict[bytes, Datum]:
    with lmdb.open(path, readonly=True, lock=False) as opened, opened.begin() as transaction:
        return {key: Datum.FromString(value) for key, value in transaction.cursor()}


TRAIN_VAL = """\
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 3 dim: 12 dim: 10 } shape { dim: 4 } data_filler { type: "gaussian" std: 1 }
  data_filler { type: "constant" } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" param { lr_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 } inner_product_param { num_output: 6
  weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


def test_caffes_own_command(tool):
    Path("net.prototxt").write_text(TRAIN_VAL)
    netspec.save_weights(netspec.compile("net.prototxt", seed=1), "net.caffemodel")
    words = ["-model", "net.prototxt", "-weights=net.caffemodel", "--iterations", "2"]
    status, out, _ = tool("caffe", "test", *words)
    assert status == 0
    assert "Batch 1, loss = " in out
    assert tool("caffe", *words, "test")[1].split("\n")[2:4] == out.split("\n")[2:4]
    status, out, _ = tool("caffe", "time", "-model=net.prototxt", "-iterations=1")
    assert (status, "fc" in out) == (0, True)
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 2 snapshot_prefix: "s"'
    )
    assert tool("caffe", "train", "--solver=solver.prototxt", "--cpu")[0] == 0
    assert Path("s_iter_2.caffemodel").is_file()
    assert tool("caffe", "--version")[1].startswith("netspec ")
    assert tool("caffe", "fly")[0] == 2
    assert tool("caffe")[0] == 2
    status, _, err = tool("caffe", "device_query", "-gpu", "99")
    assert (status, "there is no GPU '99'" in err) == (1, True)


def test_a_database_and_its_mean(tool):
    Path("root").mkdir()
    for i in range(3):
        picture(Path(f"root/{i}.png"), 9, 9, seed=i)
    Path("list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(3)))
    flags = ["-resize_height=8", "--resize_width", 6, "-gray"]
    assert tool("convert_imageset", *flags, "root/", "list.txt", "db")[0] == 0
    found = datums("db")
    assert [(d.channels, d.height, d.width, d.label) for d in found.values()] == [
        (1, 8, 6, i) for i in range(3)
    ]
    assert next(iter(found)) == b"00000000_0.png"
    assert tool("convert_imageset", "root/", "list.txt", "db")[0] == 1  # it is there already
    values = [np.frombuffer(datum.data, np.uint8).astype(float) for datum in found.values()]
    status, out, _ = tool("compute_image_mean", "-backend", "lmdb", "db")
    assert status == 0
    assert f"mean_value channel [0]: {np.mean(values):.6g}" in out
    assert tool("compute_image_mean", "db", "mean.binaryproto")[0] == 0
    assert Path("mean.binaryproto").is_file()
    for name, words in (
        ("convert_imageset", ["-grey", "a", "b", "c"]),
        ("convert_imageset", ["-gray=perhaps", "a", "b", "c"]),
        ("convert_imageset", ["a", "b", "c", "-backend"]),
        ("convert_imageset", ["-backend=leveldb", "root/", "list.txt", "other"]),
        ("compute_image_mean", ["none"]),
    ):
        status, _, err = tool(name, *words)
        assert (status, err.startswith("error: ")) == (1, True)
    assert tool("convert_imageset", "a", "b")[0] == 2
    assert tool("compute_image_mean")[0] == 2


def test_extract_features(tool):
    Path("net.prototxt").write_text(TRAIN_VAL)
    netspec.save_weights(netspec.compile("net.prototxt", seed=1), "net.caffemodel")
    words = ["net.caffemodel", "net.prototxt", "fc,data", "fc_db,data_db", 3, "lmdb", "CPU"]
    assert tool("extract_features", *words)[0] == 0
    features, data = datums("fc_db"), datums("data_db")
    assert list(features) == [b"%010d" % i for i in range(12)]
    weight, bias = (
        blob.detach().numpy()
        for blob in netspec.compile("net.prototxt", weights="net.caffemodel").params["fc"]
    )
    key = b"0000000007"
    expected = np.array(data[key].float_data) @ weight.reshape(6, -1).T + bias
    assert np.allclose(features[key].float_data, expected, rtol=1e-4, atol=1e-5)
    for wrong in (["leveldb"], ["lmdb", "TPU"]):
        assert tool("extract_features", *words[:5], *wrong)[0] == 1
    assert tool("extract_features", *words[:3])[0] == 2


def test_classify(tool, tmp_path):
    small_net(tmp_path, RECORD)
    Path("photos").mkdir()
    for i in range(3):
        picture(Path(f"photos/{i}.png"), seed=i)
    words = ["--model_def", "deploy.prototxt", "--pretrained_model", "net.caffemodel"]
    given = [*words, "--ext", "png", "--images_dim", "20,16"]
    assert tool("classify.py", "photos", "scores.npy", *given)[0] == 0
    paths = [f"photos/{i}.png" for i in range(3)]
    options = {"said": {"new_size": (20, 16)}, "oversample": True, "top": 6}
    wanted = netspec.classify(paths, "deploy.prototxt", "net.caffemodel", **options)
    rows = [
        [one.score for one in sorted(found.guesses, key=lambda one: one.index)] for found in wanted
    ]
    assert np.allclose(np.load("scores.npy"), rows, rtol=1e-5)
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    np.save("pictures.npy", (pixels / 255).astype(np.float32))
    assert tool("classify.py", "pictures.npy", "again.npy", *given)[0] == 0
    assert np.array_equal(np.load("again.npy"), np.load("scores.npy"))
    Path("photos/bad.png").write_bytes(b"")
    before = Path("scores.npy").read_bytes()
    status, _, err = tool("classify.py", "photos", "scores.npy", *given)
    assert (status, "'scores.npy' is not written" in err) == (1, True)
    assert Path("scores.npy").read_bytes() == before
    for source, out in (("scores.npy", "x.npy"), ("none.jpg", "x.npy"), (paths[0], paths[1])):
        assert tool("classify.py", source, out, *given)[0] == 1
        assert not Path("x.npy").exists()


def test_detect_gives_the_scores_of_windows(tool, tmp_path):
    net = tmp_path / "deploy.prototxt"
    small_net(tmp_path, RECORD)
    net.write_text(net.read_text().replace("dim: 12 dim: 10", "dim: 12 dim: 12"))
    netspec.save_weights(netspec.compile(net, seed=3), tmp_path / "net.caffemodel")
    picture(tmp_path / "a.png", 30, 24)
    Path("w.csv").write_text("filename,xmin,ymin,xmax,ymax\na.png,0,0,23,29\na.png,4,6,15,17\n")
    words = ["--model_def", "deploy.prototxt", "--pretrained_model", "net.caffemodel"]
    given = [*words, "--context_pad", "0"]
    assert tool("detect.py", "w.csv", "out.csv", *given)[0] == 0
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    pixels = decode(Path("a.png").read_bytes(), True)
    parts = resize(pixels, 12, 12), pixels[:, 6:18, 4:16]
    for row, part in zip(rows, parts, strict=True):
        (found,) = netspec.classify(np.ascontiguousarray(part), net, "net.caffemodel", top=6)
        for one in found.guesses:
            assert float(row[f"class{one.index}"]) == pytest.approx(one.score, rel=1e-5)
    assert (rows[1]["xmin"], rows[1]["ymax"]) == ("4", "17")
    h5py = pytest.importorskip("h5py")
    assert tool("detect.py", "w.csv", "out.h5", *words, "--context_pad", "2")[0] == 0
    with h5py.File("out.h5") as found:
        assert found["prediction"].shape == (2, 6)
        assert found["windows"][1].tolist() == [6, 4, 17, 15]
    for text, message in (
        ("filename,xmin\na.png,1\n", "lacks the columns filename,xmin,ymin,xmax,ymax"),
        ("filename,xmin,ymin,xmax,ymax\n", "has no windows"),
        ("filename,xmin,ymin,xmax,ymax\na.png,1,2,x,4\n", "line 2 of 'w.csv' has 'x' for a pixel"),
        ("filename,xmin,ymin,xmax,ymax\na.png,1,2,99,4\n", "window 1 2 99 4 does not lie in"),
        ("filename,xmin,ymin,xmax,ymax\nb.png,1,2,3,4\n", "'b.png' can't be read"),
    ):
        Path("w.csv").write_text(text)
        status, _, err = tool("detect.py", "w.csv", "new.csv", *given)
        assert (status, message in err) == (1, True), err
        assert not Path("new.csv").exists()


def test_plot_training_log(tool):
    pytest.importorskip("matplotlib")
    log = "run.log"
    lines = (
        f"I0102 10:00:0{i}.000000 7 solver.cpp:218] Iteration {i}, loss = {3 - i}\n"
        f"I0102 10:00:0{i}.000000 7 sgd_solver.cpp:105] Iteration {i}, lr = 0.0{i + 1}\n"
        for i in range(3)
    )
    Path(log).write_text("".join(lines))
    for kind in (4, 6, 7):
        assert tool("plot_training_log.py", kind, f"{kind}.png", log)[0] == 0
        assert Path(f"{kind}.png").read_bytes().startswith(b"\x89PNG")
    assert tool("plot_training_log.py", 0, "x.png", log)[0] == 1  # there is no accuracy
    assert tool("plot_training_log.py", 8, "x.png", log)[0] == 2


def test_summarize(tool):
    Path("net.prototxt").write_text(
        TRAIN_VAL + 'layer { name: "c" type: "Convolution" bottom: "none" top: "c" '
        "convolution_param { num_output: 8 group: 2 kernel_h: 3 kernel_w: 1 pad: 1 } }"
    )
    status, out, _ = tool("summarize.py", "net.prototxt")
    assert status == 0
    lines = [line.split("  ") for line in out.splitlines()]
    assert [line[0] for line in lines] == ["data", "fc", "loss", "c"]
    assert "· 1×/1×, · 2×/0×" in out
    assert "fc, label → loss*" in out
    assert "none! → c*  3×1/1+1 8/2" in out
    assert tool("summarize.py", "none.prototxt")[0] == 1


@pytest.mark.parametrize("library", ["opencv", "PIL"])
def test_resize_and_crop_images(tool, library):
    Path("in/below").mkdir(parents=True)
    picture(Path("in/a.png"), 40, 20)
    picture(Path("in/below/b.jpg"), 15, 30)
    Path("in/bad.png").write_bytes(b"none")
    words = ["--input_folder", "in", "--output_folder", "out", "--output_side_length", 10]
    status, out, err = tool("resize_and_crop_images.py", *words, "--image_lib", library)
    assert (status, out) == (1, "out: 2 pictures, 1 left out\n")
    assert "'in/bad.png' does not decode" in err
    found = decode(Path("out/a.png").read_bytes(), True)
    assert found.shape == (3, 10, 10)
    if library == "opencv":
        whole = resize(decode(Path("in/a.png").read_bytes(), True), 20, 10)
        assert np.array_equal(found, whole[:, 5:15])
    assert decode(Path("out/below/b.jpg").read_bytes(), True).shape == (3, 10, 10)
    assert tool("resize_and_crop_images.py", *words)[1] == "out: 0 pictures, 3 left out\n"
    assert (
        tool("resize_and_crop_images.py", "--input_folder", "in", "--output_folder", "in")[0] == 1
    )
