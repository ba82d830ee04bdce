"""Nets of many layers go through every stage: no recursion is as deep as a net.

benchmarks/large_nets.py measures how the time grows.
"""

from __future__ import annotations

import sys

import pytest

from benchmarks.generated_nets import KINDS
from benchmarks.large_nets import STAGES, Case

LAYERS = 3000
QUICK = ("step", "dot")  # which load, compile and run the net both ways
QUICK_LAYERS = 1100  # more than Python's limit of recursion
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {}


def case_of(kind: str, cases: dict[str, Case]) -> Case:
    return cases.setdefault(kind, Case(kind, LAYERS))


@kinds
def test_large_nets_train(kind: str) -> None:
    case = Case(kind, QUICK_LAYERS)
    for stage in QUICK:
        STAGES[stage][0](case)
    assert len(case.net.layers) > sys.getrecursionlimit()
    params = [param for param in case.module.parameters() if param.requires_grad]
    assert params
    assert all(param.grad is not None for param in params)


@pytest.mark.slow
@kinds
@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in QUICK])
def test_large_nets_go_through_every_stage(kind: str, stage: str, cases: dict[str, Case]) -> None:
    STAGES[stage][0](case_of(kind, cases))
