"""`netspec train SOLVER`: trains as the solver file says, in one process or in several."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from netspec.cli.checkpoint import configure_checkpoint
from netspec.cli.device import (
    MANY_GPUS,
    chosen_devices,
    configure_compile,
    configure_device,
    configure_exact,
    configure_precision,
    configure_workers,
)
from netspec.cli.library_warnings import library_warnings_shown
from netspec.cli.numbers import finite, positive
from netspec.cli.progress import Progress
from netspec.cli.state import configure_level, name_list
from netspec.cli.weight_choice import choice_of, configure_choice
from netspec.diagnostics import NetspecError
from netspec.signals import SIGNAL_EFFECTS
from netspec.solver.run_options import Overrides, RunOptions

if TYPE_CHECKING:
    from netspec.pytorch.run import RunResult


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
        choices=SIGNAL_EFFECTS,
        default="stop",
        help="what Ctrl-C and SIGTERM do (default stop)",
    )
    parser.add_argument(
        "--sighup_effect",
        "-sighup_effect",
        choices=SIGNAL_EFFECTS,
        default="snapshot",
        help="what SIGHUP does (default snapshot)",
    )
    configure_choice(parser)
    configure_level(parser, "the train net's state")
    configure_device(parser, MANY_GPUS)
    configure_precision(parser, goes_on=True)
    configure_exact(parser)
    configure_checkpoint(parser)
    configure_compile(parser)
    configure_workers(parser)
    parser.add_argument(
        "--nproc",
        type=positive,
        metavar="N",
        help="train in N processes on the CPU; torchrun starts them on several machines",
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
        help="one JSON object per line; --resume and --snapshot append, --overwrite replaces it",
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
    try:
        options = _options(args)
    except NetspecError as error:
        print(f"netspec train: {error.diagnostics[0].message}", file=sys.stderr)
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
    from netspec.pytorch.processes import Processes, is_member
    from netspec.pytorch.run import train_in

    if is_member():  # one of torchrun's processes
        guarded_member(run_member, args)
    devices = chosen_devices(args)
    count = args.nproc or len(devices or [""])
    if count > 1:
        return launch(run_member, args, count, options.effect_of)
    device = "cpu" if args.nproc else devices[0] if devices else None
    return _status(train_in(Processes(), path, replace(options, device=device), [Progress()]))


def run_member(args: argparse.Namespace) -> int:
    """The command in one process of several."""
    from netspec.pytorch.run import train_as_member

    with library_warnings_shown():
        devices = ["cpu"] if args.nproc else chosen_devices(args)
        return _status(train_as_member(args.solver_file, _options(args), [Progress()], devices))


def _options(args: argparse.Namespace) -> RunOptions:
    """What the arguments ask for, but the device. Raises: NetspecError."""
    overrides = Overrides(
        **{
            field.name: getattr(args, field.name)
            for field in fields(Overrides)
            if field.name in args
        },
        stages=args.stage,
    )
    return RunOptions(
        snapshot=args.snapshot,
        resume=args.resume,
        overwrite=args.overwrite,
        weights=tuple(name_list(args.weights or "")),
        choice=choice_of(args),
        log=args.log,
        caffe_log=args.caffe_log,
        tensorboard=args.tensorboard,
        keep_last=args.keep_last,
        keep_best=args.keep_best,
        sigint_effect=args.sigint_effect,
        sighup_effect=args.sighup_effect,
        overrides=overrides,
        allow_python_layers=args.allow_python_layers,
        plugins=tuple(args.plugin),
        dialect=args.dialect,
        strict=args.strict,
        precision=args.precision,
        exact=args.exact,
        checkpoint=args.checkpoint,
        compile=args.compile,
        workers=args.workers,
    )


def _status(result: RunResult) -> int:
    """The exit status: 0, or 128 + the signal that has stopped the run."""
    return 128 + result.signal if result.signal else 0
