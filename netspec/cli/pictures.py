"""The options of the commands that run pictures through a net."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any

from netspec.cli.device import configure_device, configure_exact
from netspec.cli.numbers import finite, positive
from netspec.cli.state import configure_level, name_list, options_of, print_warnings
from netspec.diagnostics import NetspecError, Report


def configure_pictures(parser: argparse.ArgumentParser) -> None:
    """Adds what says how pictures are read, and where the net is computed."""
    parser.add_argument(
        "--mean",
        "--mean_file",
        metavar="M",
        help="a .binaryproto, pycaffe's .npy, or values as in 104,117,123",
    )
    parser.add_argument(
        "--channel-mean",
        action="store_true",
        help="a mean image counts as its mean in each channel, as in cpp_classification",
    )
    parser.add_argument(
        "--resize",
        "--images_dim",
        type=picture_size,
        metavar="H,W",
        help="resize pictures to this size, from which the centre is cropped",
    )
    parser.add_argument(
        "--scale",
        "--input_scale",
        type=finite,
        metavar="S",
        help="factor after the mean is subtracted",
    )
    parser.add_argument(
        "--raw-scale",
        type=finite,
        metavar="S",
        help="the value of white before the mean is subtracted (default 255)",
    )
    parser.add_argument(
        "--channel-order",
        choices=["BGR", "RGB"],
        help="the channels of colour pictures (default BGR)",
    )
    parser.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help="pictures per forward pass (default: the net's batch size)",
    )
    configure_device(parser)
    configure_exact(parser)
    configure_level(parser)
    parser.set_defaults(phase="TEST", input=[])


def configure_net(parser: argparse.ArgumentParser) -> None:
    """Adds --model and --weights, by which classify and detect name the net."""
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE|FOLDER|LIST",
        help="pictures, folders of them, or lists (.txt) with one path per line",
    )
    parser.add_argument("--model", "-model", required=True, metavar="NET", help="the deploy net")
    configure_weights(parser)


def configure_weights(parser: argparse.ArgumentParser) -> None:
    """Adds --weights."""
    parser.add_argument(
        "--weights",
        "-weights",
        required=True,
        type=name_list,
        metavar="A,B",
        help="weight files with commas between them; a later one wins",
    )


def picture_options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of PictureNet that the options ask for. Raises: NetspecError."""
    from netspec.cli.device import chosen_device

    options = options_of(args)
    said: dict[str, Any] = {
        "new_size": args.resize,
        "scale": args.scale,
        "raw_scale": args.raw_scale,
        "channel_order": args.channel_order,
    }
    for name in ("scale", "raw_scale"):
        if said[name] == 0:
            raise NetspecError(f"--{name.replace('_', '-')} must not be 0")
    if args.mean is not None:
        values = _values(args.mean)
        said |= {"mean_file": args.mean} if values is None else {"mean_value": values}
    return {
        "said": said,
        "channel_mean": args.channel_mean,
        "batch": args.batch,
        "device": chosen_device(args),
        "exact": args.exact,
        "level": options.level,
        "stages": options.stages,
        "dialect": args.dialect,
        "allow_python_layers": options.allow_python_layers,
    }


def print_loaded(report: Report, strict: bool, assumed: Iterable[str]) -> None:
    """The warnings of a net that was loaded, and what was assumed, on stderr.

    Raises: NetspecError where there are errors; with strict, warnings are.
    """
    report.raise_errors(strict)
    print_warnings(report)
    print_assumptions(assumed)


def print_assumptions(assumed: Iterable[str]) -> None:
    """Prints on stderr what neither the user nor the net's file said."""
    for line in assumed:
        print(f"assumed: {line}", file=sys.stderr)


def picture_size(text: str) -> tuple[int, int]:
    """H,W or one number for both."""
    fault = argparse.ArgumentTypeError(f"must be H,W, from 1 to 16384, got '{text}'")
    try:
        numbers = [positive(part) for part in text.replace("x", ",").split(",")]
    except argparse.ArgumentTypeError:
        raise fault from None
    if len(numbers) > 2 or max(numbers) > 16384:
        raise fault
    return numbers[0], numbers[-1]


def _values(text: str) -> tuple[float, ...] | None:
    """Values with commas between them, or None for what is a file's name."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
