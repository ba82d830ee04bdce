"""Detectors as ONNX: their boxes, proposals and detections are the module's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.exporters.differences import rows_apart
from netspec.exporters.write_onnx import onnx_model
from netspec.graph import Net
from tests.exporters.test_onnx import run
from tests.nets import input_text, net_text
from tests.pictures import SSD as PICTURE_SSD
from tests.pictures import untrained_ssd

FILLER = 'weight_filler { type: "gaussian" std: 0.5 }'


def conv(name: str, bottom: str, outputs: int, more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"'
        f" convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 {more} {FILLER} }} }}\n"
    )


def head(kind: str, bottom: str, outputs: int) -> str:
    name = f"{bottom}_{kind}"
    return conv(name, bottom, outputs) + (
        f'layer {{ name: "{name}_perm" type: "Permute" bottom: "{name}" top: "{name}_perm"'
        " permute_param { order: 0 order: 2 order: 3 order: 1 } }\n"
        f'layer {{ name: "{name}_flat" type: "Flatten" bottom: "{name}_perm"'
        f' top: "{name}_flat" }}\n'
    )


def prior(bottom: str, size: int) -> str:
    return (
        f'layer {{ name: "{bottom}_prior" type: "PriorBox" bottom: "{bottom}" bottom: "data"'
        f' top: "{bottom}_prior" prior_box_param {{ min_size: {size} max_size: {2 * size}'
        " aspect_ratio: 2 variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }\n"
    )


def joined(kind: str, axis: int) -> str:
    suffix = "" if kind == "prior" else "_flat"
    return (
        f'layer {{ name: "{kind}" type: "Concat" bottom: "a_{kind}{suffix}"'
        f' bottom: "b_{kind}{suffix}" top: "{kind}" concat_param {{ axis: {axis} }} }}\n'
    )


# four boxes a cell on maps of 16×16 and 8×8, three classes
SSD = (
    input_text("data", (2, 3, 16, 16))
    + "\n"
    + conv("a", "data", 8)
    + conv("b", "a", 8, "stride: 2")
    + "".join(head(kind, m, n) for m in "ab" for kind, n in (("loc", 16), ("conf", 12)))
    + prior("a", 4)
    + prior("b", 8)
    + joined("loc", 1)
    + joined("conf", 1)
    + joined("prior", 2)
    + 'layer { name: "reshape" type: "Reshape" bottom: "conf" top: "conf_reshape"'
    " reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }\n"
    'layer { name: "softmax" type: "Softmax" bottom: "conf_reshape" top: "conf_softmax"'
    " softmax_param { axis: 2 } }\n"
    'layer { name: "flatten" type: "Flatten" bottom: "conf_softmax" top: "conf_flat" }\n'
    'layer { name: "out" type: "DetectionOutput" bottom: "loc" bottom: "conf_flat" bottom: "prior"'
    ' top: "detections" detection_output_param { num_classes: 3 code_type: CENTER_SIZE'
    " keep_top_k: 50 confidence_threshold: 0.2"
    " nms_param { nms_threshold: 0.45 top_k: 100 } } }\n"
)


def test_ssd_for_any_batch(load_text: Callable[..., Net], tmp_path: Path) -> None:
    module = netspec.compile(load_text(SSD), seed=1)
    exported = netspec.export(module, tmp_path / "net.onnx")
    assert exported.differences["detections"] < 1e-4
    (output,) = onnx.load(tmp_path / "net.onnx").graph.output
    dims = [d.dim_param or d.dim_value for d in output.type.tensor_type.shape.dim]
    assert dims == [1, 1, "detections", 7]
    data = torch.rand(3, 3, 16, 16)
    wanted = module(data=data)["detections"].detach().numpy().reshape(-1, 7)
    got = run(tmp_path / "net.onnx", {"data": data.numpy()})["detections"]
    assert got.shape == (1, 1, 150, 7)
    assert rows_apart(got.reshape(-1, 7), wanted, 1e-4) <= 3


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_ssd_folded_and_in_half_precision(tmp_path: Path, suffix: str) -> None:
    untrained_ssd(tmp_path / "ssd.caffemodel")
    exported = netspec.export(
        PICTURE_SSD,
        tmp_path / f"net{suffix}",
        tmp_path / "ssd.caffemodel",
        fold_batchnorm=True,
        half=True,
    )
    assert "folded 10 layers (5 BatchNorm, 5 Scale) into 5" in str(exported)
    assert 1e-5 < exported.differences["detection_out"] < 5e-3  # of what the boxes are chosen by


def test_no_detection_in_any_image(load_text: Callable[..., Net], tmp_path: Path) -> None:
    module = netspec.compile(load_text(SSD.replace("threshold: 0.2", "threshold: 1")), seed=1)
    netspec.export(module, tmp_path / "net.onnx")
    got = run(tmp_path / "net.onnx", {"data": np.zeros((2, 3, 16, 16), np.float32)})["detections"]
    np.testing.assert_array_equal(got.reshape(-1, 7), [[0] + [-1] * 6, [1] + [-1] * 6])


def test_an_export_whose_detections_are_others_writes_nothing(
    load_text: Callable[..., Net], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(net: Net, *args: object) -> object:
        param = net.layer("out").field("detection_output_param")
        param.nms_param.nms_threshold = 0.05
        model = onnx_model(net, *args)
        param.nms_param.nms_threshold = 0.45
        return model

    module = netspec.compile(load_text(SSD), seed=1)
    monkeypatch.setattr("netspec.exporters.write_onnx.onnx_model", other)
    with pytest.raises(NetspecError, match="rows of the exported 'detections' are not the module"):
        netspec.export(module, tmp_path / "net.onnx")
    assert not list(tmp_path.glob("*.onnx"))


def test_an_export_whose_scores_are_others_writes_nothing(
    load_text: Callable[..., Net], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(net: Net, params: list[list[np.ndarray]], *args: object) -> object:
        return onnx_model(net, [[value * 1.01 for value in blobs] for blobs in params], *args)

    module = netspec.compile(load_text(SSD), seed=1)
    monkeypatch.setattr("netspec.exporters.write_onnx.onnx_model", other)
    with pytest.raises(NetspecError, match="the exported 'loc' differs from the module's"):
        netspec.export(module, tmp_path / "net.onnx")
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("nms_param { nms_threshold: 0.6 eta: 0.9 }", "one threshold, with 'eta' it shrinks"),
        ("nms_param { top_k: 0 }", "it keeps no box"),
        ("keep_top_k: 0", "it keeps no box"),
    ],
)
def test_what_onnx_can_not_hold(load_text: Callable[..., Net], settings: str, reason: str) -> None:
    text = net_text(
        f'type: "DetectionOutput" top: "y" detection_output_param {{ num_classes: 2 {settings} }}',
        loc=(1, 8),
        conf=(1, 4),
        prior=(1, 2, 8),
    )
    net = load_text(text)
    with pytest.raises(NetspecError, match=reason) as caught:
        onnx_model(net, [[] for _ in net.layers])
    assert caught.value.diagnostics[0].span is not None


def test_boxes_whose_edges_are_the_wrong_way_round(load_text: Callable[..., Net]) -> None:
    text = net_text(
        'type: "DetectionOutput" top: "y" detection_output_param { num_classes: 2'
        " code_type: CORNER nms_param { nms_threshold: 0.5 } }",
        loc=(1, 120),
        conf=(1, 60),
        prior=(1, 2, 120),
    )
    net, rng = load_text(text), np.random.default_rng(1)
    feed = {
        name: rng.random(shape, np.float32)
        for name, shape in (("loc", (1, 120)), ("conf", (1, 60)), ("prior", (1, 2, 120)))
    }
    wanted = netspec.compile(net)(**{name: torch.from_numpy(v) for name, v in feed.items()})["y"]
    got = run(onnx_model(net, [[] for _ in net.layers]).SerializeToString(), feed)["y"]
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-5, atol=1e-6)


PROPOSALS = {
    "proposal": 'type: "Proposal" proposal_param { ratio: 1 scale: 16 scale: 32 min_size: 4'
    " feat_stride: 4 pre_nms_topn: 60 post_nms_topn: 12 nms_thresh: 0.7 }",
    "python": 'type: "Python" python_param { module: "rpn.proposal_layer" layer: "ProposalLayer"'
    ' param_str: "{feat_stride: 4, scales: [1, 2], ratios: [1]}" }',
}
POOLINGS = {
    "rfcn": 'type: "PSROIPooling" psroi_pooling_param { spatial_scale: 0.25 output_dim: 2'
    " group_size: 2 }",
    "rcnn": 'type: "ROIPooling" roi_pooling_param { spatial_scale: 0.25 pooled_h: 3 pooled_w: 2 }',
}


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("proposal", PROPOSALS)
def test_regions(
    load_text: Callable[..., Net], tmp_path: Path, proposal: str, pooling: str
) -> None:
    text = (
        input_text("data", (1, 3, 12, 16))
        + "\n"
        + input_text("info", (1, 4 if proposal == "proposal" else 3))
        + "\n"
        + conv("maps", "data", 8)
        + conv("score", "maps", 4)
        + conv("delta", "maps", 8)
        + 'layer { name: "rois" bottom: "score" bottom: "delta" bottom: "info" top: "rois"'
        + f" {PROPOSALS[proposal]} }}\n"
        + 'layer { name: "pool" bottom: "maps" bottom: "rois" top: "pool"'
        + f" {POOLINGS[pooling]} }}\n"
        + 'layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"'
        + f" inner_product_param {{ num_output: 3 {FILLER} }} }}\n"
    )
    module = netspec.compile(load_text(text), outputs=["rois", "fc"], seed=1)
    netspec.export(module, tmp_path / "net.onnx")
    info = [48, 64, 1, 1][: 4 if proposal == "proposal" else 3]
    feed = {"data": torch.rand(1, 3, 12, 16), "info": torch.tensor([info], dtype=torch.float32)}
    wanted = {name: value.detach().numpy() for name, value in module(**feed).items()}
    got = run(tmp_path / "net.onnx", {name: value.numpy() for name, value in feed.items()})
    assert len(wanted["rois"]) > 3
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-3, atol=1e-3)
