"""A net that only infers, made faster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import netspec
from netspec.cli import main
from netspec.pytorch import run_test
from netspec.pytorch.module import NetModule
from netspec.pytorch.optimize import optimized

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


@pytest.mark.parametrize(
    ("more", "lies_last"),
    [
        ("", True),
        ('layer { name: "tanh" type: "TanH" bottom: "norm" top: "tanh" }', True),
        (
            'layer { name: "spp" type: "SPP" bottom: "norm" top: "spp" '
            "spp_param { pyramid_height: 2 pool: STOCHASTIC } }",
            False,
        ),
    ],
    ids=["a common net", "any layer takes channels last", "one that draws for each place does not"],
)
def test_what_it_computes_is_the_same_but_for_rounding(
    load_text, more: str, lies_last: bool
) -> None:
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
    net = re.sub('layer { name: "drop".*', "", net)
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


def test_a_dropout_over_planes_draws_as_it_did(run_folder: Path) -> None:
    run = netspec.Solver(run_folder / "solver.prototxt")
    assert run.module.params["conv"][0].is_contiguous()


def test_a_test_net_that_may_not_take_it_keeps_the_training_as_it_is(run_folder: Path) -> None:
    more = (
        'layer { name: "t" type: "SPP" bottom: "bn" top: "t" include { phase: TEST } '
        "spp_param { pyramid_height: 2 pool: STOCHASTIC } }\n"
    )
    path = run_folder / "net.prototxt"
    path.write_text(re.sub('layer { name: "drop".*', more, path.read_text()))
    run = netspec.Solver(run_folder / "solver.prototxt")
    assert run.module.params["conv"][0].is_contiguous()


def test_a_net_that_is_cut_before_a_convolution(load_text) -> None:
    net = load_text(NET.replace("LAST", ""))
    data = torch.randn(2, 3, 9, 9)
    cut = netspec.compile(net, outputs=["data"], exact=False)
    assert torch.equal(cut(data)["data"], data)
