"""`netspec weights --to`: inner products made convolutions, layers taken from other files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.cli import main
from netspec.pytorch.module import NetModule
from netspec.schema.caffe_pb2 import NetParameter
from netspec.weights.caffemodel import read_caffemodel
from netspec.weights.files import read_weights

DENSE = """name: "dense"
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [2, 3, 4, 5] } } }
layer { name: "fc6" type: "InnerProduct" bottom: "x" top: "fc6" inner_product_param {
  num_output: 7 FC6 weight_filler { type: "xavier" } bias_filler { type: "uniform" } } }
layer { name: "relu" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7" inner_product_param {
  num_output: 2 bias_term: false weight_filler { type: "xavier" } } }
"""
CONV = """name: "conv"
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [2, 3, 6, 9] } } }
layer { name: "fc6-conv" type: "Convolution" bottom: "x" top: "y"
  convolution_param { num_output: 7 kernel_h: 4 kernel_w: 5 } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
layer { name: "fc7" type: "Convolution" bottom: "y" top: "z"
  convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }
"""
CONVOLVE = ["--against", "conv.prototxt", "--rename", "fc6=fc6-conv", "--convolve", "fc6,fc7"]


def make(settings: str = "") -> NetModule:
    Path("dense.prototxt").write_text(DENSE.replace("FC6", settings))
    module = netspec.compile("dense.prototxt", seed=1)
    netspec.save_weights(module, "w.caffemodel")
    if settings:  # Caffe writes the layers' settings, too
        net = NetParameter.FromString(Path("w.caffemodel").read_bytes())
        net.layer[1].inner_product_param.transpose = True
        Path("w.caffemodel").write_bytes(net.SerializeToString())
    return module


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("conv.prototxt").write_text(CONV)
    make()
    return tmp_path


@pytest.mark.parametrize("settings", ["", "transpose: true"])
@pytest.mark.parametrize("out", ["out.caffemodel", "out.h5"])
def test_a_convolution_gives_the_inner_products_values_at_each_place(out, settings) -> None:
    dense = make(settings)
    assert main(["weights", "w.caffemodel", "--to", out, *CONVOLVE, "--strict"]) == 0
    conv = netspec.compile("conv.prototxt", weights=out)
    image = torch.rand(2, 3, 6, 9, generator=torch.Generator().manual_seed(2))
    maps = conv(x=image)["z"]
    assert maps.shape == (2, 2, 3, 5)
    for row in range(3):
        for column in range(5):
            part = image[:, :, row : row + 4, column : column + 5]
            torch.testing.assert_close(dense(x=part)["fc7"], maps[:, :, row, column])


def test_a_transposed_matrix_that_the_file_does_not_tell_of() -> None:
    make("transpose: true")
    wanted = read_caffemodel("w.caffemodel")["fc6"][0].T.reshape(7, 3, 4, 5)
    assert main(["convert", "w.caffemodel", "w.h5"]) == 0
    assert main(["weights", "w.h5", "--to", "out.h5", *CONVOLVE]) == 0
    np.testing.assert_array_equal(read_weights("out.h5")["fc6-conv"][0], wanted)


def test_a_square_matrix_is_transposed_where_the_file_says_so() -> None:
    net = NetParameter(name="n")
    layer = net.layer.add(name="fc7", type="InnerProduct")
    layer.inner_product_param.transpose = True
    layer.blobs.add(data=[1, 2, 3, 4]).shape.dim.extend([2, 2])
    Path("s.caffemodel").write_bytes(net.SerializeToString())
    Path("s.prototxt").write_text(CONV.replace("num_output: 7", "num_output: 2"))
    options = ["--against", "s.prototxt", "--convolve", "fc7"]
    assert main(["weights", "s.caffemodel", "--to", "out.h5", *options]) == 0
    assert read_weights("out.h5")["fc7"][0].ravel().tolist() == [1, 3, 2, 4]


def test_the_file_says_what_the_net_says() -> None:
    assert main(["weights", "w.caffemodel", "--to", "out.caffemodel", *CONVOLVE]) == 0
    net = NetParameter.FromString(Path("out.caffemodel").read_bytes())
    assert (net.name, net.layer[0].name, net.layer[0].type) == ("conv", "fc6-conv", "Convolution")
    assert (list(net.layer[0].bottom), list(net.layer[0].top)) == (["x"], ["y"])
    assert list(net.layer[0].blobs[0].shape.dim) == [7, 3, 4, 5]


def test_the_old_shape_of_an_inner_product() -> None:
    net = NetParameter.FromString(Path("w.caffemodel").read_bytes())
    matrix, bias = net.layer[1].blobs
    for blob, sizes in ((matrix, (7, 60)), (bias, (1, 7))):
        blob.ClearField("shape")
        blob.num, blob.channels, blob.height, blob.width = 1, 1, *sizes
    Path("old.caffemodel").write_bytes(net.SerializeToString())
    for file in ("w", "old"):
        assert main(["weights", f"{file}.caffemodel", "--to", f"{file}.h5", *CONVOLVE]) == 0
    found, wanted = (read_weights(f"{file}.h5")["fc6-conv"] for file in ("old", "w"))
    assert [a.shape for a in found] == [(7, 3, 4, 5), (7,)]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_of_other_files() -> None:
    module = netspec.compile("dense.prototxt", seed=2)
    netspec.save_weights(module, "v.caffemodel")
    options = ["--take", "fc7=v.caffemodel", "--take", "new=v.caffemodel:fc6"]
    assert main(["weights", "w.caffemodel", "--to", "out.caffemodel", *options]) == 0
    out, w, v = (read_caffemodel(f"{name}.caffemodel") for name in ("out", "w", "v"))
    assert list(out) == ["fc6", "fc7", "new"]
    np.testing.assert_array_equal(out["fc6"][0], w["fc6"][0])
    np.testing.assert_array_equal(out["fc7"][0], v["fc7"][0])
    np.testing.assert_array_equal(out["new"][1], v["fc6"][1])
    net = NetParameter.FromString(Path("out.caffemodel").read_bytes())
    assert [layer.type for layer in net.layer] == ["InnerProduct"] * 3


WRONG = {
    "no net": (["--convolve", "fc6"], "--against NET names it"),
    "no such layer": (
        ["--against", "conv.prototxt", "--convolve", "fc8"],
        "no layer 'fc8' with weights to make a convolution of",
    ),
    "not in the net": (
        ["--against", "conv.prototxt", "--convolve", "fc6"],
        "did you mean 'fc6-conv'?",
    ),
    "no convolution": (
        ["--against", "dense.prototxt", "--convolve", "fc6"],
        "layer 'fc6' is of type InnerProduct, expected Convolution",
    ),
    "other sizes": (
        ["--against", "conv.prototxt", "--take", "fc7=w.caffemodel:fc6", "--convolve", "fc7"],
        "layer 'fc7' has 2 params in the file, as a convolution of 'conv.prototxt' 1",
    ),
    "one that is left": (
        ["--against", "conv.prototxt", "--rename", "fc6=fc6-conv", "--convolve", "fc6"],
        "would not fit the net 'conv.prototxt': layer 'fc7': param 0 is 2×7×1×1 in the net, 2×7",
    ),
    "strict": (
        ["--against", "conv.prototxt", "--strict", "--convolve", "fc7"],
        "it lacks fc6-conv; it has beside the net's fc6",
    ),
    "a format": (["--to", "out.npy"], "has no suffix of a weight file that netspec writes"),
    "a file that is no weight file": (["--to", "notes.h5"], "already exists and is"),
    "no such file": (["--take", "fc7=v.caffemodel"], "'v.caffemodel' does not exist"),
    "no such layer in it": (["--take", "fc7=w.caffemodel:fc66"], "did you mean 'fc6'?"),
    "no file": (["--take", "fc7"], "does not name a layer and a file"),
    "no folder": (["--to", "no/out.h5"], "folder '"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_and_nothing_is_written(folder, capsys, options, message) -> None:
    Path("notes.h5").write_text("my notes\n")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main(["weights", "w.caffemodel", "--to", "out.caffemodel", *options]) == 1
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_surgery_needs_a_file_to_write(capsys) -> None:
    assert main(["weights", "w.caffemodel", "--take", "fc7=w.caffemodel"]) == 1
    assert "--to OUT names the file" in capsys.readouterr().err


def test_values_that_make_no_kernels(capsys) -> None:
    Path("small.prototxt").write_text(CONV.replace("kernel_w: 5", "kernel_w: 3"))
    options = [option.replace("conv.proto", "small.proto") for option in CONVOLVE]
    assert main(["weights", "w.caffemodel", "--to", "out.h5", *options]) == 1
    assert "which is 420 values; the net's 7×3×4×3 takes 252" in capsys.readouterr().err
    Path("small.prototxt").write_text(CONV.replace("num_output: 7", "num_output: 6"))
    assert main(["weights", "w.caffemodel", "--to", "out.h5", *options]) == 1
    assert "has 7 outputs in the file, 6 in the net" in capsys.readouterr().err
    assert not Path("out.h5").exists()
