"""`netspec.verify` and its command: which blobs are off, by how much, and where first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.exporters.differences import difference
from netspec.graph import Net
from netspec.pytorch.blob_values import blob_values
from netspec.pytorch.module import NetModule
from tests.nets import net_text

TEXT = net_text(
    'type: "Convolution" top: "conv" convolution_param { num_output: 3 kernel_size: 3'
    ' weight_filler { type: "gaussian" std: 1 } }',
    data=(2, 2, 7, 7),
) + (
    'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'
    'layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"'
    ' inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 1 } } }\n'
    'layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }\n'
)


@pytest.fixture
def module(load_text: Callable[..., Net], tmp_path: Path) -> NetModule:
    module = netspec.compile(load_text(TEXT), seed=1)
    netspec.save_weights(module, tmp_path / "net.caffemodel")
    return module


def stored(module: NetModule, tmp_path: Path) -> dict[str, np.ndarray]:
    """What another program has in its blobs after a forward pass."""
    data = np.random.default_rng(1).random((2, 2, 7, 7), np.float32)
    values = blob_values(netspec.load(tmp_path / "net.prototxt"), module, {"data": data})
    return {"data": data, **{name: value for name, value in values.items() if "/" not in name}}


def test_an_onnx_model_with_all_of_its_values(module: NetModule, tmp_path: Path) -> None:
    netspec.export(module, tmp_path / "net.onnx")
    result = netspec.verify(module, tmp_path / "net.onnx")
    assert [each.blob for each in result.blobs] == ["conv/l", "conv", "ip", "prob"]
    assert result.agrees
    assert result.left_out == ()


def test_the_first_layer_where_they_part(module: NetModule, tmp_path: Path) -> None:
    netspec.export(module, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    weight = next(each for each in model.graph.initializer if each.name == "ip/0")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1.01, "ip/0"))
    onnx.save(model, tmp_path / "other.onnx")
    result = netspec.verify(module, tmp_path / "other.onnx")
    assert not result.agrees
    assert result.first is not None
    assert (result.first.layer, result.first.blob) == ("ip", "ip")
    assert result.first.relative == pytest.approx(0.01, rel=0.01)
    assert "net.prototxt:4:1" in str(result)
    assert all(each.relative < 1e-6 for each in result.blobs[:2])
    assert netspec.verify(module, tmp_path / "other.onnx", tolerance=0.5).agrees


def test_a_torch_export(module: NetModule, tmp_path: Path) -> None:
    netspec.export(module, tmp_path / "net.pt2")
    result = netspec.verify(module, tmp_path / "net.pt2")
    assert [each.blob for each in result.blobs] == ["prob"]
    assert result.agrees
    assert result.left_out == ("conv", "ip")


def test_another_net(module: NetModule, tmp_path: Path) -> None:
    (tmp_path / "same.prototxt").write_text(TEXT.replace('"relu"', '"activation"'))
    weights = tmp_path / "net.caffemodel"
    assert netspec.verify(module, tmp_path / "same.prototxt", against_weights=weights).agrees
    (tmp_path / "other.prototxt").write_text(TEXT.replace('"ReLU"', '"TanH"'))
    result = netspec.verify(tmp_path / "net.prototxt", tmp_path / "other.prototxt", weights)
    assert result.first is not None
    assert (result.first.layer, result.first.blob) == ("relu", "conv")


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_arrays_that_another_program_stored(module: NetModule, tmp_path: Path, suffix: str) -> None:
    arrays = stored(module, tmp_path)
    arrays["ip"] = arrays["ip"].reshape(2, 4, 1, 1)  # as old Caffe has it
    del arrays["prob"]
    path = tmp_path / f"blobs{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    result = netspec.verify(module, path)
    assert [each.blob for each in result.blobs] == ["conv", "ip"]
    assert result.agrees
    assert result.left_out == ("prob",)


def test_stored_blobs_are_what_caffe_has_after_its_pass(
    load_text: Callable[..., Net], tmp_path: Path
) -> None:
    text = net_text('type: "Flatten" top: "flat"', x=(1, 2, 2)) + (
        'layer { name: "relu" type: "ReLU" bottom: "flat" top: "flat" }\n'
        'layer { name: "abs" type: "AbsVal" bottom: "flat" top: "y" }\n'
    )
    x = -np.ones((1, 2, 2), np.float32)
    after = np.zeros((1, 4), np.float32)
    np.savez(tmp_path / "blobs.npz", flat=after, y=after)
    net = load_text(text)
    result = netspec.verify(net, tmp_path / "blobs.npz", inputs={"x": x})
    assert result.agrees
    np.savez(tmp_path / "blobs.npz", x=x, flat=after)
    with pytest.raises(NetspecError, match="the input 'x' is overwritten in place by layer 'relu'"):
        netspec.verify(net, tmp_path / "blobs.npz")


def test_given_inputs(module: NetModule, tmp_path: Path) -> None:
    netspec.export(module, tmp_path / "net.onnx")
    np.savez(tmp_path / "in.npz", data=np.full((5, 2, 7, 7), np.nan, np.float32))
    result = netspec.verify(module, tmp_path / "net.onnx", inputs=tmp_path / "in.npz")
    assert result.agrees  # NaN on both sides
    np.savez(tmp_path / "in.npz", data=np.zeros((5, 2, 7, 8)))
    with pytest.raises(NetspecError, match="the input 'data' is 5×2×7×8, the net declares 2×2×7×7"):
        netspec.verify(module, tmp_path / "net.onnx", inputs=tmp_path / "in.npz")
    with pytest.raises(NetspecError, match="the net has no input 'dat'"):
        netspec.verify(module, tmp_path / "net.onnx", inputs={"dat": np.zeros(1)})


def test_differences() -> None:
    one, two = np.float32(1), np.float32(2)
    off = difference(np.array([one, np.nextafter(one, two)], np.float32), np.array([one, one]))
    assert (off.absolute, off.relative, off.ulps) == (2**-23, 2**-23, 1)
    around_0 = difference(np.array([-1e-45], np.float32), np.array([1e-45], np.float32))
    assert around_0.ulps == 2
    for got in ([np.nan], [np.inf], [1.0, 1.0]):
        assert difference(np.array(got), np.array([1.0])).relative == np.inf
    assert difference(np.array([np.inf, np.nan]), np.array([np.inf, np.nan])).relative == 0


def test_the_command(
    module: NetModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays = stored(module, tmp_path)
    np.savez("blobs.npz", **arrays)
    command = ["verify", "net.prototxt", "--weights", "net.caffemodel", "--against", "blobs.npz"]
    assert main(command) == 0
    assert "3 blobs compared" in capsys.readouterr().out
    np.savez("blobs.npz", **(arrays | {"ip": arrays["ip"][:, :3]}))
    assert main([*command, "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["first"]["blob"] == "ip"
    assert told["first"]["shapes"] == [[2, 4], [2, 3]]
    assert told["first"]["relative"] is None
    assert main(command) == 1
    assert "in blob 'ip': it is 2×4 here, 2×3 there" in capsys.readouterr().out
    np.savez("in.npz", data=arrays["data"] * 2)
    assert main([*command, "--input", "in.npz", "--input", "data=2,2,7,7"]) == 1
    assert "'relu' (net.prototxt:3:1)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("against", "content", "message"),
    [
        ("a.onnx", b"\xff", "'a.onnx' is not an ONNX model, or is damaged"),
        ("a.onnx", None, "file 'a.onnx' does not exist"),
        ("a.pt2", b"abc", "torch.export can't run 'a.pt2'"),
        ("a.npz", b"abc", "'a.npz' is not a file of arrays, or is damaged"),
        ("a.npz", None, "file 'a.npz' does not exist"),
        ("a.h5", b"abc", "'a.h5' is not a file of arrays, or is damaged"),
        ("a.prototxt", b"layer {", "error"),
    ],
)
def test_what_can_not_be_read(
    module: NetModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    against: str,
    content: bytes | None,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(against).write_bytes(content)
    command = ["verify", "net.prototxt", "--weights", "net.caffemodel", "--against", against]
    assert main(command) == 1
    err = capsys.readouterr().err + caplog.text
    assert message in err
    assert "Traceback" not in err


def test_weights_that_are_not_given(
    module: NetModule, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NetspecError, match="the params of layer 'l' have no values: no weights"):
        netspec.verify(tmp_path / "net.prototxt", tmp_path / "net.prototxt")
    netspec.export(module, tmp_path / "net.onnx")
    (tmp_path / "more.prototxt").write_text(TEXT.replace('name: "ip"', 'name: "new"'))
    with pytest.raises(NetspecError, match=r"params of layer 'new' have no .*caffemodel' lacks it"):
        netspec.verify(
            tmp_path / "more.prototxt", tmp_path / "net.onnx", tmp_path / "net.caffemodel"
        )


def test_no_blob_in_common(module: NetModule, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=np.zeros((2, 2, 7, 7)), Prob=np.zeros((2, 4)))
    with pytest.raises(NetspecError, match="have no blob in common: the latter has 'data', 'Prob'"):
        netspec.verify(module, tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", prob=np.zeros((2, 4)))
    with pytest.raises(NetspecError, match="has no array of the input 'data'"):
        netspec.verify(module, tmp_path / "a.npz")
