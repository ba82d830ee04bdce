"""BatchNorm and Dropout: whose phase counts, and statistics that layers share by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import netspec
from netspec.graph import Net
from tests.nets import input_text

Loader = Callable[..., Net]
X = input_text("x", (4, 2)) + "\n"
NET = X + 'layer { name: "n" type: "BatchNorm" bottom: "x" top: "y" %s }'
OWN_TRAIN, OWN_TEST = "phase: TRAIN", "phase: TEST"
LOCAL, GLOBAL = (
    "batch_norm_param { use_global_stats: false }",
    "batch_norm_param { use_global_stats: true }",
)
BATCH = torch.tensor([[1.0, -2.0], [3.0, 0.0], [-1.0, 2.0], [5.0, 4.0]])


@pytest.mark.parametrize(
    ("settings", "phase", "mode", "takes_the_batch"),
    [
        ("", "TRAIN", None, True),
        ("", "TEST", None, False),
        ("", "TRAIN", "eval", False),
        ("", "TEST", "train", True),
        *[
            (settings, phase, mode, takes)
            for settings, takes in ((LOCAL, True), (GLOBAL, False))
            for phase in ("TRAIN", "TEST")
            for mode in (None, "eval", "train")
        ],
        (OWN_TRAIN, "TEST", None, True),
        (OWN_TRAIN, "TEST", "eval", True),
        (OWN_TEST, "TRAIN", None, False),
        (f"{OWN_TRAIN} {GLOBAL}", "TRAIN", None, False),
    ],
)
def test_which_statistics_count(
    settings: str, phase: str, mode: str | None, takes_the_batch: bool, load_text: Loader
) -> None:
    """The field, else the layer's own phase, else train() and eval().

    These begin as the net's phase says.
    """
    module = netspec.compile(load_text(NET % settings, phase=phase))
    if mode is not None:
        module.train(mode == "train")
    y = module(BATCH)["y"]
    mean, variance, factor = module.params["n"]
    if takes_the_batch:
        assert torch.allclose(y.mean(0), torch.zeros(2), atol=1e-6)
        assert mean.tolist() == [2, 1], "the sums move"
        assert torch.allclose(variance, BATCH.var(0))
        assert factor.item() == 1
    else:
        assert torch.allclose(y, BATCH / 1e-5**0.5), "the sums are empty: mean 0, variance 0"
        assert factor.item() == 0


def test_statistics_shared_by_name(load_text: Loader) -> None:
    names = (
        'param { name: "m" lr_mult: 0 } param { name: "v" lr_mult: 0 } '
        'param { name: "s" lr_mult: 0 }'
    )
    text = f"""
    {X}
    {input_text("z", (4, 2))}
    layer {{ name: "one" type: "BatchNorm" bottom: "x" top: "c" {names} }}
    layer {{ name: "two" type: "BatchNorm" bottom: "z" top: "d" {names} }}
    """
    module = netspec.compile(load_text(text, phase="TRAIN")).double()
    module(BATCH.double(), 3 * BATCH.double())
    for one, two in zip(module.params["one"], module.params["two"], strict=True):
        assert torch.equal(one, two)
    mean, _, factor = module.params["two"]
    assert factor.item() == pytest.approx(1.999)
    assert mean.tolist() == pytest.approx([0.999 * 2 + 6, 0.999 * 1 + 3]), (
        "both passes are in the one sum"
    )
    assert [name for name, _ in module.named_buffers()] == [
        "one.mean",
        "one.variance",
        "one.scale_factor",
    ]


def test_dropout_of_a_layer_in_train_drops_in_test(load_text: Loader) -> None:
    text = X + 'layer { name: "d" type: "Dropout" bottom: "x" top: "y" phase: TRAIN }'
    module = netspec.compile(load_text(text, phase="TEST"))
    torch.manual_seed(0)
    y = module.eval()(torch.ones(50, 20))["y"]
    assert set(y.unique().tolist()) == {0, 2}
