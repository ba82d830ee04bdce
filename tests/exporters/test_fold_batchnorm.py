"""A folded net computes what the net computes, in every format."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.pytorch.export_subject import random_inputs
from netspec.pytorch.fold_batchnorm import fold_module
from netspec.pytorch.module import NetModule
from tests.nets import net_text
from tests.passes.test_golden import GOLDEN

FILLER = 'weight_filler { type: "gaussian" std: 1 }'
BIAS = 'bias_filler { type: "gaussian" std: 1 }'
BASES = {
    "group": f'"Convolution" convolution_param {{ num_output: 4 kernel_size: 3 group: 2 {FILLER}',
    "no bias": f'"Convolution" convolution_param {{ num_output: 3 kernel_size: 3 bias_term: false'
    f" {FILLER}",
    "deconvolution": f'"Deconvolution" convolution_param {{ num_output: 6 kernel_size: 3 stride: 2'
    f" group: 2 {FILLER}",
    "dense": f'"InnerProduct" inner_product_param {{ num_output: 5 {FILLER}',
    "transposed": f'"InnerProduct" inner_product_param {{ num_output: 5 transpose: true {FILLER}',
    "depthwise": f'"ConvolutionDepthwise" convolution_param {{ num_output: 4 kernel_size: 3'
    f" stride: 1 pad: 0 {FILLER}",
}
AFFINE = {
    "BatchNorm": '"BatchNorm" batch_norm_param { eps: 0.01 }',
    "Scale": '"Scale" scale_param { bias_term: true }',
    "Bias": '"Bias"',
    "one factor": '"Scale" scale_param { num_axes: 0 }',
    "PSPNet's": '"BN" bn_param { frozen: true eps: 0.01 }',
    "SegNet's": '"BN" bn_param { bn_mode: INFERENCE }',
}


def filled(net: Net) -> NetModule:
    """The module with values above 0 in every param: statistics have a variance."""
    module = netspec.compile(net)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for blobs in module.layer_params:
            for blob in blobs:
                blob.copy_(torch.rand(blob.shape, generator=generator) + 0.5)
    return module


def require_same(folded: NetModule, module: NetModule) -> None:
    inputs = random_inputs(module)
    with torch.no_grad():
        got, wanted = folded(**inputs), module(**inputs)
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("base", "affine"), [*itertools.product(BASES, AFFINE)])
def test_behind_and_in_front(load_text: Callable[..., Net], base: str, affine: str) -> None:
    text = net_text(f'type: {AFFINE[affine]} top: "front"', data=(2, 4, 5, 5)) + (
        f'layer {{ name: "base" bottom: "front" top: "y" type: {BASES[base]} {BIAS} }} }}\n'
        f'layer {{ name: "behind" bottom: "y" top: "y" type: {AFFINE[affine]} }}\n'
        f'layer {{ name: "last" bottom: "y" top: "z" type: {AFFINE[affine]} }}\n'
    )
    module = filled(load_text(text))
    folded, (fold,) = fold_module(module)
    is_uniform = base != "deconvolution"
    assert [layer.name for layer in fold.front] == (["l"] if is_uniform else [])
    assert [layer.name for layer in fold.behind] == ["behind", "last"]
    require_same(folded, module)


def test_what_stays_stays_right() -> None:
    module = filled(netspec.load(GOLDEN / "folds.prototxt"))
    folded, folds = fold_module(module)
    assert len(folds) == 3
    require_same(folded, module)


def test_a_bottom_that_another_layer_overwrites_later(load_text: Callable[..., Net]) -> None:
    text = net_text('type: "Power" top: "x"', data=(2, 4, 5, 5)) + (
        'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "normal" }\n'
        'layer { name: "relu" type: "TanH" bottom: "x" top: "x" }\n'
        'layer { name: "fc" type: "InnerProduct" bottom: "normal" top: "fc"'
        " inner_product_param { num_output: 2 } }\n"
    )
    module = filled(load_text(text))
    assert fold_module(module) == (module, [])


def test_a_loss_that_is_written_over_in_front(load_text: Callable[..., Net]) -> None:
    """Without the Scale it would be an output more."""
    text = net_text('type: "Power" top: "t" loss_weight: 0.3', data=(2, 4)) + (
        'layer { name: "scale" type: "Scale" bottom: "t" top: "t" }\n'
        f'layer {{ name: "ip" bottom: "t" top: "ip" type: {BASES["dense"]} }} }}\n'
    )
    module = filled(load_text(text, phase="TEST"))
    folded, _ = fold_module(module)
    require_same(folded, module)


def test_statistics_that_were_never_kept(load_text: Callable[..., Net]) -> None:
    text = net_text('type: "InnerProduct" top: "y" inner_product_param { num_output: 3 }', x=(2, 4))
    module = filled(load_text(text + 'layer { name: "bn" type: "BatchNorm" bottom: "y" top: "y" }'))
    module.params["bn"][2].zero_()
    folded, folds = fold_module(module)
    assert len(folds) == 1
    require_same(folded, module)


def test_a_blob_that_is_asked_for_stays() -> None:
    net = netspec.load(GOLDEN / "folds.prototxt")
    _, folds = fold_module(netspec.compile(net, outputs=["normal", "fc"], seed=1))
    assert [(fold.base.name, len(fold.front), len(fold.behind)) for fold in folds] == [
        ("conv1", 0, 2),
        ("up", 0, 2),
        ("fc", 1, 0),
    ]


def test_onnx(tmp_path: Path) -> None:
    module = netspec.compile(GOLDEN / "folds.prototxt", outputs="scale1", seed=1)
    exported = netspec.export(module, tmp_path / "net.onnx", fold_batchnorm=True)
    assert "folded 3 layers (2 BatchNorm, 1 Scale) into 1" in str(exported)
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert [node.op_type for node in graph.node] == ["Conv", "Relu"]
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_the_command_writes_the_net_beside_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = net_text(
        'type: "Convolution" top: "y" convolution_param { num_output: 3 kernel_size: 3 }',
        data=(2, 2, 5, 5),
    ) + (
        "# netspec: preprocess { crop_size: 5 }\n"
        'layer { name: "bn" type: "BatchNorm" bottom: "y" top: "y" include { phase: TEST } }\n'
        'layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }  # kept\n'
    )
    Path("net.prototxt").write_text(text)
    module = filled(netspec.load("net.prototxt"))
    netspec.save_weights(module, "net.caffemodel")
    command = ["export", "net.prototxt", "out.caffemodel", "--weights", "net.caffemodel"]
    command.append("--fold-batchnorm")
    assert main(command) == 0
    assert capsys.readouterr().out == (
        "wrote out.caffemodel, out.prototxt\nfolded 1 layer (1 BatchNorm) into 1\n"
    )
    written = Path("out.prototxt").read_text()
    assert "BatchNorm" not in written
    assert "include" not in written
    assert "# kept" in written
    assert "# netspec: preprocess { crop_size: 5 }" in written
    result = netspec.verify("out.prototxt", module, "out.caffemodel")
    assert [each.blob for each in result.blobs] == ["y"]  # not what y is before its last layer
    assert result.agrees
    assert main([*command[:2], "out.onnx", *command[3:]]) == 0
    result = netspec.verify(module, "out.onnx")
    assert [each.blob for each in result.blobs] == ["y/bn", "y"]
    assert result.agrees
    assert main([*command[:2], "new.h5", *command[3:]]) == 0
    assert main([*command[:2], "out.safetensors", *command[3:]]) == 1
    assert "'out.prototxt' already exists" in capsys.readouterr().err
    assert main([*command[:2], "net.h5", *command[3:], "--overwrite"]) == 1
    assert "would be written over the net itself" in capsys.readouterr().err
    assert not Path("net.h5").exists()
    assert Path("net.prototxt").read_text() == text


def test_a_fold_that_is_not_exact_writes_nothing(
    load_text: Callable[..., Net], tmp_path: Path
) -> None:
    text = net_text('type: "InnerProduct" top: "y" inner_product_param { num_output: 1 }', x=(1, 1))
    module = filled(load_text(text + 'layer { name: "s" type: "Scale" bottom: "y" top: "y" }'))
    with torch.no_grad():  # the product of the weights is infinite, that with the input is not
        module.params["l"][0].fill_(1e20)
        module.params["s"][0].fill_(3.5e18)
    with pytest.raises(NetspecError, match="the folded 'y' differs"):
        netspec.export(module, tmp_path / "net.onnx", fold_batchnorm=True)
    assert not list(tmp_path.glob("*.onnx"))
