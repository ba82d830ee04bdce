"""--gpu and --cpu: the device to compute on."""

from __future__ import annotations

import argparse

from netspec.diagnostics import NetspecError, counted

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
