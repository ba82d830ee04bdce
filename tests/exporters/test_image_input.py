"""Exported graphs that prepare pictures themselves: as `netspec classify` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.schema.caffe_pb2 import BlobProto
from tests.exporters.test_onnx import run
from tests.pictures import RECORD, small_net

# the mean of a picture of 20×18, with another value for each pixel
MEAN = np.random.default_rng(2).random((3, 20, 18), np.float32) * 100
RECORDS = {
    "values": RECORD,
    "image": '# netspec: preprocess { mean_file: "mean.binaryproto" scale: 0.5 }',
    "crop": "# netspec: preprocess { new_height: 21 new_width: 16 mean_value: 100 }",
    "rgb": '# netspec: preprocess { channel_order: "RGB" raw_scale: 1 mean_value: 0.5 }',
}
HEIGHT_WIDTH = {"values": (12, 10), "image": (20, 18), "crop": (21, 16), "rgb": (12, 10)}


def written(folder: Path, record: str, channels: int = 3) -> tuple[str, str]:
    """A deploy net and weights. Returns: their paths."""
    mean = BlobProto(num=1, channels=3, height=20, width=18, data=MEAN.reshape(-1).tolist())
    (folder / "mean.binaryproto").write_bytes(mean.SerializeToString())
    _, net, _, weights = small_net(folder, record, channels=channels)
    return net, weights


def prepared(kind: str, images: np.ndarray) -> np.ndarray:
    """Caffe's preparation of RGB pictures, written out for each record."""
    x = images.astype(np.float64)
    if kind == "rgb":
        return x / 255 - 0.5
    x = x[:, ::-1]
    if kind == "values":
        return (x - np.array([104, 117, 123])[:, None, None]) * 0.02
    if kind == "image":
        return (x - MEAN)[:, :, 4:16, 4:14] * 0.5
    return x[:, :, 4:16, 3:13] - 100


@pytest.mark.parametrize("uint8", [False, True])
@pytest.mark.parametrize("kind", RECORDS)
def test_pictures(tmp_path: Path, kind: str, uint8: bool) -> None:
    net, weights = written(tmp_path, RECORDS[kind])
    images = np.random.default_rng(1).integers(0, 256, (5, 3, *HEIGHT_WIDTH[kind]), np.uint8)
    data = torch.from_numpy(prepared(kind, images).astype(np.float32))
    wanted = netspec.compile(net, weights=weights)(data)["prob"].detach().numpy()
    fed = images if uint8 else images.astype(np.float32)
    options = {"with_preprocess": True, "uint8": uint8}
    exported = netspec.export(net, tmp_path / "net.onnx", weights, **options)
    size = "×".join(map(str, HEIGHT_WIDTH[kind]))
    assert f"'image' takes RGB pictures of {size}" in str(exported)
    got = run(tmp_path / "net.onnx", {"image": fed})["prob"]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)
    netspec.export(net, tmp_path / "net.pt2", weights, **options)
    program = torch.export.load(tmp_path / "net.pt2").module()
    again = program(torch.from_numpy(fed))["prob"].detach().numpy()
    np.testing.assert_allclose(again, wanted, rtol=1e-4, atol=1e-6)


def test_gray_pictures_and_half_precision(tmp_path: Path) -> None:
    record = "# netspec: preprocess { mean_value: 33 }"
    net, weights = written(tmp_path, record, channels=1)
    exported = netspec.export(
        net, tmp_path / "net.onnx", weights, with_preprocess=True, half=True, fold_batchnorm=True
    )
    assert "gray pictures of 12×10, float32" in str(exported)
    (start,) = onnx.load(tmp_path / "net.onnx").graph.input
    assert start.name == "image"
    assert start.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [d.dim_param or d.dim_value for d in start.type.tensor_type.shape.dim] == [
        "N",
        1,
        12,
        10,
    ]


def test_verify_feeds_the_net_behind_the_preparation(tmp_path: Path) -> None:
    net, weights = written(tmp_path, RECORDS["crop"])
    netspec.export(net, tmp_path / "net.onnx", weights, with_preprocess=True, uint8=True)
    result = netspec.verify(net, tmp_path / "net.onnx", weights)
    assert result.agrees
    assert [each.blob for each in result.blobs] == ["conv/conv", "conv", "fc", "prob"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("", "does not say how pictures are prepared"),
        ("# netspec: preprocess { crop_size: 13 }", "the crop is 13×13, but 'data' is 4×3×12×10"),
        ("# netspec: preprocess { new_height: 11 new_width: 10 }", "are smaller than the crop"),
        (
            "# netspec: preprocess { resize_param { resize_mode: FIT_SMALL_SIZE height: 12"
            " width: 10 } }",
            "each picture gets a size of its own",
        ),
    ],
)
def test_what_can_not_be_prepared(tmp_path: Path, record: str, message: str) -> None:
    net, weights = written(tmp_path, record)
    with pytest.raises(NetspecError, match=message) as caught:
        netspec.export(net, tmp_path / "net.onnx", weights, with_preprocess=True)
    assert caught.value.diagnostics[0].span is not None
    assert not (tmp_path / "net.onnx").exists()


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("."), RECORD)
    command = ["export", "deploy.prototxt", "net.onnx", "--weights", "net.caffemodel"]
    assert main([*command, "--with-preprocess", "--uint8"]) == 0
    assert "'image' takes RGB pictures of 12×10, uint8 0 to 255" in capsys.readouterr().out
    assert main([*command, "--uint8", "--overwrite"]) == 1
    assert "--uint8 goes with --with-preprocess" in capsys.readouterr().err
    command[2] = "net.pt"
    assert main([*command, "--with-preprocess"]) == 1
    assert "preprocessing goes into .onnx, .pt2, not into '.pt'" in capsys.readouterr().err
