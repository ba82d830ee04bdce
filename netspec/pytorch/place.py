"""Where a run stands beside its weights and history.

Into the companion of a snapshot, and out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.pytorch.carried import Held, packed
from netspec.pytorch.solver_nets import tests_before
from netspec.weights.snapshot_files import Companion

if TYPE_CHECKING:
    from netspec.pytorch.train import Solver


@dataclass(frozen=True, slots=True)
class BeforeTest:
    """Where the run stood when its last test began.

    A run that goes on there begins with that test, whatever was read of it.
    """

    iter: int = -1
    batches: list[int] = field(default_factory=list)  # that had been read of each test net's data
    states: Held = field(default_factory=dict)


def before_test(solver: Solver) -> BeforeTest:
    """Where the run stands now."""
    return BeforeTest(solver.iter, list(solver.tester.batches), solver.carried.held())


def companion_of(solver: Solver) -> Companion:
    """What a snapshot of now must know.

    All processes take part: each has carried states of its own.
    """
    place = solver.before_test if solver.before_test.iter == solver.iter else before_test(solver)
    carried = solver.processes.gathered(packed(place.states)) if solver.carried else []
    return Companion(
        iter=solver.iter,
        seed=solver.seed,
        train_batches=solver.train_batches,
        records_a_batch=solver.records_a_batch,
        test_batches=place.batches,
        losses=solver.losses.values,
        carried=carried,
    )


def go_on(solver: Solver, companion: Companion | None, path: str | Path) -> None:
    """Takes up the place of a state whose iteration, weights and history the solver has.

    The original's have no companion: the data goes on with the batch that the iteration would have
    read, carried states begin at 0.

    Raises: NetspecError where a carried state is another net's.
    """
    p = solver.param
    solver.before_test = BeforeTest()
    solver.train_batches = solver.iter * p.iter_size
    solver.tester.batches = [tests_before(p, solver.iter) * count for count in p.test_iter]
    solver.losses.replace(companion.losses if companion else ())
    solver.carried.reset()
    if companion is None:
        return
    solver.seed = p.random_seed if p.random_seed >= 0 else companion.seed
    solver.train_batches = (
        companion.train_batches * companion.records_a_batch // solver.records_a_batch
    )
    if len(companion.test_batches) == len(solver.test_nets):
        solver.tester.batches = list(companion.test_batches)
    if len(companion.carried) == solver.processes.count:
        solver.carried.take_up(companion.carried[solver.processes.rank], path)
