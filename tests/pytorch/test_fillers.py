"""The seven fillers, each by what it promises."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from netspec.layers.filler_fault import FILLERS
from netspec.pytorch.fillers import _FILLERS, fill
from netspec.schema.caffe_pb2 import FillerParameter


def filled(shape: tuple[int, ...], seed: int = 0, **settings: object) -> torch.Tensor:
    tensor = torch.full(shape, float("nan"))
    fill(tensor, FillerParameter(**settings), torch.Generator().manual_seed(seed))
    return tensor


def test_each_filler_that_a_net_may_name_is_here() -> None:
    assert _FILLERS.keys() == set(FILLERS)


def test_constant_is_0_unless_given() -> None:
    assert torch.equal(filled((2, 3)), torch.zeros(2, 3))
    assert torch.equal(filled((), type="constant", value=0.25), torch.tensor(0.25))


def test_uniform() -> None:
    values = filled((100, 100), type="uniform", min=-2, max=3)
    assert -2 <= values.min() < -1.99
    assert 2.99 < values.max() <= 3
    assert values.mean() == pytest.approx(0.5, abs=0.05)


def test_gaussian_and_its_sparse_form() -> None:
    values = filled((200, 100), type="gaussian", mean=1, std=0.5)
    assert (values.mean(), values.std()) == (
        pytest.approx(1, abs=0.02),
        pytest.approx(0.5, abs=0.02),
    )
    sparse = filled((50, 400), type="gaussian", std=1, sparse=10)
    assert (sparse != 0).float().mean() == pytest.approx(10 / 50, abs=0.01)


@pytest.mark.parametrize(
    ("variance_norm", "n"), [("FAN_IN", 75), ("FAN_OUT", 200), ("AVERAGE", 137.5)]
)
def test_xavier_and_msra_count_their_fan(variance_norm: str, n: float) -> None:
    shape = (8, 3, 5, 5)  # fan in 3·5·5, fan out 8·5·5
    values = torch.cat(
        [
            filled(shape, seed, type="xavier", variance_norm=variance_norm).flatten()
            for seed in range(20)
        ]
    )
    assert values.abs().max() == pytest.approx(sqrt(3 / n), rel=0.01)
    values = torch.cat(
        [
            filled(shape, seed, type="msra", variance_norm=variance_norm).flatten()
            for seed in range(20)
        ]
    )
    assert values.std() == pytest.approx(sqrt(2 / n), rel=0.03)


def test_positive_unitball_rows_sum_to_1() -> None:
    values = filled((4, 3, 2), type="positive_unitball")
    assert torch.allclose(values.sum((1, 2)), torch.ones(4))
    assert (values >= 0).all()


def test_bilinear_is_the_kernel_that_enlarges() -> None:
    values = filled((2, 3, 4, 4), type="bilinear")
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.equal(values, (line[:, None] * line).expand(2, 3, 4, 4))
