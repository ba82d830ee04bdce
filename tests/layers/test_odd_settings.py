"""Settings that the original takes though they look wrong: what it computes with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import netspec
from netspec.graph import Net
from tests.nets import net_text

X = [[0.5, -1.0, 2.0], [3.0, 4.0, 0.0]]
# layer, bottoms, top
CASES = [
    ('type: "Clip"', {"x": X}, [[0.0] * 3] * 2),
    ('type: "Dropout" dropout_param { dropout_ratio: 1 }', {"x": X}, X),
    ('type: "Flatten" flatten_param { axis: 1 end_axis: 0 }', {"x": X}, [[row] for row in X]),
    ('type: "Accuracy" accuracy_param { top_k: 0 }', {"x": X, "t": [2.0, 1.0]}, 0.0),
    # the second pair: margin² / 2 / 2 items
    ('type: "ContrastiveLoss"', {"x": X, "y": X, "s": [1.0, 0.0, 1.0]}, 0.25),
]


@pytest.mark.parametrize(("layer", "feed", "top"), CASES)
def test_values(load_text: Callable[..., Net], layer: str, feed: dict, top: object) -> None:
    tensors = {name: torch.tensor(value) for name, value in feed.items()}
    net = load_text(
        net_text(
            f'{layer} top: "out"', **{name: tuple(value.shape) for name, value in tensors.items()}
        )
    )
    torch.testing.assert_close(netspec.compile(net)(**tensors)["out"], torch.tensor(top))


@pytest.mark.parametrize(("region", "size"), [("ACROSS_CHANNELS", 7), ("WITHIN_CHANNEL", 301)])
def test_lrn_over_more_than_there_is(load_text: Callable[..., Net], region: str, size: int) -> None:
    """A window of the largest size takes no longer than one that just covers everything.

    Only its divisor differs.
    """
    x = torch.arange(48.0).reshape(1, 3, 4, 4) / 10
    tops = []
    for local_size in (size, 2**31 - 1):
        settings = (
            f"local_size: {local_size} alpha: "
            f"{local_size ** (2 if region == 'WITHIN_CHANNEL' else 1)} norm_region: {region}"
        )
        module = netspec.compile(
            load_text(net_text(f'type: "LRN" top: "y" lrn_param {{ {settings} }}', x=(1, 3, 4, 4)))
        )
        tops.append(module(x)["y"])
    wanted = (
        x / (1 + x.square().sum(1 if region == "ACROSS_CHANNELS" else (2, 3), keepdim=True)) ** 0.75
    )
    torch.testing.assert_close(tops, [wanted] * 2)
