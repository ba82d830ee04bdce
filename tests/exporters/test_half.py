"""Half precision: which layers have it, what they compute, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load_file

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.exporters.half_layers import FOLLOWING, WEIGHTS, half_layers
from netspec.exporters.write_onnx import onnx_model
from netspec.graph import Net
from netspec.pytorch.half import half_module
from netspec.pytorch.module import NetModule
from tests.exporters.test_onnx import CASES, is_refused, run
from tests.nets import net_text

FILLER = 'weight_filler { type: "gaussian" std: 0.3 }'
TEXT = net_text(
    'type: "Convolution" top: "conv"'
    f" convolution_param {{ num_output: 4 kernel_size: 3 {FILLER} }}",
    data=(2, 2, 9, 9),
) + (
    'layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }\n'
    'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'
    'layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" }\n'
    'layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool"'
    " pooling_param { kernel_size: 2 } }\n"
    'layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up"'
    f" convolution_param {{ num_output: 2 kernel_size: 2 {FILLER} }} }}\n"
    'layer { name: "sum" type: "Eltwise" bottom: "up" bottom: "up" top: "sum" }\n'
    'layer { name: "ip" type: "InnerProduct" bottom: "sum" top: "ip"'
    f" inner_product_param {{ num_output: 5 {FILLER} }} }}\n"
    'layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }\n'
)
HALVES = ["l", "bn", "relu", "up", "sum", "ip"]  # not norm, pool, which reads it, and prob


@pytest.fixture
def module(load_text: Callable[..., Net]) -> NetModule:
    module = netspec.compile(load_text(TEXT), outputs=["ip", "prob"], seed=1)
    for blob in module.params["bn"]:
        blob.fill_(0.5)
    return module


def test_which_layers(load_text: Callable[..., Net]) -> None:
    net = load_text(TEXT)
    found = half_layers(net)
    assert [layer.name for layer in net.layers if layer in found] == HALVES


def test_onnx(module: NetModule, tmp_path: Path) -> None:
    exported = netspec.export(module, tmp_path / "net.onnx", half=True)
    assert "half precision in 6 of 10 layers; the difference may be 0.02" in str(exported)
    assert 0 < max(exported.differences.values()) < 5e-3
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert {each.type.tensor_type.elem_type for each in (*graph.input, *graph.output)} == {1}
    types = {each.name: each.data_type for each in graph.initializer}
    assert types["ip/0"] == onnx.TensorProto.FLOAT16
    assert types["bn/variance"] == onnx.TensorProto.FLOAT
    assert netspec.verify(module, tmp_path / "net.onnx", tolerance=5e-3).agrees


def test_torch_export(module: NetModule, tmp_path: Path) -> None:
    netspec.export(module, tmp_path / "net.pt2", half=True)
    program = torch.export.load(tmp_path / "net.pt2")
    kinds = {name: value.dtype for name, value in program.state_dict.items()}
    assert kinds["ip.weight"] == torch.float16
    assert kinds["bn.variance"] == torch.float32
    x = torch.rand(3, 2, 9, 9)
    got = program.module()(x)["ip"]
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, module(x)["ip"].detach(), rtol=1e-2, atol=1e-2)


def test_files_of_weights(module: NetModule, tmp_path: Path) -> None:
    netspec.export(module, tmp_path / "net.safetensors", half=True)
    arrays = load_file(tmp_path / "net.safetensors")
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "l.weight": "float16",
        "l.bias": "float16",
        "bn.mean": "float32",
        "bn.variance": "float32",
        "bn.scale_factor": "float32",
        "up.weight": "float16",
        "up.bias": "float16",
        "ip.weight": "float16",
        "ip.bias": "float16",
    }
    again = netspec.compile(tmp_path / "net.prototxt", weights=tmp_path / "net.safetensors")
    torch.testing.assert_close(again.params["ip"][0], module.params["ip"][0], rtol=1e-3, atol=1e-4)
    netspec.export(module, tmp_path / "net.pt", half=True)
    state = torch.load(tmp_path / "net.pt", weights_only=True)
    assert state["ip.weight"].dtype == torch.float16
    again.load_state_dict(state)


def cases_in_half() -> list[tuple[Path, Net]]:
    """The reference nets in TEST with a layer that may compute in half precision."""
    found = []
    for case, about in CASES.items():
        if about["phase"] == "TEST":
            net = netspec.load(case.with_suffix(".prototxt"), dialect=about.get("dialect"))
            types = {layer.spec_name for layer in net.layers}
            if types & (WEIGHTS | FOLLOWING) and not is_refused(net):
                found.append((case, net))
    return found


@pytest.mark.parametrize(
    ("case", "net"), cases_in_half(), ids=lambda value: getattr(value, "name", "")
)
def test_every_layer_type_in_half(case: Path, net: Net) -> None:
    """Whatever the net reads is brought to half precision before it."""
    record = dict(np.load(case.with_suffix(".npz")))
    params = [
        [
            record.get(f"param/{layer.name}/{i}", np.zeros(p.shape))
            for i, p in enumerate(layer.params)
        ]
        for layer in net.layers
    ]
    halves = {
        layer
        for layer in net.layers
        if layer.spec_name in WEIGHTS | FOLLOWING and len(layer.top_blobs) == 1
    }
    inputs = {key[3:]: value for key, value in record.items() if key.startswith("in/")}
    model = onnx_model(net, params, halves=halves)
    onnx.checker.check_model(model, full_check=True)
    module = netspec.compile(net)
    with torch.no_grad():
        for blobs, arrays in zip(module.layer_params, params, strict=True):
            for blob, array in zip(blobs, arrays, strict=True):
                blob.copy_(torch.from_numpy(array))
        tensors = [torch.from_numpy(inputs[name]) for name in module.input_names]
        by_torch = half_module(module, halves)(*tensors)
    by_onnx = run(model.SerializeToString(), inputs)
    for key, value in record.items():
        if key.startswith("out/"):
            scale = np.abs(value).max(initial=1e-3)
            for got in (by_onnx[key[4:]], by_torch[key[4:]].numpy()):
                assert got.dtype == np.float32
                close = got.reshape(value.shape)
                np.testing.assert_allclose(close, value, rtol=0, atol=1e-2 * scale, err_msg=key)


@pytest.mark.parametrize("suffix", [".onnx", ".pt2", ".pt", ".safetensors"])
def test_a_weight_that_is_out_of_range(module: NetModule, tmp_path: Path, suffix: str) -> None:
    with torch.no_grad():
        module.params["ip"][1].fill_(7e4)
    with pytest.raises(NetspecError, match=r"layer 'ip' of type .* out of range of half") as caught:
        netspec.export(module, tmp_path / f"net{suffix}", half=True)
    assert caught.value.diagnostics[0].span is not None
    assert [path.name for path in tmp_path.iterdir()] == ["net.prototxt"]


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(TEXT)
    netspec.save_weights(netspec.compile("net.prototxt", seed=1), "net.caffemodel")
    command = ["export", "net.prototxt", "net.onnx", "--weights", "net.caffemodel", "--half"]
    assert main(command) == 0
    assert "half precision in 6 of 10 layers" in capsys.readouterr().out
    assert main([*command, "--overwrite", "--fold-batchnorm"]) == 0
    out = capsys.readouterr().out
    assert "folded 1 layer (1 BatchNorm) into 1\nhalf precision in 5 of 9 layers" in out
    command[2] = "out.caffemodel"
    assert main(command) == 1
    assert "'out.caffemodel': '.caffemodel' has no half precision" in capsys.readouterr().err
