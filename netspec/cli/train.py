"""`netspec train SOLVER`: trains as the solver file says."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

from netspec.cli.progress import Progress
from netspec.cli.state import configure_level
from netspec.diagnostics import NetspecError

if TYPE_CHECKING:
    from netspec.pytorch.train import Solver

EFFECTS = ("stop", "snapshot", "none")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("solver_file", nargs="?", metavar="SOLVER", help="a solver prototxt, or YAML by its suffix")
    parser.add_argument("--solver", "-solver", help="the same, as Caffe's flag")
    parser.add_argument("--snapshot", "-snapshot", metavar="STATE", help="a .solverstate to go on from")
    parser.add_argument("--weights", "-weights", metavar="A,B", help="weight files to begin with, matched by layer name; a later one wins")
    parser.add_argument("--gpu", "-gpu", metavar="ID", help="the GPU to compute on; without it one is taken where there is one")
    parser.add_argument("--cpu", action="store_true", help="compute on the CPU")
    parser.add_argument("--sigint_effect", "-sigint_effect", choices=EFFECTS, default="stop", help="what Ctrl-C does (default stop, with a snapshot)")
    parser.add_argument("--sighup_effect", "-sighup_effect", choices=EFFECTS, default="snapshot", help="what SIGHUP does (default snapshot)")
    configure_level(parser)
    trial = parser.add_argument_group("for a trial run, in place of the files' values")
    trial.add_argument("--max-iter", type=_positive, metavar="N")
    trial.add_argument("--batch-size", type=_positive, metavar="N", help="of the train net and the test nets")
    trial.add_argument("--test-iter", type=_positive, metavar="N", help="batches in each test")
    trial.add_argument("--test-interval", type=_positive, metavar="N")
    trial.add_argument("--display", type=_positive, metavar="N")
    trial.add_argument("--base-lr", type=float, metavar="RATE", help="with a smaller batch a smaller rate: the usual rule is in proportion")
    trial.add_argument("--snapshot-prefix", metavar="PATH")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def run(args: argparse.Namespace) -> int:
    path = args.solver or args.solver_file
    if not path or (args.solver and args.solver_file):
        print("netspec train: name one solver file, as in `netspec train models/bvlc_alexnet/solver.prototxt`", file=sys.stderr)
        return 2
    if args.snapshot and args.weights:
        raise NetspecError("--snapshot goes on with a run, --weights begins one; give one of them")
    from netspec.pytorch.train import Overrides, Solver  # torch takes seconds to import: usage errors come first

    names = ("max_iter", "batch_size", "test_iter", "test_interval", "display", "base_lr", "snapshot_prefix", "level")
    overrides = Overrides(**{name: getattr(args, name) for name in names}, stages=args.stage)
    solver = Solver(path, overrides, _device(args), allow_python_layers=args.allow_python_layers)
    if args.weights:
        for report in solver.load_weights([name for name in args.weights.split(",") if name]):
            print(report)
    if args.snapshot:
        solver.restore(args.snapshot)
    return train(solver, args)


def _device(args: argparse.Namespace) -> str | None:
    if args.cpu:
        return "cpu"
    if args.gpu is None:
        return None
    if not args.gpu.isdigit():
        raise NetspecError(f"--gpu takes the number of one GPU, got '{args.gpu}'")
    import torch

    if int(args.gpu) >= torch.cuda.device_count():
        raise NetspecError(f"there is no GPU {args.gpu}; this machine shows {torch.cuda.device_count()}")
    return f"cuda:{args.gpu}"


def train(solver: Solver, args: argparse.Namespace) -> int:
    """Runs the solver to its end, heeding signals."""
    from netspec.data.batches import dataset_size
    from netspec.passes.count_cost import param_count

    epoch_size = dataset_size(solver.net)
    progress = Progress(solver.param.max_iter, epoch_size)
    solver.listener = progress
    records = f", {epoch_size:,} records" if epoch_size else ""
    batch = f"batch {solver.batch_size}" + (f" × iter_size {solver.param.iter_size}" if solver.param.iter_size > 1 else "")
    print(f"{solver.net.name}: {param_count(solver.net):,} parameters, {solver.param.type}, {batch}{records}, on {solver.device}", flush=True)
    for test_net, iterations in zip(solver.test_nets, solver.param.test_iter, strict=True):
        size = dataset_size(test_net)
        if size:
            print(f"a test reads {iterations} batches of its {size:,} records", flush=True)

    def heed(effect: str) -> None:
        if effect != "none" and solver.request != "stop":
            solver.request = effect

    def on_sigint(number: int, frame: FrameType | None) -> None:
        heed(args.sigint_effect)

    def on_sighup(number: int, frame: FrameType | None) -> None:
        heed(args.sighup_effect)

    signal.signal(signal.SIGINT, on_sigint)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, on_sighup)
    try:
        solver.solve()
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        place = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
        message = f"the memory of {solver.device} does not suffice for a batch of {solver.batch_size}{place}"
        raise NetspecError(message, None, "try a smaller --batch-size") from None
    finally:
        progress.close()
        solver.close()
    print("stopped early" if solver.request == "stop" else "done", flush=True)
    return 0
