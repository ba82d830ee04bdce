"""`netspec weights`: what is in a weight file, and what of it fits a net."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import netspec
from netspec.cli import main
from netspec.schema.caffe_pb2 import NetParameter
from netspec.weights.files import write_weights

SOLVERS = Path(__file__).parents[1] / "reference" / "solvers"
NET = """name: "n"
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [1, 2, 2, 2] } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  inner_product_param { num_output: 3 } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 3 kernel_size: 2 } }
layer { name: "last" type: "InnerProduct" bottom: "c" top: "last"
  inner_product_param { num_output: 2 bias_term: false } }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    weight = np.arange(24, dtype=np.float32).reshape(3, 8)
    odd = np.array([[np.nan, np.inf, 0], [0, -np.inf, 3]], np.float32)
    layers: dict[str, list[np.ndarray]] = {
        "fc": [weight, np.ones(3)],
        "conv": [weight, np.zeros(3)],
        "odd": [odd],
    }
    write_weights(
        "w.caffemodel",
        "n",
        [(name, "InnerProduct", [], [], arrays) for name, arrays in layers.items()],
    )
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *argv: str, status: int = 0) -> str:
    assert main(["weights", *argv]) == status
    out, err = capsys.readouterr()
    return out if status == 0 or out else err


@pytest.mark.parametrize("suffix", ["caffemodel", "h5", "safetensors"])
def test_each_layers_arrays_in_every_format(folder, capsys, suffix) -> None:
    file = f"w.{suffix}"
    if suffix != "caffemodel":
        assert main(["convert", "w.caffemodel", file]) == 0
    about = json.loads(told(capsys, file, "--format", "json"))
    layers = {layer["name"]: layer["blobs"] for layer in about["layers"]}
    assert layers["fc"][0] == {
        "shape": [3, 8],
        "count": 24,
        "mean": 11.5,
        "deviation": pytest.approx(np.arange(24).std()),
        "zeros": 1,
        "nans": 0,
        "infs": 0,
    }
    assert layers["odd"][0] == {
        "shape": [2, 3],
        "count": 6,
        "mean": 1,
        "deviation": pytest.approx(2**0.5),
        "zeros": 2,
        "nans": 1,
        "infs": 2,
    }
    assert (about["count"], about["zeros"], about["nans"], about["infs"]) == (60, 7, 1, 2)
    text = told(capsys, file)
    assert "1 NaN, 2 inf" in text
    assert "3 layers, 5 blobs, 60 values, 7 of them zero, 1 NaN, 2 infinite" in text


def test_moments_over_many_chunks() -> None:
    from netspec.weights import summary

    values = np.random.default_rng(0).normal(1000, 1e-3, 3 * (1 << 20) + 5).astype(np.float32)
    found = summary.blob_summary(values)
    assert found.mean == pytest.approx(values.mean(dtype=np.float64), rel=1e-12)
    assert found.deviation == pytest.approx(values.std(dtype=np.float64), rel=1e-9)


def test_against_a_net(folder, capsys) -> None:
    text = told(capsys, "w.caffemodel", "--against", "net.prototxt", status=1)
    assert "against net.prototxt, phase TEST: 1 layer loaded\n" in text
    assert "  missing in the file: last\n" in text
    assert "  unused: odd\n" in text
    assert (
        "  of another shape: conv: param 0 is 3×2×2×2 in the net, 3×8 in the file; a reshape "
        "would do it: 3×8 to 3×2×2×2 (--convolve conv)\n" in text
    )
    about = json.loads(
        told(capsys, "w.caffemodel", "--against", "net.prototxt", "--format", "json", status=1)
    )["against"]
    assert (about["loaded"], about["missing"], about["unused"]) == (["fc"], ["last"], ["odd"])
    assert about["other_shape"] == {
        "conv": {"net": [[3, 2, 2, 2], [3]], "file": [[3, 8], [3]], "reshape": True}
    }


def test_legacy_shapes_fit_as_caffe_has_them(folder, capsys) -> None:
    net = NetParameter()
    layer = net.layers.add(name="fc")
    layer.blobs.add(num=1, channels=1, height=3, width=8, data=range(24))
    layer.blobs.add(num=1, channels=1, height=1, width=3, data=range(3))
    Path("old.caffemodel").write_bytes(net.SerializeToString())
    assert "1 layer loaded" in told(capsys, "old.caffemodel", "--against", "net.prototxt")


@pytest.mark.parametrize("name", ["adam", "sgd_shared"])
def test_what_the_report_says_is_what_loading_does(capsys, name) -> None:
    net, file = SOLVERS / name / "net.prototxt", SOLVERS / name / "init.caffemodel"
    about = json.loads(told(capsys, str(file), "--against", str(net), "--format", "json"))
    report = netspec.compile(net, weights=file).load_report
    assert about["against"]["loaded"] == report.loaded
    assert about["against"]["missing"] == report.missing
    assert about["against"]["unused"] == report.unused


SAVED = """name: "saved"
{form} {{ name: "data" type: {data} top: "x" }}
{form} {{ name: "x_data_0_split" type: {split} bottom: "x" top: "x_data_0_split_0"
  top: "x_data_0_split_1" }}
{form} {{ name: "conv" type: {conv} bottom: "x_data_0_split_0" top: "conv"
  convolution_param {{ num_output: 2 kernel_size: 3 }}
  blobs {{ num: 1 channels: 1 height: 1 width: 2 data: [1, 2] }} }}
{form} {{ name: "relu" type: {relu} bottom: "x_data_0_split_1" top: "relu" }}
"""


@pytest.mark.parametrize(
    ("form", "data", "split", "conv", "relu"),
    [
        ("layers", "DATA", "SPLIT", "CONVOLUTION", "RELU"),
        ("layer", '"Data"', '"Split"', '"Convolution"', '"ReLU"'),
    ],
)
def test_the_net_in_a_caffemodel(folder, capsys, form, data, split, conv, relu) -> None:
    text = SAVED.format(form=form, data=data, split=split, conv=conv, relu=relu)
    net = text_format.Parse(text, NetParameter())
    Path("saved.caffemodel").write_bytes(net.SerializeToString())
    assert main(["weights", "saved.caffemodel", "--net", "out.prototxt"]) == 0
    out = text_format.Parse(Path("out.prototxt").read_text(), NetParameter())
    assert [(layer.name, layer.type, [*layer.bottom], [*layer.top]) for layer in out.layer] == [
        ("data", "Data", [], ["x"]),
        ("conv", "Convolution", ["x"], ["conv"]),
        ("relu", "ReLU", ["x"], ["relu"]),
    ]
    assert out.layer[1].convolution_param.num_output == 2
    assert not out.layer[1].blobs
    assert main(["weights", "saved.caffemodel", "--net", "out.yaml"]) == 0
    assert main(["convert", "out.yaml", "again.prototxt"]) == 0
    assert Path("again.prototxt").read_text() == Path("out.prototxt").read_text()


def test_the_net_that_caffe_saved_is_the_one_it_was_given(folder, capsys) -> None:
    given = SOLVERS / "adam" / "net.prototxt"
    file = SOLVERS / "adam" / "snap_iter_9.caffemodel"
    assert main(["weights", str(file), "--net", "out.prototxt"]) == 0
    saved, wanted = (
        text_format.Parse(Path(path).read_text(), NetParameter())
        for path in ("out.prototxt", given)
    )
    for net in (saved, wanted):
        net.layer[0].ClearField("hdf5_data_param")  # the run had another path
        net.ClearField("state")
    saved.layer[-1].ClearField("loss_weight")  # which Caffe writes down itself
    assert saved == wanted


def test_a_loss_weight_returns_from_a_split(folder) -> None:
    net = NetParameter(name="n")
    net.layer.add(name="a", type="Power", bottom=["x"], top=["y"])
    split = net.layer.add(name="y_a_0_split", type="Split", bottom=["y"], loss_weight=[0.5, 0])
    split.top.extend(["y_a_0_split_0", "y_a_0_split_1"])
    net.layer.add(name="own", type="Split", bottom=["y_a_0_split_1"], top=["left", "right"])
    Path("s.caffemodel").write_bytes(net.SerializeToString())
    assert main(["weights", "s.caffemodel", "--net", "out.prototxt"]) == 0
    out = text_format.Parse(Path("out.prototxt").read_text(), NetParameter())
    assert [layer.name for layer in out.layer] == ["a", "own"]
    assert list(out.layer[0].loss_weight) == [0.5]
    assert list(out.layer[1].bottom) == ["y"]


def test_settings_of_a_fork_are_told(folder, capsys) -> None:
    net = NetParameter(name="n")
    layer = net.layer.add(name="ssd", type="PriorBox", bottom=["x"], top=["y"])
    content = layer.SerializeToString() + b"\xd2\x0c\x03\x08\x01\x10"  # field 202, no message
    Path("f.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(content)]) + content)
    assert main(["weights", "f.caffemodel", "--net", "out.prototxt"]) == 0
    assert "settings of layer 'ssd'" in capsys.readouterr().err
    assert main(["weights", "f.caffemodel", "--net", "no.prototxt", "--strict"]) == 1
    assert not Path("no.prototxt").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["no.caffemodel"], "'no.caffemodel' does not exist"),
        (["net.prototxt"], "of no known kind of weight file"),
        (["w.caffemodel", "--against", "w.caffemodel"], "is a caffemodel, not a net"),
        (["w.caffemodel", "--net", "out.png"], "a net can't become 'out.png'"),
        (["w.caffemodel", "--net", "notes.txt"], "already exists and is text"),
        (["w.h5", "--net", "out.prototxt"], "'w.h5' holds no net"),
    ],
)
def test_what_is_wrong_is_told(folder, capsys, argv, message) -> None:
    Path("notes.txt").write_text("my notes\n")
    assert main(["convert", "w.caffemodel", "w.h5"]) == 0
    before = sorted(folder.iterdir())
    assert message in told(capsys, *argv, status=1)
    assert sorted(folder.iterdir()) == before
    assert Path("notes.txt").read_text() == "my notes\n"
