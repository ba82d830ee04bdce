"""Where a run stands beside its weights and history.

It goes into the companion of a snapshot, and comes out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.pytorch.carried import Held, packed
from netspec.pytorch.loss_scale import loss_scale_of
from netspec.pytorch.precision import set_precision
from netspec.pytorch.solver_nets import tests_before
from netspec.solver.run_options import PRECISIONS
from netspec.weights.companion import Companion

if TYPE_CHECKING:
    from netspec.pytorch.training_run import TrainingRun


@dataclass(frozen=True, slots=True)
class BeforeTest:
    """Where the run stood when its last test began.

    A run that goes on there begins with that test, whatever was read of it.
    """

    iter: int = -1
    batches: list[int] = field(default_factory=list)  # that had been read of each test net's data
    states: Held = field(default_factory=dict)


def before_test(run: TrainingRun) -> BeforeTest:
    """Where the run stands now."""
    return BeforeTest(run.iter, list(run.tester.batches), run.carried.held())


def companion_of(run: TrainingRun) -> Companion:
    """What a snapshot of now must know.

    All processes take part: each has carried states of its own.
    """
    place = run.before_test if run.before_test.iter == run.iter else before_test(run)
    carried = run.processes.gathered(packed(place.states)) if run.carried else []
    return Companion(
        iter=run.iter,
        seed=run.seed,
        train_batches=run.train_batches,
        records_a_batch=run.records_a_batch,
        test_batches=place.batches,
        losses=run.losses.values,
        precision=run.precision,
        loss_scale=run.loss_scale.state if run.loss_scale else None,
        carried=carried,
    )


def go_on(run: TrainingRun, companion: Companion | None, path: str | Path) -> None:
    """Takes up the place of a state whose iteration, weights and history the run has.

    The original's have no companion: the data goes on with the batch that the iteration would have
    read, carried states and the loss scale begin anew.

    Raises: NetspecError where a carried state is another net's, or the device lacks the precision.
    """
    p = run.param
    if companion is not None:
        _take_up_precision(run, companion.precision)
    run.before_test = BeforeTest()
    run.train_batches = run.iter * p.iter_size
    run.tester.batches = [tests_before(p, run.iter) * count for count in p.test_iter]
    run.losses.replace(companion.losses if companion else ())
    run.carried.reset()
    run.loss_scale = loss_scale_of(run.net, run.precision)
    if companion is None:
        return
    run.seed = p.random_seed if p.random_seed >= 0 else companion.seed
    if run.loss_scale is not None and companion.loss_scale is not None:
        run.loss_scale.state = companion.loss_scale
    run.train_batches = companion.train_batches * companion.records_a_batch // run.records_a_batch
    if len(companion.test_batches) == len(run.test_nets):
        run.tester.batches = list(companion.test_batches)
    if len(companion.carried) == run.processes.count:
        run.carried.take_up(companion.carried[run.processes.rank], path)


def _take_up_precision(run: TrainingRun, recorded: str) -> None:
    """Goes on in the precision of the snapshot, where none was asked for.

    Raises: NetspecError where the device lacks it.
    """
    is_own = run.asked_precision or run.precision != PRECISIONS[0]
    if is_own or recorded in ("", run.precision):
        return
    for module in (run.module, *run.tester.modules):
        set_precision(module, recorded, run.device)
    for forward_pass in (run.forward_pass, *run.tester.compiled):
        if forward_pass is not None:
            forward_pass.forget()
    run.precision = recorded
