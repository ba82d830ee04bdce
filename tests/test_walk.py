"""Nets, solvers and weight files as wrong as they come.

Each ends in success or in a message, in 10 seconds and 2 GiB.

The slow tests walk every field of every layer type and of the solver through the ends of its range,
and change thousands of files at random; a sample of both is quick.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from netspec.layers import SPECS
from tests.walk.bounded import Outcomes, outcomes_of
from tests.walk.fields import layer_cases, solver_cases, write_files
from tests.walk.mutations import mutated

# Of as many types each, so that several processes share the work.
PARTS = [sorted(SPECS)[i::4] for i in range(4)]
SOLVERS = [
    'type: "SGD" lr_policy: "step" momentum: 0.9',
    'type: "Adam" lr_policy: "inv" momentum: 0.9',
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def no_faults(outcomes: Outcomes) -> None:
    assert outcomes.fine
    assert outcomes.reported
    assert not outcomes.faults, f"{len(outcomes.faults)} faults:\n" + "\n\n".join(
        outcomes.faults[:5]
    )


@pytest.mark.slow
@pytest.mark.parametrize("kinds", PARTS, ids=lambda kinds: kinds[0])
def test_every_field_of_every_layer_type(files: Path, kinds: list[str]) -> None:
    no_faults(outcomes_of(case for kind in kinds for case in layer_cases(kind, files)))


@pytest.mark.slow
@pytest.mark.parametrize("settings", SOLVERS)
def test_every_field_of_the_solver(settings: str) -> None:
    no_faults(outcomes_of(solver_cases(settings)))


@pytest.mark.slow
def test_mutated_files(tmp_path: Path) -> None:
    no_faults(outcomes_of(mutated(tmp_path, 4000)))


def test_a_sample(files: Path) -> None:
    every = [case for kind in sorted(SPECS) for case in layer_cases(kind, files)]
    no_faults(
        outcomes_of(
            [
                *every[::211],
                *islice(solver_cases(SOLVERS[0]), 0, None, 50),
                *mutated(files, 40, seed=1),
            ]
        )
    )
