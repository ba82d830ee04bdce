"""--gpu and --cpu: the device to compute on."""

from __future__ import annotations

import argparse

from netspec.cli.numbers import natural
from netspec.cli.state import print_warnings
from netspec.diagnostics import NetspecError, Report, counted
from netspec.solver.run_options import PRECISIONS

ONE_GPU = (
    "the GPU to compute on: 0, or the first of 0,1 or of all (default: one where there is one)"
)
MANY_GPUS = (
    "the GPUs to compute on, a process each: 0 or 0,1 or all (default: as the solver file says)"
)


def configure_device(parser: argparse.ArgumentParser, gpu_help: str = ONE_GPU) -> None:
    """Adds --gpu and --cpu, of which one may be given."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--gpu", "-gpu", metavar="ID", help=gpu_help)
    where.add_argument("--cpu", action="store_true", help="compute on the CPU")


def configure_precision(parser: argparse.ArgumentParser, goes_on: bool = False) -> None:
    """Adds --precision.

    Args: goes_on: without it, that of the snapshot that a run goes on from.
    """
    default = "fp32; of a run that goes on, its snapshot's" if goes_on else "fp32"
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=None if goes_on else PRECISIONS[0],
        help=(
            "of convolutions and dense layers; weights, losses, LRN and statistics are fp32 in all "
            f"of them (default {default})"
        ),
    )


def configure_exact(parser: argparse.ArgumentParser) -> None:
    """Adds --exact."""
    parser.add_argument(
        "--exact",
        action="store_true",
        help="without what changes the order of sums: folded BatchNorm, blobs channels last, "
        "layers computed with the convolution before them",
    )


def configure_compile(parser: argparse.ArgumentParser) -> None:
    """Adds --compile."""
    parser.add_argument(
        "--compile",
        action="store_true",
        help="have torch.compile compile the net, which takes a while before its first pass",
    )


def configure_workers(parser: argparse.ArgumentParser) -> None:
    """Adds --workers."""
    parser.add_argument(
        "--workers",
        type=natural,
        metavar="N",
        help=(
            "threads that decode and transform the data; their number changes no result, 0 reads "
            "in the thread that computes (default one a core, at most 8)"
        ),
    )


def warn_slow(precision: str, device: str) -> None:
    """Warns where a device computes in a precision, but no faster than in fp32."""
    from netspec.pytorch.precision import slow_precision  # torch takes seconds to import

    report, message = Report(), slow_precision(precision, device)
    if message:
        report.warning(message, None)
        print_warnings(report)


def chosen_devices(args: argparse.Namespace) -> list[str] | None:
    """The devices that the options name, None where they name none.

    Raises: NetspecError where a GPU is not there.
    """
    if args.cpu:
        return ["cpu"]
    if args.gpu is None:
        return None
    words = args.gpu.split(",")
    if args.gpu != "all" and not all(
        word.isascii() and word.isdecimal() and len(word) < 10 for word in words
    ):
        raise NetspecError(
            "--gpu takes the number of a GPU, several with commas between them, or all; "
            f"got '{args.gpu}'"
        )
    # torch takes seconds to import: usage errors come first
    from netspec.pytorch.device import gpu_count

    count = gpu_count()
    numbers = range(count) if args.gpu == "all" else [int(word) for word in words]
    shown = f"this machine shows {counted(count, 'GPU')}"
    if not numbers:
        raise NetspecError(f"--gpu all: {shown}", None, "--cpu computes without one")
    for i, number in enumerate(numbers):
        if number >= count:
            raise NetspecError(
                f"there is no GPU {number}; {shown}",
                None,
                "they are counted from 0" if count else "--cpu computes without one",
            )
        if number in numbers[:i]:
            raise NetspecError(f"--gpu {args.gpu} names GPU {number} twice")
    return [f"cuda:{number}" for number in numbers]


def chosen_device(args: argparse.Namespace) -> str | None:
    """The first of the devices that the options name, None where they name none.

    Raises: NetspecError.
    """
    devices = chosen_devices(args)
    return devices[0] if devices else None
