"""A net that only infers, made faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import netspec
from netspec.cli import main
from netspec.pytorch import run_test
from netspec.pytorch.layers import BUILDERS
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.module import NetModule
from netspec.pytorch.optimize import lay_channels_last, optimized

NET = """
name: "Net"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "norm" type: "LRN" bottom: "pool" top: "norm" }
LAST
layer { name: "ip" type: "InnerProduct" bottom: "norm" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


def filled(module: NetModule) -> NetModule:
    """The module with statistics that a training could leave."""
    generator = torch.Generator().manual_seed(3)
    for name in ("bn", "scale"):
        for blob in module.params[name]:
            blob.data.uniform_(0.5, 2, generator=generator)
    return module


WRITES = (
    'layer { name: "file" type: "HDF5Output" bottom: "norm" bottom: "norm" '
    'hdf5_output_param { file_name: "out.h5" } }'
)


@pytest.mark.parametrize(
    ("more", "lies_last"),
    [
        ("", True),
        ('layer { name: "tanh" type: "TanH" bottom: "norm" top: "tanh" }', True),
        (WRITES, False),
    ],
    ids=["a common net", "any layer takes channels last", "one that does more does not"],
)
def test_what_it_computes_is_the_same_but_for_rounding(
    load_text, more: str, lies_last: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net = load_text(NET.replace("LAST", more))
    data = torch.randn(2, 3, 9, 9)
    expected = filled(netspec.compile(net, seed=1))(data)["prob"]
    module = optimized(filled(netspec.compile(net, seed=1)), "cpu")
    assert "self.bn" not in module.code
    assert torch.allclose(module(data)["prob"], expected, rtol=1e-5, atol=1e-6)
    weight = module.params["conv"][0]
    assert weight.is_contiguous(memory_format=torch.channels_last) == lies_last


@pytest.mark.parametrize("options", [[], ["--exact"]], ids=["folded", "exact"])
def test_a_test_folds_unless_it_is_to_be_exact(
    options: list[str],
    run_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    net, weights = run_folder / "net.prototxt", run_folder / "w.safetensors"
    module = netspec.compile(net, seed=1)
    for blob in module.params["bn"]:
        blob.fill_(2)
    netspec.save_weights(module, weights)
    seen: list[str] = []
    with monkeypatch.context() as patch:
        original = run_test.run_test

        def spied(*args: Any) -> run_test.Scores:
            seen.append(args[1].code)
            return original(*args)

        patch.setattr(run_test, "run_test", spied)
        assert main(["test", str(net), str(weights), "--cpu", "--iterations", "2", *options]) == 0
    assert ("self.bn" in seen[0]) == bool(options)
    assert "accuracy" in capsys.readouterr().out


def test_training_lays_weights_last_unless_it_is_to_be_exact(run_folder: Path) -> None:
    path = run_folder / "solver.prototxt"
    net = (run_folder / "net.prototxt").read_text()
    second = net[net.index('layer { name: "conv"') : net.index('layer { name: "bn"')]
    second = second.replace('"conv"', '"deep"').replace('bottom: "data"', 'bottom: "conv"')
    norm = 'layer { name: "bn" type: "BatchNorm" bottom: '
    net = net.replace(f'{norm}"conv"', f'{second}{norm}"deep"')
    (run_folder / "net.prototxt").write_text(net)
    runs = {exact: netspec.Solver(path, exact=exact) for exact in (False, True)}
    for exact, run in runs.items():
        run.step(6)
        blobs = [one.params["deep"][0] for one in (run.module, *run.test_modules)]
        assert all(blob.is_contiguous() == exact for blob in (*blobs, run.updater.history[2]))
    for name, value in runs[True].module.state_dict().items():
        assert torch.allclose(value, runs[False].module.state_dict()[name], atol=1e-4), name


DRAWING = {
    "Dropout": 'type: "Dropout" bottom: "conv" top: "conv" dropout_param { dropout_ratio: 0.4 }',
    "a Dropout of its own phase": 'type: "Dropout" bottom: "conv" top: "conv" phase: TRAIN',
    "unscaled": 'type: "Dropout" bottom: "conv" top: "conv" dropout_param { scale_train: false }',
    "Pooling": 'type: "Pooling" bottom: "conv" top: "drawn" '
    "pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }",
    "SPP": 'type: "SPP" bottom: "conv" top: "drawn" '
    "spp_param { pyramid_height: 1 pool: STOCHASTIC }",
}


@pytest.mark.parametrize("layer", DRAWING.values(), ids=DRAWING)
def test_what_is_drawn_is_the_same_channels_last(load_text, layer: str) -> None:
    text = NET[: NET.index('layer { name: "bn"')] + f'layer {{ name: "drawing" {layer} }}'
    text = f"force_backward: true {text}"
    net = load_text(text, phase="TRAIN")
    modules = [netspec.compile(net, seed=1) for _ in range(2)]
    lay_channels_last(modules[1], "cpu")
    assert not modules[1].params["conv"][0].is_contiguous()
    data = torch.randn(2, 3, 9, 9, requires_grad=True)
    tops, gradients = [], []
    for module in modules:
        torch.manual_seed(5)
        top = next(iter(module(data).values()))
        top.sum().backward()
        tops.append(top)
        gradients.append(module.params["conv"][0].grad)
    torch.testing.assert_close(*tops)
    torch.testing.assert_close(*gradients)
    assert len(tops[0].unique()) > 10


def test_a_test_net_that_may_not_take_it_keeps_the_training_as_it_is(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run_folder)
    more = WRITES.replace('"norm"', '"bn"').replace("hdf5", "include { phase: TEST } hdf5")
    path = run_folder / "net.prototxt"
    path.write_text(path.read_text() + more)
    run = netspec.Solver(run_folder / "solver.prototxt")
    assert run.module.params["conv"][0].is_contiguous()


def test_a_net_that_is_cut_before_a_convolution(load_text) -> None:
    net = load_text(NET.replace("LAST", ""))
    data = torch.randn(2, 3, 9, 9)
    cut = netspec.compile(net, outputs=["data"], exact=False)
    assert torch.equal(cut(data)["data"], data)


def test_weights_that_are_shared_in_another_shape_keep_their_order(load_text) -> None:
    text = """
    layer { name: "data" type: "Input" top: "data"
      input_param { shape { dim: 2 dim: 4 dim: 6 dim: 6 } } }
    layer { name: "one" type: "Convolution" bottom: "data" top: "one" param { name: "w" }
      convolution_param { num_output: 4 kernel_size: 3 bias_term: false
        weight_filler { type: "xavier" } } }
    layer { name: "two" type: "Convolution" bottom: "one" top: "two"
      param { name: "w" share_mode: PERMISSIVE }
      convolution_param { num_output: 9 kernel_size: 2 bias_term: false } }
    layer { name: "relu" type: "ReLU" bottom: "two" top: "two" }
    layer { name: "three" type: "Convolution" bottom: "two" top: "three"
      convolution_param { num_output: 2 kernel_size: 2 weight_filler { type: "xavier" } } }
    """
    net = load_text(text, phase="TEST")
    plain, fast = (netspec.compile(net, seed=1, exact=exact) for exact in (True, False))
    data = torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(fast(data)["three"], plain(data)["three"])
    assert fast.params["one"][0].is_contiguous()
    assert not fast.params["three"][0].is_contiguous()


def test_a_layer_that_others_build_keeps_the_net_as_it_is(
    load_text, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = load_text(NET.replace("LAST", ""))
    lies = []
    for _ in range(2):
        module = netspec.compile(net, seed=1)
        lay_channels_last(module, "cpu")
        lies.append(module.params["conv"][0].is_contiguous())
        monkeypatch.setitem(BUILDERS, "LRN", Builder(lambda layer: torch.nn.Tanh()))
    assert lies == [False, True]
