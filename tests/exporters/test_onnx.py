"""What an ONNX model of a net computes is what the net's module computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.exporters.onnx_layers import emitters
from netspec.exporters.write_onnx import onnx_model
from netspec.graph import Layer, Net
from netspec.layers import SPECS, find_spec
from tests.conftest import REFERENCE
from tests.nets import input_text, net_text

FOLDERS = (REFERENCE / "layers", REFERENCE / "forks" / "layers")
CASES = {
    folder / name: about
    for folder in FOLDERS
    for name, about in json.loads((folder / "index.json").read_text()).items()
}
# Types that mean nothing in inference, and one that ONNX can't hold.
REFUSED = {"Accuracy", "Im2col"}
onnxruntime.set_default_logger_severity(4)


def run(path: Path | bytes, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    model = path if isinstance(path, bytes) else str(path)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    feed = {each.name: feed[each.name] for each in session.get_inputs()}
    return dict(zip(names, session.run(names, feed), strict=True))


def batch_of(layer: Layer) -> bool:
    """Whether a BN normalises by its batch."""
    p = layer.field("bn_param")
    if layer.spec_name == "BN (segnet)":
        return bool(p.bn_mode == 0)
    return layer.phase == "TRAIN" and not p.frozen


def shrinks(layer: Layer) -> bool:
    """Whether the threshold of a DetectionOutput shrinks."""
    nms = layer.field("detection_output_param").nms_param
    return bool(nms.eta < 1 and nms.nms_threshold > 0.5)


def is_refused(net: Net) -> bool:
    specs = [(layer, find_spec(layer.spec_name)) for layer in net.layers]
    if any(spec is not None and spec.name not in SPECS for _, spec in specs):  # a fork's type
        return any(
            (spec is not None and not spec.is_source and spec.name not in emitters())
            or (layer.type == "BN" and batch_of(layer))
            or (layer.type == "DetectionOutput" and shrinks(layer))
            for layer, spec in specs
        )
    return any(
        layer.type in REFUSED
        or (spec is not None and spec.is_loss)
        or layer.type == "ContrastiveLoss"
        or (layer.type == "BatchNorm" and net.phase == "TRAIN")
        for layer, spec in specs
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_every_layer_type_as_onnx(case: Path) -> None:
    about, record = CASES[case], dict(np.load(case.with_suffix(".npz")))
    dialect = about.get("dialect")
    net = netspec.load(case.with_suffix(".prototxt"), phase=about["phase"], dialect=dialect)
    params = [
        [
            record.get(f"param/{layer.name}/{i}", np.zeros(p.shape))
            for i, p in enumerate(layer.params)
        ]
        for layer in net.layers
    ]
    if is_refused(net):
        with pytest.raises(NetspecError, match="can't be exported") as caught:
            onnx_model(net, params)
        assert caught.value.diagnostics[0].span is not None
        return
    model = onnx_model(net, params)
    onnx.checker.check_model(model, full_check=True)
    inputs = {key[3:]: value for key, value in record.items() if key.startswith("in/")}
    outputs = run(model.SerializeToString(), inputs)
    for key, value in record.items():
        if key.startswith("out/"):
            got = outputs[key[4:]].reshape(value.shape)
            np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5, err_msg=key)


NET = net_text(
    'type: "Convolution" top: "conv" convolution_param { num_output: 3 kernel_size: 3'
    ' weight_filler { type: "gaussian" std: 1 } bias_filler { type: "constant" value: 1 } }',
    data=(2, 2, 7, 7),
) + (
    'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'
    'layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"'
    " pooling_param { pool: AVE kernel_size: 2 stride: 2 pad: 1 } }\n"
    'layer { name: "prob" type: "Softmax" bottom: "pool" top: "prob" }\n'
)


def test_names_batch_and_values(load_text: Callable[..., Net], tmp_path: Path) -> None:
    module = netspec.compile(load_text(NET), seed=1)
    exported = netspec.export(module, tmp_path / "net.onnx")
    assert exported.paths == (str(tmp_path / "net.onnx"),)
    assert max(exported.differences.values()) < 1e-5
    assert "wrote" in str(exported)
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert [(node.op_type, node.output[0]) for node in graph.node][:3] == [
        ("Conv", "conv/l"),  # before the ReLU writes over it
        ("Relu", "conv"),
        ("AveragePool", "pool/out"),
    ]
    assert [node.name for node in graph.node][:3] == ["l", "relu", "pool"]
    data = torch.rand(5, 2, 7, 7)  # another batch than the net declares
    wanted = module(data=data)["prob"].detach().numpy()
    got = run(tmp_path / "net.onnx", {"data": data.numpy()})["prob"]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_a_net_cut_at_a_blob(load_text: Callable[..., Net], tmp_path: Path) -> None:
    net = load_text(NET + 'layer { name: "a" type: "ArgMax" bottom: "prob" top: "a" }')
    netspec.export(net, tmp_path / "net.onnx", outputs="conv")
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert [node.op_type for node in graph.node] == ["Conv", "Relu"]
    assert [each.name for each in graph.output] == ["conv"]


def test_a_layer_that_onnx_cannot_hold_writes_nothing(
    load_text: Callable[..., Net], tmp_path: Path
) -> None:
    text = NET + (
        input_text("label", (2, 3, 3))
        + '\nlayer { name: "loss" type: "SoftmaxWithLoss" bottom: "pool" bottom: "label"'
        + ' top: "loss" }'
    )
    with pytest.raises(NetspecError) as caught:
        netspec.export(load_text(text), tmp_path / "net.onnx")
    (fault,) = caught.value.diagnostics
    assert fault.message == (
        "layer 'loss' of type SoftmaxWithLoss can't be exported: ONNX has no operator for it"
    )
    assert fault.span is not None
    assert fault.span.text == '"SoftmaxWithLoss"'
    assert not list(tmp_path.glob("*.onnx*"))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_dense_layer_from_any_axis(
    load_text: Callable[..., Net], tmp_path: Path, axis: int
) -> None:
    text = net_text(
        f'type: "InnerProduct" top: "y" inner_product_param {{ num_output: 3 axis: {axis}'
        ' weight_filler { type: "gaussian" std: 1 } }',
        x=(2, 3, 4),
    )
    module = netspec.compile(load_text(text), seed=1)
    exported = netspec.export(module, tmp_path / "net.onnx")
    assert exported.differences["y"] < 1e-5


def test_an_lstm_of_any_length(load_text: Callable[..., Net], tmp_path: Path) -> None:
    text = net_text(
        'type: "LSTM" top: "y" recurrent_param { num_output: 3'
        ' weight_filler { type: "gaussian" std: 1 } }',
        x=(4, 2, 5),
        cont=(4, 2),
    )
    module = netspec.compile(load_text(text), seed=1)
    netspec.export(module, tmp_path / "net.onnx")
    x, cont = torch.randn(7, 2, 5), (torch.rand(7, 2) > 0.3).float()
    for each in module.modules():
        if hasattr(each, "reset"):
            each.reset()  # an exported net begins at 0
    wanted = module(x=x, cont=cont)["y"].detach().numpy()
    got = run(tmp_path / "net.onnx", {"x": x.numpy(), "cont": cont.numpy()})["y"]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
