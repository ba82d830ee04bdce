"""A training run from its solver file to its end: what `netspec train` does, as a call."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.diagnostics import NetspecError
from netspec.listener import Listener, Listeners
from netspec.plugins import load_plugins
from netspec.pytorch.begin_run import begin_run, writing
from netspec.pytorch.device import faults_reported
from netspec.pytorch.launch import is_orphaned
from netspec.pytorch.precision import slow_precision
from netspec.pytorch.processes import OthersLostError, Processes, is_member, join, local_device
from netspec.pytorch.solver_nets import describe_run
from netspec.pytorch.train import Solver
from netspec.pytorch.training_forward import TrainingForward
from netspec.signals import Interrupted, TwoStage, handling_signals
from netspec.solver.run_options import RunOptions
from netspec.weights.retention import Retention


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run has ended.

    Args:
        solver: at its last iteration, with the trained module; its data is closed.
        reason: "done", or "stopped" by a signal.
        signal: the signal that has stopped it, else 0.
    """

    solver: Solver
    reason: str
    signal: int = 0


def train(
    solver_file: str | Path, options: RunOptions | None = None, listeners: Iterable[Listener] = ()
) -> RunResult:
    """Trains as a solver file says: what `netspec train` does, in this process.

    Writes logs and snapshots, never over those of another run, and handles SIGINT, SIGTERM
    and SIGHUP between two iterations where it is called in the main thread. Of the processes that
    torchrun has started, each calls it; it joins them to one run.

    Args:
        solver_file: a solver prototxt, or YAML by its suffix.
        options: where the run begins and what it writes.
        listeners: receive the run's events, in the process of rank 0; each is closed at the end.

    Raises: NetspecError where a file, the data or the run is wrong; KeyboardInterrupt at a second
        SIGINT or SIGTERM.
    """
    options = options or RunOptions()
    if is_member():
        devices = None if options.device is None else [options.device]
        return train_as_member(solver_file, options, listeners, devices)
    return train_in(Processes(), solver_file, options, listeners)


def train_as_member(
    solver_file: str | Path,
    options: RunOptions,
    listeners: Iterable[Listener],
    devices: list[str] | None,
) -> RunResult:
    """`train` in one process of several, which it joins and leaves.

    Args:
        devices: those of this machine, one a process; None: what the solver file says.
    """
    device = local_device(devices, str(solver_file))
    processes = join(device)
    result = train_in(processes, solver_file, replace(options, device=str(device)), listeners)
    result.solver.leave()
    return result


def train_in(
    processes: Processes,
    solver_file: str | Path,
    options: RunOptions,
    listeners: Iterable[Listener],
) -> RunResult:
    """`train` with the processes of the run known. Raises: NetspecError, KeyboardInterrupt."""
    # the other processes do the same work unheard
    heard = Listeners(listeners if processes.is_root else ())
    with _closed_at_the_end(heard):
        load_plugins(options.plugins)
        # whether the logs begin or go on is known only when the run's beginning is
        solver_listener = Listeners()
        solver = _solver(processes, solver_file, options, solver_listener)
        heard.checked(solver.file.warnings)
        if not solver.param.HasField("max_iter"):
            raise NetspecError(
                "'max_iter' must be given",
                solver.file.spans.value,
                "the number of iterations to train, here or by --max-iter",
            )
        if solver.snapshots.hdf5:
            # without h5py the run ends here, and not at its first snapshot
            from netspec.weights import hdf5  # noqa: F401
        try:
            # before the choice of a state: another run may still write one
            with writing(solver, options, heard):
                state = begin_run(solver, options, heard)
                if processes.is_root:
                    heard.listeners += _logs(options, bool(options.resume or state))
                solver_listener.listeners.append(heard)
                return _run(solver, options, heard, state)
        except OthersLostError as error:
            error.is_asked_to_end = solver.requests.is_asked_to_stop
            raise


@contextmanager
def _closed_at_the_end(listener: Listener) -> Iterator[None]:
    try:
        yield
    finally:
        listener.close()


def _solver(
    processes: Processes, solver_file: str | Path, options: RunOptions, listener: Listener
) -> Solver:
    with faults_reported(
        options.device or "the device", None, "a smaller net, or a smaller --batch-size"
    ):
        return Solver(
            solver_file,
            replace(options.overrides, skip_weights=True),  # begin_run loads them
            options.device,
            listener,
            options.allow_python_layers,
            processes,
            Retention(options.keep_last, options.keep_best),
            options.dialect,
            options.strict,
            options.precision,
            options.exact,
            options.checkpoint,
            options.compile,
            options.workers,
        )


def _logs(options: RunOptions, is_resumed: bool) -> list[Listener]:
    """The logs that are asked for. Raises: NetspecError where one can't be written."""
    logs: list[Listener] = []
    if options.log:
        from netspec.logs.json_lines import JsonLog

        logs.append(JsonLog(options.log, append=is_resumed))
    if options.caffe_log:
        from netspec.logs.caffe_log import CaffeLog

        logs.append(CaffeLog(options.caffe_log, append=is_resumed))
    if options.tensorboard:
        from netspec.logs.tensorboard import TensorBoardLog

        logs.append(TensorBoardLog(options.tensorboard))
    return logs


def _run(solver: Solver, options: RunOptions, listener: Listener, state: str | None) -> RunResult:
    """Runs the solver to its end, heeding signals; the listener learns how it has ended."""
    smaller = "try a smaller --batch-size"
    if options.checkpoint == "none" and not options.compile:  # which excludes it
        smaller += ", or --checkpoint auto"
    try:
        with (
            handling_signals(_heed(solver, options)),
            faults_reported(str(solver.device), solver.batch_size, smaller),
        ):
            listener.started(describe_run(solver))
            slow = slow_precision(solver.precision, solver.device)
            if slow:
                listener.noted(slow)
            if options.checkpoint != "none" and isinstance(solver.forward_pass, TrainingForward):
                listener.noted(solver.forward_pass.checkpointing)
            if state:
                listener.restored(solver.iter, Path(state))
            solver.solve()
    except NetspecError as error:
        listener.ended(solver.iter, "failed", str(error))
        raise
    except Interrupted:
        listener.ended(solver.iter, "stopped")
        raise
    except Exception as error:  # a bug of ours: the logs must still say that the run is over
        listener.ended(solver.iter, "failed", f"{type(error).__name__}: {error}")
        raise
    finally:
        solver.close()
    reason = "stopped" if solver.is_stopping else "done"
    listener.ended(solver.iter, reason)
    return RunResult(solver, reason, solver.stopped_by if solver.is_stopping else 0)


def _heed(solver: Solver, options: RunOptions) -> TwoStage:
    """SIGINT and SIGTERM have the one effect, SIGHUP the other.

    Each is acted on after the iteration, or the batch of a test.

    Of several processes none ends at a second signal: the first may reach each of them twice. The
    launcher acknowledges and counts; under torchrun, which sends SIGTERM when a process has failed,
    the first of each machine acknowledges Ctrl-C.
    """

    def effect_of(number: int) -> str:
        # a process without its launcher only keeps the next run from its snapshots
        return "stop" if is_orphaned() else options.effect_of(number)

    def ask(effect: str, number: int) -> None:
        if effect != "none":
            solver.requests.ask(effect, number)

    if solver.processes.count == 1:
        return TwoStage(effect_of, ask, end_now=lambda number: True)
    acknowledged = (
        (signal.SIGINT,)
        if solver.processes.local_rank == 0 and "TORCHELASTIC_RUN_ID" in os.environ
        else ()
    )
    return TwoStage(effect_of, ask, None, acknowledged)
