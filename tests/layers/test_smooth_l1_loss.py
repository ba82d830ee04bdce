"""SmoothL1Loss by its three rules and L1Loss: which rule a layer means, values, gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report, Source
from netspec.graph import Net
from netspec.options import NetOptions
from netspec.pipeline import load_source
from tests.nets import net_text

Load = Callable[..., Net]
FOUR = dict.fromkeys(("x", "t", "win", "wout"), (3, 4, 2, 2))
TWO, THREE = ({name: FOUR[name] for name in list(FOUR)[:count]} for count in (2, 3))
LOSS = 'type: "SmoothL1Loss"'

RULES = [
    ("smooth_l1_loss_param { sigma: 3 }", TWO, "", "rcnn", 0),
    ("", FOUR, "", "rcnn", 0),
    ("", THREE, "", "rfcn", 0),
    ('top: "each" loss_weight: 1 loss_weight: 0', TWO, "", "rfcn", 1),
    ("loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 2 }", TWO, "", "rfcn", 0),
    ("", TWO, "ssd", "ssd", 1),
    ("", TWO, "rcnn", "rcnn", 0),
    ("", TWO, "intel", "rcnn", 0),
    ("", TWO, "rfcn", "rfcn", 0),
    ("", FOUR, "ssd", "rcnn", 0),  # what the layer shows comes before the dialect
]


@pytest.mark.parametrize(("settings", "shapes", "dialect", "rule", "weight"), RULES)
def test_which_rule_is_meant(
    load_text: Load, settings: str, shapes: dict, dialect: str, rule: str, weight: float
) -> None:
    net = load_text(net_text(f'{LOSS} top: "y" {settings}', **shapes), dialect=dialect)
    assert net.layer("l").spec_name == f"SmoothL1Loss ({rule})"
    assert net.layer("l").loss_weights[0] == weight


def test_two_bottoms_alone_need_a_dialect(load_text: Load) -> None:
    net = load_text(net_text(f'{LOSS} top: "y"', **TWO))
    with pytest.raises(NetspecError, match="has several rules") as caught:
        netspec.compile(net)
    assert "--dialect ssd or rcnn or rfcn" in str(caught.value.diagnostics[0].hint)


def test_a_weight_of_0_is_warned_of_where_it_would_train() -> None:
    report = Report()
    text = net_text(f'{LOSS}\ntop: "y"', **FOUR)
    load_source(Source("net.prototxt", text), NetOptions(phase="TRAIN"), report)
    (fault,) = report.diagnostics
    assert "has a loss_weight of 0 where none is given: it teaches nothing" in fault.message
    assert fault.span.line == 6


def term(d: np.ndarray, sigma: float) -> np.ndarray:
    square = sigma * sigma
    return np.where(abs(d) < 1 / square, square * d * d / 2, abs(d) - 0.5 / square)


def slope(d: np.ndarray, sigma: float) -> np.ndarray:
    square = sigma * sigma
    return np.where(abs(d) < 1 / square, square * d, np.sign(d))


def values(count: int, shape: tuple[int, ...] = (5, 4, 3, 2)) -> list[np.ndarray]:
    random = np.random.default_rng(count)
    return [random.normal(0, 1.5, shape).astype(np.float32) for _ in range(count)]


def run(layer: str, given: list[np.ndarray], dialect: str = "") -> tuple[dict, list]:
    """The outputs and the gradients of the objective."""
    names = ["x", "t", "win", "wout"][: len(given)]
    net = netspec.loads(
        net_text(layer, True, **dict.fromkeys(names, (2, 4, 1, 1))), dialect=dialect
    )
    module = netspec.compile(net)
    feed = {n: torch.from_numpy(v).requires_grad_() for n, v in zip(names, given, strict=True)}
    outputs = module(**feed)
    module.loss(outputs).backward()
    return outputs, [feed[name].grad for name in names]


@pytest.mark.parametrize(("sigma", "mode", "by"), [(3, "", 5), (0.5, "", 5), (1, "NONE", 1)])
def test_r_cnn_weighs_inside_and_outside(sigma: float, mode: str, by: int) -> None:
    a, b, inside, outside = values(4)
    mode = mode and f"loss_param {{ normalization: {mode} }}"
    layer = f'{LOSS} top: "y" loss_weight: 2 smooth_l1_loss_param {{ sigma: {sigma} }} {mode}'
    outputs, (da, db, *others) = run(layer, [a, b, inside, outside])
    d = inside * (a - b)
    np.testing.assert_allclose(
        outputs["y"].item(), (outside * term(d, sigma)).sum() / by, rtol=1e-4
    )
    wanted = 2 * inside * outside * slope(d, sigma) / by
    np.testing.assert_allclose(da, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(db, -wanted, rtol=1e-4, atol=1e-6)
    assert others == [None, None]


MODES = [
    ("", 5 * 3 * 2),
    ("normalization: FULL", 5 * 3 * 2),
    ("normalization: BATCH_SIZE", 5),
    ("normalization: NONE", 1),
    ("normalize: false", 5),
    ("normalization: PRE_FIXED pre_fixed_normalizer: 16", 16),
    ("normalization: PRE_FIXED pre_fixed_normalizer: 0.1", 1),
    ("normalization: PRE_FIXED", 1),
]


@pytest.mark.parametrize("kind", ["SmoothL1Loss", "SmoothL1LossOHEM"])
@pytest.mark.parametrize(("mode", "by"), MODES)
def test_r_fcn_divides_by_a_normaliser_and_does_not_weigh_gradients(
    kind: str, mode: str, by: float
) -> None:
    a, b, weight = values(3)
    layer = (
        f'type: "{kind}" top: "y" top: "each" loss_weight: 1 loss_weight: 0 loss_param {{ {mode} }}'
    )
    outputs, (da, db, dw) = run(layer, [a, b, weight])
    d = weight * (a - b)
    np.testing.assert_allclose(outputs["y"].item(), term(d, 1).sum() / by, rtol=1e-4)
    np.testing.assert_allclose(
        outputs["each"].detach(), term(d, 1).sum(1, keepdims=True), rtol=1e-4
    )
    np.testing.assert_allclose(da, slope(d, 1) / by, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(db, -slope(d, 1) / by, rtol=1e-4, atol=1e-6)
    assert dw is None


def test_ssd_and_l1_divide_by_the_items() -> None:
    a, b = values(2)
    outputs, (da, _) = run(f'{LOSS} top: "y"', [a, b], "ssd")
    np.testing.assert_allclose(outputs["y"].item(), term(a - b, 1).sum() / 5, rtol=1e-4)
    np.testing.assert_allclose(da, slope(a - b, 1) / 5, rtol=1e-4, atol=1e-6)
    b[0] = a[0]
    outputs, (da, db) = run('type: "L1Loss" top: "y"', [a, b])
    np.testing.assert_allclose(outputs["y"].item(), abs(a - b).sum() / 5, rtol=1e-4)
    np.testing.assert_allclose(da, np.sign(a - b) / 5)
    np.testing.assert_allclose(db, np.sign(b - a) / 5)


WRONG = [
    (
        'type: "SmoothL1Loss" smooth_l1_loss_param { sigma: 1 }',
        THREE,
        "takes 2 or 4 bottoms, got 3: the outside weights are missing",
    ),
    (
        'type: "SmoothL1Loss"',
        FOUR | {"wout": (3, 4)},
        "'x' (3×4×2×2) and 'wout' (3×4) must agree in every axis",
    ),
    (
        'type: "SmoothL1LossOHEM" loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 0 }',
        TWO,
        "'pre_fixed_normalizer' must be greater than 0, got 0",
    ),
    (
        'type: "SmoothL1LossOHEM"',
        {"x": (2, 1, 1, 1, 1), "t": (2, 1, 1, 1, 1)},
        "'x' has at most 4 axes, got 2×1×1×1×1",
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "message"), WRONG)
def test_a_fault_is_reported_in_the_layer(
    load_text: Load, layer: str, shapes: dict, message: str
) -> None:
    text = net_text(f'top: "y" {layer}', **shapes)
    with pytest.raises(NetspecError) as caught:
        load_text(text)
    fault = next(d for d in caught.value.diagnostics if d.severity == "error")
    assert fault.message == f"layer 'l': {message}"
    assert fault.span.line == len(shapes) + 1
