"""`netspec train SOLVER`: trains as the solver file says, in one process or in several."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.cli.begin_run import begin_run, writing
from netspec.cli.device import MANY_GPUS, chosen_devices, configure_device
from netspec.cli.library_warnings import library_warnings_told
from netspec.cli.numbers import finite, positive
from netspec.cli.state import configure_level
from netspec.cli.terminal import show
from netspec.diagnostics import NetspecError
from netspec.listener import Listener, Listeners
from netspec.plugins import load_plugins
from netspec.signals import Interrupted, TwoStage, interrupted_status, signals_heard

if TYPE_CHECKING:
    from netspec.pytorch.processes import Processes
    from netspec.pytorch.train import Solver

EFFECTS = ("stop", "snapshot", "none")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "solver_file", nargs="?", metavar="SOLVER", help="a solver prototxt, or YAML by its suffix"
    )
    parser.add_argument("--solver", "-solver", help="the same, as Caffe's flag")
    parser.add_argument(
        "--snapshot", "-snapshot", metavar="STATE", help="a .solverstate to go on from"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the newest whole snapshot of the solver; begin where there is none",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="begin anew where an earlier run has left a log or snapshots of the same name",
    )
    parser.add_argument(
        "--weights",
        "-weights",
        metavar="A,B",
        help="weight files to begin with, matched by layer name; a later one wins",
    )
    parser.add_argument(
        "--sigint_effect",
        "-sigint_effect",
        choices=EFFECTS,
        default="stop",
        help="what Ctrl-C and SIGTERM do (default stop)",
    )
    parser.add_argument(
        "--sighup_effect",
        "-sighup_effect",
        choices=EFFECTS,
        default="snapshot",
        help="what SIGHUP does (default snapshot)",
    )
    configure_level(parser, "the train net's state")
    configure_device(parser, MANY_GPUS)
    parser.add_argument(
        "--nproc",
        type=positive,
        metavar="N",
        help="so many processes on the CPU; torchrun starts them on several machines",
    )
    parser.add_argument(
        "--global-batch",
        action="store_true",
        help="the processes share batch_size; without this each has its own of that size",
    )
    kept = parser.add_argument_group("which snapshots stay (all, without these)")
    kept.add_argument("--keep-last", type=positive, metavar="K", help="the last K")
    kept.add_argument(
        "--keep-best",
        metavar="METRIC",
        help=(
            "and that of the best test so far by an output of a test net: accuracy, "
            "detection_eval, loss, NAME:max or NAME:min"
        ),
    )
    logs = parser.add_argument_group("logs, beside what the terminal shows")
    logs.add_argument(
        "--log",
        metavar="FILE",
        help="a JSON object a line; --resume and --snapshot append, --overwrite begins it anew",
    )
    logs.add_argument(
        "--caffe-log",
        metavar="FILE",
        help="the same in the form of Caffe's own log, for the scripts that read it",
    )
    logs.add_argument("--tensorboard", metavar="DIR", help="scalars for TensorBoard")
    trial = parser.add_argument_group("for a trial run, in place of the files' values")
    trial.add_argument("--max-iter", type=positive, metavar="N", help="iterations to train, in all")
    trial.add_argument(
        "--batch-size", type=positive, metavar="N", help="of the train net and the test nets"
    )
    trial.add_argument("--test-iter", type=positive, metavar="N", help="batches in each test")
    trial.add_argument(
        "--test-interval", type=positive, metavar="N", help="iterations from one test to the next"
    )
    trial.add_argument(
        "--display", type=positive, metavar="N", help="iterations from one line to the next"
    )
    trial.add_argument(
        "--base-lr",
        type=finite,
        metavar="RATE",
        help="with a smaller batch a smaller rate: the usual rule is in proportion",
    )
    trial.add_argument(
        "--snapshot-prefix",
        metavar="PATH",
        help="what the names of snapshots begin with, or a folder for them",
    )


def run(args: argparse.Namespace) -> int:
    path = args.solver or args.solver_file
    if not path or (args.solver and args.solver_file):
        print(
            "netspec train: name one solver file, as in `netspec train "
            "models/bvlc_alexnet/solver.prototxt`",
            file=sys.stderr,
        )
        return 2
    if args.snapshot and (args.weights or args.resume):
        other = "--weights begins a run" if args.weights else "--resume looks for a state"
        print(
            f"netspec train: --snapshot names a state to go on from, {other}; give one of them",
            file=sys.stderr,
        )
        return 2
    if args.resume and args.overwrite:
        print(
            "netspec train: --resume goes on with the run before, --overwrite begins anew; "
            "give one of them",
            file=sys.stderr,
        )
        return 2
    if args.log and args.log == args.caffe_log:
        print("netspec train: --log and --caffe-log name the same file", file=sys.stderr)
        return 2
    if args.nproc and args.gpu is not None:
        print(
            "netspec train: --nproc is of processes on the CPU; --gpu 0,1 starts one for each GPU",
            file=sys.stderr,
        )
        return 2
    args.solver_file = path
    # torch takes seconds to import: usage errors come first
    from netspec.pytorch.launch import guarded_member, launch
    from netspec.pytorch.processes import is_member

    if is_member():  # one of torchrun's processes
        guarded_member(run_member, args)
    devices = chosen_devices(args)
    count = args.nproc or len(devices or [""])
    if count > 1:
        return launch(run_member, args, count)
    from netspec.pytorch.processes import Processes

    return _run(args, "cpu" if args.nproc else devices[0] if devices else None, Processes())


def run_member(args: argparse.Namespace) -> int:
    """The command in one process of several."""
    with library_warnings_told():
        return _run_member(args)


def _run_member(args: argparse.Namespace) -> int:
    from netspec.pytorch.processes import join, local_device

    device = local_device(["cpu"] if args.nproc else chosen_devices(args), args.solver_file)
    processes = join(device)
    status = _run(args, str(device), processes)
    processes.leave()
    return status


def _run(args: argparse.Namespace, device: str | None, processes: Processes) -> int:
    from netspec.pytorch.device import faults_told
    from netspec.pytorch.processes import OthersLostError
    from netspec.pytorch.solver_nets import Overrides
    from netspec.pytorch.train import Solver
    from netspec.weights.retention import Retention

    load_plugins(args.plugin)  # a process of several has not come by main
    names = (
        "max_iter",
        "batch_size",
        "test_iter",
        "test_interval",
        "display",
        "base_lr",
        "snapshot_prefix",
        "level",
        "global_batch",
    )
    # begin_run loads them
    overrides = Overrides(
        **{name: getattr(args, name) for name in names}, stages=args.stage, skip_weights=True
    )
    retention = Retention(args.keep_last, args.keep_best)
    listener = Listeners()  # who they are is known when it is clear whether the run goes on
    with faults_told(device or "the device", None, "a smaller net, or a smaller --batch-size"):
        solver = Solver(
            args.solver_file,
            overrides,
            device,
            listener,
            args.allow_python_layers,
            processes,
            retention,
            args.dialect,
        )
    if processes.is_root:
        show(solver.file.warnings)
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
        with writing(solver, args):  # before the choice of a state: another run may still write one
            return train(solver, listener, args, begin_run(solver, args))
    except OthersLostError as error:
        error.is_told_to_end = solver.requests.is_told_to_stop
        raise


def _listeners(args: argparse.Namespace, is_resumed: bool) -> list[Listener]:
    """Who hears of the run: the terminal and the logs that are asked for."""
    from netspec.cli.progress import Progress

    listeners: list[Listener] = [Progress()]
    if args.log:
        from netspec.logs.json_lines import JsonLog

        listeners.append(JsonLog(args.log, append=is_resumed))
    if args.caffe_log:
        from netspec.logs.caffe_log import CaffeLog

        listeners.append(CaffeLog(args.caffe_log, append=is_resumed))
    if args.tensorboard:
        from netspec.logs.tensorboard import TensorBoardLog

        listeners.append(TensorBoardLog(args.tensorboard))
    return listeners


def train(solver: Solver, listener: Listeners, args: argparse.Namespace, state: str | None) -> int:
    """Runs the solver to its end, heeding signals.

    Returns the exit status, 128 + the signal that has stopped it.
    """
    from netspec.pytorch.device import faults_told
    from netspec.pytorch.solver_nets import describe_run

    if solver.processes.is_root:  # the others do the same work unheard
        listener.listeners += _listeners(args, bool(args.resume or state))
    try:
        with (
            signals_heard(_heed(solver, args)),
            faults_told(str(solver.device), solver.batch_size, "try a smaller --batch-size"),
        ):
            listener.started(describe_run(solver))
            if state:
                listener.restored(solver.iter, Path(state))
            solver.solve()
    except NetspecError as error:
        listener.ended(solver.iter, "failed", str(error))
        raise
    except Interrupted as error:
        listener.ended(solver.iter, "stopped")
        return interrupted_status(error)
    except Exception as error:  # a bug of ours: the logs must still tell that the run is over
        listener.ended(solver.iter, "failed", f"{type(error).__name__}: {error}")
        raise
    else:
        listener.ended(solver.iter, "stopped" if solver.is_stopping else "done")
    finally:
        listener.close()
        solver.close()
    return 128 + solver.stopped_by if solver.is_stopping else 0


def _heed(solver: Solver, args: argparse.Namespace) -> TwoStage:
    """SIGINT and SIGTERM have the one effect, SIGHUP the other.

    Each is heeded after the iteration, or the batch of a test.

    Of several processes none ends at a second signal: the first may reach each of them twice. The
    launcher acknowledges and counts; under torchrun, which sends SIGTERM when a process has failed,
    the first of each machine acknowledges Ctrl-C.
    """
    from netspec.pytorch.launch import effect_of

    def ask(effect: str, number: int) -> None:
        if effect != "none":
            solver.requests.ask(effect, number)

    if solver.processes.count == 1:
        return TwoStage(lambda number: effect_of(number, args), ask, end_now=lambda number: True)
    acknowledged = (
        (signal.SIGINT,)
        if solver.processes.local_rank == 0 and "TORCHELASTIC_RUN_ID" in os.environ
        else ()
    )
    return TwoStage(lambda number: effect_of(number, args), ask, None, acknowledged)
