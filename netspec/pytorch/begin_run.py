"""Where a training run begins, at a snapshot or anew, and what it must not write over."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.diagnostics import NetspecError, os_reason
from netspec.files.paths import resolve_path
from netspec.listener import Listener
from netspec.logs.read_log import log_format
from netspec.logs.run import CAFFE, JSON_LINES
from netspec.read_file import unreadable
from netspec.solver.run_options import RunOptions
from netspec.weights.snapshot_files import (
    files_of_snapshots,
    further_on,
    newest_snapshot,
    sole_writer,
)

if TYPE_CHECKING:
    from netspec.pytorch.train import Solver

GO_ON_OR_OVERWRITE = "--resume goes on with that run, --overwrite writes over it"


def writing(
    solver: Solver, options: RunOptions, listener: Listener
) -> AbstractContextManager[None]:
    """Holds the lock of the run's snapshots; makes their folder where it does not exist.

    Raises: NetspecError.
    """
    p = solver.param
    if not (
        solver.processes.is_root and (p.snapshot or p.snapshot_after_train or options.keep_best)
    ):
        return nullcontext()
    folder = Path(solver.snapshot_prefix).parent
    if not folder.is_dir():
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            hint = "--snapshot-prefix PATH puts the snapshots elsewhere"
            raise NetspecError(
                f"the folder '{folder}' of the snapshots can't be made: {os_reason(error)}",
                None,
                hint,
            ) from None
        listener.noted(f"made the folder '{folder}' for the snapshots")
    return sole_writer(solver.snapshot_prefix)


def _takes_snapshots(solver: Solver, options: RunOptions) -> bool:
    p = solver.param
    return bool(p.snapshot or p.snapshot_after_train or options.keep_best)


def begin_run(solver: Solver, options: RunOptions, listener: Listener) -> str | None:
    """Goes on from a state, or begins with the weights that options or solver file name.

    Returns: the path of the state.
    Raises: NetspecError where the run would write over what another has left, or a file is missing
        or damaged.
    """
    state = str(options.snapshot) if options.snapshot else None
    if options.resume:
        state = _newest(solver, listener)
    if solver.processes.is_root:
        _check_named_files(
            [state]
            if state
            else [resolve_path(str(path), solver.file.path) for path in options.weights]
        )
        if not options.overwrite:
            _refuse_other_logs(options)
            if not options.resume:
                _refuse_to_overwrite(solver, options, state)
    if state:
        solver.restore(state)
        if solver.processes.is_root:
            _report_resumption(solver, options, listener)
        return state
    paths = options.weights or [path for path, _ in solver.file.weights]
    for report in solver.load_weights(paths, options.choice):
        listener.noted(str(report))
    return None


def _check_named_files(paths: list[str]) -> None:
    """A mistyped name is reported before what lies there of another run, which would mislead.

    Raises: NetspecError.
    """
    for path in paths:
        if not os.path.exists(path):
            raise unreadable(path, FileNotFoundError())


def _refuse_other_logs(options: RunOptions) -> None:
    """Raises: NetspecError where something else lies where a log is to begin or to go on."""
    for path, wanted in ((options.log, JSON_LINES), (options.caffe_log, CAFFE)):
        if path and os.path.isfile(path) and os.path.getsize(path) and log_format(path) != wanted:
            raise NetspecError(
                f"'{path}' already exists and is not {wanted}", None, "name another file"
            )


def _refuse_to_overwrite(solver: Solver, options: RunOptions, state: str | None) -> None:
    """Raises: NetspecError where a log or snapshots of another run are there."""
    for path in (options.log, options.caffe_log):
        # a state's run appends to its log
        if path and not state and os.path.isfile(path) and os.path.getsize(path):
            raise NetspecError(f"the log '{path}' already exists", None, GO_ON_OR_OVERWRITE)
    if not _takes_snapshots(solver, options):
        return
    prefix = solver.snapshot_prefix
    files = files_of_snapshots(prefix)
    is_own = state is not None and os.path.realpath(state) in map(os.path.realpath, files)
    if files and not is_own:
        hint = f"{GO_ON_OR_OVERWRITE}, --snapshot-prefix PATH puts this run's elsewhere"
        raise NetspecError(f"snapshots '{prefix}_iter_*' of another run already exist", None, hint)


def _newest(solver: Solver, listener: Listener) -> str | None:
    """The newest snapshot of the solver that is whole; all processes learn which.

    Raises: NetspecError where none of several is whole, or an older one is further on.
    """
    found = None
    if solver.processes.is_root:
        state, faults = newest_snapshot(solver.snapshot_prefix)
        for path, error in faults.items():
            listener.warned(f"the snapshot '{path}' is passed over: {error.diagnostics[0].message}")
        if state is None and faults:
            hint = (
                "`--snapshot STATE` names one that lies elsewhere; "
                "without --resume the run begins anew"
            )
            raise NetspecError(
                f"none of the {len(faults)} snapshots '{solver.snapshot_prefix}_iter_*' is whole",
                None,
                hint,
            )
        if state is None:
            listener.noted(
                f"there is no snapshot '{solver.snapshot_prefix}_iter_*' yet: "
                "the run begins at iteration 0"
            )
        other = state and further_on(solver.snapshot_prefix, state)
        if other:
            message = f"'{state}' was written last, but '{other}', which is older, is further on"
            raise NetspecError(
                message, None, f"say which is meant: `--snapshot {state}` or `--snapshot {other}`"
            )
        found = str(state) if state else None
    return solver.processes.broadcast(found)


def _report_resumption(solver: Solver, options: RunOptions, listener: Listener) -> None:
    """What is otherwise than a user may expect of a run that goes on."""
    companion, now = solver.resumed_from, solver.records_a_batch
    before = companion.records_a_batch if companion else None
    if before not in (None, now):
        listener.warned(
            f"the run before read {before} records in a forward pass, this one reads {now}: "
            "it goes on at the same record, but not bit for bit"
        )
    precision = companion.precision if companion else ""
    if precision not in ("", solver.precision):
        listener.warned(
            f"the run before computed in {precision}, this one goes on in {solver.precision}, as "
            "--precision says: not bit for bit"
        )
    parts = len(companion.carried) if companion else 0
    if solver.carried and parts != solver.processes.count:
        why_not = (
            f"the run before had another number of processes, {parts}"
            if parts
            else "the snapshot does not hold them"
        )
        listener.warned(f"the states that LSTM and RNN layers carry over begin at 0: {why_not}")
    if options.weights:
        listener.warned("--weights is not read, for the run goes on from its snapshot")
    if solver.iter >= solver.param.max_iter:
        listener.noted(
            f"the run is at iteration {solver.iter}, its max_iter is {solver.param.max_iter}: "
            "nothing is left to train"
        )
