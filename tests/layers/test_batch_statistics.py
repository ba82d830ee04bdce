"""The forks' batch normalisations: which rule a layer means, statistics, weight files, faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from netspec.weights.files import write_weights
from tests.nets import Shape, net_text

Load = Callable[..., Net]
SLOPE = 'slope_filler { type: "constant" value: 2 }'
SCALE = 'scale_filler { type: "constant" value: 2 }'
rng = np.random.default_rng(5)


def values(*shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def bn(fields: str, shape: Shape = (4, 3, 2, 5), more: str = "") -> str:
    return net_text(f'type: "BN" top: "y" {more} bn_param {{ {fields} }}', True, x=shape)


def batch_norm(fields: str, shape: Shape = (4, 3, 2, 5), more: str = "") -> str:
    layer = f'type: "BatchNorm" top: "y" {more} batch_norm_param {{ {fields} }}'
    return net_text(layer, True, x=shape)


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and biased variance of each channel."""
    return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)


@pytest.mark.parametrize(
    ("layer", "dialect", "rule"),
    [
        (bn(SCALE), None, "BN (segnet)"),
        (bn("bn_mode: INFERENCE"), "pspnet", "BN (segnet)"),
        (bn("", more='top: "mean" top: "variance"'), None, "BN (segnet)"),
        (bn(SLOPE), None, "BN (pspnet)"),
        (bn("frozen: true"), "segnet", "BN (pspnet)"),
        (bn(""), "segnet", "BN (segnet)"),
        (bn(""), "pspnet", "BN (pspnet)"),
        (bn(f"{SCALE} decay: 0.1"), None, "BN (moving average)"),
        (batch_norm(""), None, "BatchNorm"),
        (batch_norm(""), "ssd", "BatchNorm"),
        (batch_norm(""), "nvidia", "BatchNorm (nvidia)"),
        (batch_norm(""), "intel", "BatchNorm (intel)"),
        (batch_norm("scale_bias: true"), None, "BatchNorm (nvidia)"),
        (batch_norm("stats_batch_size: 2"), "nvidia", "BatchNorm (intel)"),
        (batch_norm("disable_mean: true scale_filler { value: 1 }"), None, "BatchNorm"),
    ],
)
def test_which_rule_is_meant(layer: str, dialect: str | None, rule: str, load_text: Load) -> None:
    assert load_text(layer, dialect=dialect).layers[-1].spec_name == rule


def test_a_bn_that_shows_no_rule_needs_the_dialect(load_text: Load) -> None:
    net = load_text(bn(""), report=Report())
    assert net.blobs["y"].shape == (4, 3, 2, 5)
    with pytest.raises(NetspecError, match=r"layer type 'BN' has several rules") as caught:
        netspec.compile(net)
    assert "--dialect segnet or pspnet" in str(caught.value.diagnostics[0].hint)


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        (bn("moving_average: true"), "moving_average"),
        (batch_norm("update_global_stats: true"), "update_global_stats"),
        (batch_norm("disable_variance: true"), "disable_variance"),
        (batch_norm("use_weight_bias: true"), "use_weight_bias"),
        (batch_norm('filler { type: "constant" value: 1 }'), "filler"),
        (batch_norm("stats_batch_size: 2 relu: true"), "relu"),
    ],
)
def test_what_is_checked_and_not_computed(layer: str, field: str, load_text: Load) -> None:
    report = Report()
    net = load_text(layer, report=report)
    assert net.blobs["y"].shape == (4, 3, 2, 5)
    assert field in report.diagnostics[0].message
    with pytest.raises(NetspecError, match=field):
        netspec.compile(net)


def test_intel_without_weight_bias_is_caffes_rule(load_text: Load) -> None:
    x = values(4, 3, 2, 5)
    y = [
        netspec.compile(load_text(batch_norm(fields), phase="TRAIN"))(x)["y"]
        for fields in ("", "use_weight_bias: false")
    ]
    assert torch.equal(*y)


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_segnets_bn_takes_the_batch_in_every_phase(phase: str, load_text: Load) -> None:
    x = values(4, 3, 2, 5)
    text = bn(f"{SCALE} shift_filler {{ value: 1 }}", more='top: "mean" top: "variance"')
    outputs = netspec.compile(load_text(text, phase=phase))(x)
    mean, variance = moments(x)
    wanted = 2 * (x - mean.view(1, 3, 1, 1)) / variance.view(1, 3, 1, 1).sqrt() + 1
    assert torch.allclose(outputs["y"], wanted, atol=1e-5)
    assert torch.allclose(outputs["mean"], mean.view(1, 3, 1, 1), atol=1e-6)
    assert torch.allclose(outputs["variance"], variance.view(1, 3, 1, 1), atol=1e-5)


def test_bn_without_fillers_is_zero(load_text: Load) -> None:
    for dialect in ("segnet", "pspnet"):
        net = load_text(bn(""), phase="TRAIN", dialect=dialect)
        assert not netspec.compile(net)(values(4, 3, 2, 5))["y"].any()


def test_inference_has_no_statistics(load_text: Load) -> None:
    with pytest.raises(NetspecError, match="INFERENCE takes no statistics"):
        load_text(bn("bn_mode: INFERENCE", more='top: "mean"'))


def test_pspnets_running_statistics(load_text: Load) -> None:
    module = netspec.compile(load_text(bn(f"{SLOPE} momentum: 0.75 eps: 0.1"), phase="TRAIN"))
    mean, variance = torch.zeros(3), torch.zeros(3)
    for _ in range(2):
        x = values(4, 3, 2, 5)
        module(x)
        mean = 0.75 * mean + 0.25 * moments(x)[0]
        variance = 0.75 * variance + 0.25 * moments(x)[1]
    _, _, kept_mean, kept_variance = module.params["l"]
    assert torch.allclose(kept_mean.flatten(), mean, atol=1e-6)
    assert torch.allclose(kept_variance.flatten(), variance, atol=1e-6)
    y = module.eval()(x)["y"]
    wanted = 2 * (x - mean.view(1, 3, 1, 1)) / (variance.view(1, 3, 1, 1) + 0.1).sqrt()
    assert torch.allclose(y, wanted, atol=1e-5)


def test_a_frozen_bn_learns_nothing(load_text: Load) -> None:
    net = load_text(bn(f"{SLOPE} frozen: true"), phase="TRAIN")
    assert [param.lr_mult for param in net.layers[-1].params] == [0, 0, 0, 0]
    assert [param.decay_mult for param in net.layers[-1].params] == [0, 0, 0, 0]
    module = netspec.compile(net)
    x = values(4, 3, 2, 5).requires_grad_()
    y = module(x)["y"]
    assert torch.allclose(y, 2 * x / (1 + 1e-5) ** 0.5), "mean 0 and variance 1 at first"
    y.sum().backward()
    assert torch.allclose(x.grad, torch.full_like(x, 2 / (1 + 1e-5) ** 0.5))
    assert all(blob.grad is None for blob in module.params["l"])


def test_pspnets_gradient_in_test_is_that_of_training(load_text: Load) -> None:
    module = netspec.compile(load_text(bn(SLOPE)))
    x, slope = values(4, 3, 2, 5).requires_grad_(), values(4, 3, 2, 5)
    with torch.no_grad():
        for blob, value in zip(module.params["l"][2:], moments(x), strict=True):
            blob.copy_(value.view_as(blob))
    (module(x)["y"] * slope).sum().backward()
    twin = netspec.compile(load_text(bn(SLOPE), phase="TRAIN"))
    other = x.detach().clone().requires_grad_()
    (twin(other)["y"] * slope).sum().backward()
    assert torch.allclose(x.grad, other.grad, atol=1e-5)


def test_yjxiongs_rows_load_into_pspnets_blobs(tmp_path: Path, load_text: Load) -> None:
    module = netspec.compile(load_text(bn(SLOPE)))
    rows = [np.arange(3, dtype=np.float32).reshape(1, 3) + i for i in range(4)]
    write_weights(tmp_path / "w.caffemodel", "n", [("l", "BN", ["x"], ["y"], rows)])
    assert module_loads(module, tmp_path / "w.caffemodel") == ["l"]
    assert [blob.flatten().tolist() for blob in module.params["l"]] == [r[0].tolist() for r in rows]


def module_loads(module: torch.nn.Module, path: Path) -> list[str]:
    return netspec.load_weights(module, path).loaded


@pytest.mark.parametrize(
    ("passes", "weights"), [(1, [1.0]), (2, [0, 1.0]), (4, [0, 0.81, 0.09, 0.1])]
)
def test_nvidias_first_two_passes_replace(
    passes: int, weights: list[float], load_text: Load
) -> None:
    text = batch_norm("moving_average_fraction: 0.9 eps: 0.5")
    module = netspec.compile(load_text(text, phase="TRAIN", dialect="nvidia"))
    batches = [values(4, 3, 2, 5) for _ in range(passes)]
    for x in batches:
        module(x)
    mean, variance, correction = module.params["l"]
    found = [moments(x) for x in batches]
    assert torch.allclose(mean, sum(w * m for w, (m, _) in zip(weights, found, strict=True)))
    wanted = sum(w * (v + 0.5) for w, (_, v) in zip(weights, found, strict=True))
    assert torch.allclose(variance, wanted)
    assert correction.item() == 1
    y = module.eval()(batches[0])["y"]
    per_channel = [t.view(1, 3, 1, 1) for t in (mean, variance)]
    assert torch.allclose(
        y, (batches[0] - per_channel[0]) / (per_channel[1] + 0.5).sqrt(), atol=1e-6
    )


@pytest.mark.parametrize(
    ("fields", "blobs"),
    [("", 3), ("scale_bias: true", 5), ("bias_filler { value: 3 }", 5), ("scale_bias: false", 3)],
)
def test_when_nvidias_batch_norm_scales(fields: str, blobs: int, load_text: Load) -> None:
    layer = load_text(
        batch_norm(fields, more="param { lr_mult: 5 } param { lr_mult: 5 }"), dialect="nvidia"
    ).layers[-1]
    assert [param.lr_mult for param in layer.params] == [0, 0, 0, 1, 1][:blobs]


def loaded(fields: str, arrays: list[list[float]], path: Path, load_text: Load) -> list[list]:
    blobs = [np.array(array, np.float32) for array in arrays]
    write_weights(path / "w.caffemodel", "n", [("l", "BatchNorm", ["x"], ["y"], blobs)])
    module = netspec.compile(load_text(batch_norm(fields, (4, 2, 2, 5)), dialect="nvidia"))
    assert module_loads(module, path / "w.caffemodel") == ["l"]
    return [blob.tolist() for blob in module.params["l"]]


def test_weight_files_of_other_orders(tmp_path: Path, load_text: Load) -> None:
    own = [[1.0, 2.0], [3.0, 4.0], [1.0], [5.0, 6.0], [7.0, 8.0]]
    assert loaded("scale_bias: true", own, tmp_path, load_text) == own
    digits = [own[3], own[4], own[0], own[1], own[2]]
    assert loaded("scale_bias: true", digits, tmp_path, load_text) == own
    sums = [[2.0, 4.0], [6.0, 8.0], [2.0]]
    assert loaded("", sums, tmp_path, load_text) == own[:3]
    assert loaded("scale_bias: true", sums, tmp_path, load_text) == [*own[:3], [1, 1], [0, 0]]
    assert loaded("", [[2.0, 4.0], [6.0, 8.0], [0.0]], tmp_path, load_text) == [[0, 0], [0, 0], [1]]
    assert loaded("", digits, tmp_path, load_text) == own[:3]


def test_caffes_batch_norm_loads_as_before(tmp_path: Path, load_text: Load) -> None:
    sums = [np.full(3, 2, np.float32), np.full(3, 4, np.float32), np.full(1, 2, np.float32)]
    write_weights(tmp_path / "w.caffemodel", "n", [("l", "BatchNorm", ["x"], ["y"], sums)])
    module = netspec.compile(load_text(batch_norm("")))
    module_loads(module, tmp_path / "w.caffemodel")
    assert [blob.tolist() for blob in module.params["l"]] == [a.tolist() for a in sums]


def test_groups_of_images(load_text: Load) -> None:
    fields = "stats_batch_size: 2 moving_average_fraction: 0.5"
    module = netspec.compile(load_text(batch_norm(fields), phase="TRAIN"))
    plain = netspec.compile(
        load_text(batch_norm("moving_average_fraction: 0.5", (2, 3, 2, 5)), phase="TRAIN")
    )
    x = values(4, 3, 2, 5)
    y = module(x)["y"]
    assert torch.equal(y, torch.cat([plain(part)["y"] for part in x.split(2)]))
    for ours, theirs in zip(module.params["l"], plain.params["l"], strict=True):
        assert torch.equal(ours, theirs)


def test_groups_that_do_not_divide_the_batch(load_text: Load) -> None:
    text = batch_norm("stats_batch_size: 3")
    with pytest.raises(NetspecError, match="'stats_batch_size' 3 does not divide the 4 images"):
        load_text(text, phase="TRAIN")
    assert load_text(text).blobs["y"].shape == (4, 3, 2, 5), "in TEST nothing is grouped"
    module = netspec.compile(load_text(batch_norm("stats_batch_size: 2"), phase="TRAIN"))
    with pytest.raises(NetspecError, match="does not divide the 3 images"):
        module(values(3, 3, 2, 5))


def test_the_nets_own_group_size(load_text: Load) -> None:
    text = (
        "bn_stats_batch_size: 2\n"
        + batch_norm("")
        + (
            'layer { name: "own" type: "BatchNorm" bottom: "y" top: "z" '
            "batch_norm_param { stats_batch_size: 4 } }\n"
        )
    )
    report = Report()
    module = netspec.compile(load_text(text, phase="TRAIN", report=report))
    assert [module.get_submodule(name).group for name in ("l", "own")] == [2, 4]
    assert not report.diagnostics


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (net_text('type: "BN" top: "y"', x=(4,)), "BN takes a blob of at least 2 axes"),
        (bn("eps: -1"), "'eps' must be at least 0, got -1"),
        (bn(SCALE, (1, 2, 2, 2, 2)), "SegNet's BN takes a blob of at most 4 axes, got 5"),
        (batch_norm("scale_bias: true", (4,)), "BatchNorm takes a blob of at least 2 axes"),
    ],
)
def test_faults(text: str, message: str, load_text: Load) -> None:
    with pytest.raises(NetspecError, match=message):
        load_text(text, dialect="segnet")
