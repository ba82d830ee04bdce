"""The schedule of a run.

Its rates by pieces and samples, counts of tests and snapshots, what it warns of.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from netspec.schema.caffe_pb2 import SolverParameter
from netspec.solver.learning_rate import learning_rate
from netspec.solver.schedule import (
    count_tests,
    first_bad_iteration,
    make_rates,
    piece_starts,
    plan_snapshots,
)

STEP = {"lr_policy": "step", "gamma": 0.1, "stepsize": 30}
SLOW = {"lr_policy": "multistep", "gamma": 0.5, "stepvalue": [4, 4, 4, 90, 200]}


@pytest.mark.parametrize(
    ("settings", "ranges"),
    [
        ({"lr_policy": "fixed"}, [(0, 99)]),
        (STEP, [(0, 29), (30, 59), (60, 89), (90, 99)]),
        # one step an iteration; the last is past the end
        (SLOW, [(0, 3), (4, 4), (5, 5), (6, 89), (90, 99)]),
        ({"lr_policy": "multistep", "gamma": 0.5, "stepvalue": [0, 100]}, [(0, 99)]),
    ],
)
def test_constant_pieces(settings: dict, ranges: list[tuple[int, int]]) -> None:
    p = SolverParameter(base_lr=1, max_iter=100, **settings)
    rates = make_rates(p)
    assert [(row.first, row.last) for row in rates.rows] == ranges
    for row in rates.rows:  # all rates of the run, each in its piece
        assert {learning_rate(p, i) for i in range(row.first, row.last + 1)} == {row.rate}


def test_very_many_pieces_are_cut() -> None:
    p = SolverParameter(
        base_lr=1, max_iter=2_000_000_000, lr_policy="step", gamma=0.999, stepsize=1
    )
    rates = make_rates(p)
    assert (len(rates.rows), rates.omitted) == (24, 2_000_000_000 - 24)
    assert (rates.rows[-2].first, rates.rows[-1].first) == (22, 1_999_999_999)
    assert [row.first for row in make_rates(p, 3).rows] == [0, 1, 1_999_999_999]


@pytest.mark.parametrize(
    ("max_iter", "points", "samples"),
    [
        (100, None, [*range(0, 100, 10), 99]),
        (100, 2, [0, 50, 99]),
        (3, None, [0, 1, 2]),
        (0, None, []),
    ],
)
def test_samples(max_iter: int, points: int | None, samples: list[int]) -> None:
    rates = make_rates(
        SolverParameter(base_lr=1, max_iter=max_iter, lr_policy="exp", gamma=0.9), points
    )
    assert rates.is_sample
    assert [row.first for row in rates.rows] == samples


def test_no_iteration_has_no_rate() -> None:
    for settings in ({"lr_policy": "fixed"}, STEP, SLOW):
        assert list(piece_starts(SolverParameter(base_lr=1, **settings))) == []


@pytest.mark.parametrize(
    ("settings", "first_bad"),
    [
        ({"lr_policy": "fixed", "base_lr": 1}, None),
        ({"lr_policy": "fixed", "base_lr": 0}, None),  # the solver check reports it
        ({"lr_policy": "step", "base_lr": 1, "gamma": 0, "stepsize": 7}, 7),
        ({"lr_policy": "exp", "base_lr": 1, "gamma": 2}, 128),  # 2^128 is inf in Caffe's floats
        ({"lr_policy": "exp", "base_lr": 1, "gamma": 0.5}, 150),  # 2^-150 is 0
        ({"lr_policy": "poly", "base_lr": 1, "power": 1}, None),
    ],
)
def test_where_a_rate_goes_out_of_bounds(settings: dict, first_bad: int | None) -> None:
    assert first_bad_iteration(SolverParameter(max_iter=1000, **settings)) == first_bad


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"test_interval": 25}, 5),  # 0, 25, 50, 75, and 100 when training is over
        ({"test_interval": 30}, 4),
        ({"test_interval": 30, "test_initialization": False}, 3),
        ({"test_interval": 500}, 1),
        ({}, 0),
    ],
)
def test_number_of_tests(settings: dict, count: int) -> None:
    assert count_tests(SolverParameter(max_iter=100, test_iter=[1], **settings)) == count


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 1),
        ({"snapshot": 25}, 4),  # the last is the final one
        ({"snapshot": 30}, 4),
        ({"snapshot": 30, "snapshot_after_train": False}, 3),
        ({"snapshot_after_train": False}, 0),
    ],
)
def test_number_of_snapshots(settings: dict, count: int) -> None:
    assert plan_snapshots(SolverParameter(max_iter=100, **settings), "prefix", None).count == count


def test_the_schedule_needs_neither_torch_nor_numpy() -> None:
    heavy = ["torch", "numpy", "yaml", "lmdb", "h5py", "PIL", "matplotlib", "graphviz"]
    code = (
        f"import sys, netspec.cli.solver; print([name for name in {heavy} if name in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )
