"""The options that say which net of a file is meant: its phase, level, stages and input shapes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

from netspec.cli.numbers import signed
from netspec.cli.terminal import show
from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net, Shape
from netspec.options import DIALECTS, NetOptions, net_options
from netspec.pipeline import load_source, read_text_file


def configure_state(
    parser: argparse.ArgumentParser, phase: str = "TEST", takes_values: bool = False
) -> None:
    """Adds --phase, --level, --stage, --allow-python-layers, --plugin and --input.

    Args:
        takes_values: --input also takes a file of the inputs' values, besides shapes.
    """
    parser.add_argument(
        "--phase",
        "-phase",
        type=str.upper,
        choices=["TRAIN", "TEST"],
        default=phase,
        help=f"which phase's net (default {phase or 'TEST'})",
    )
    configure_level(parser)
    parser.add_argument(
        "--input",
        metavar="FILE|NAME=N,C,H,W" if takes_values else "NAME=N,C,H,W",
        action="append",
        default=[],
        help=("a .npz or HDF5 file of the inputs' values (default: random), or " * takes_values)
        + "the shape of an input or of a data layer's top; may be repeated",
    )


def configure_level(parser: argparse.ArgumentParser, whose: str = "the state") -> None:
    """Adds --level, --stage, --allow-python-layers and --plugin."""
    parser.add_argument(
        "--level",
        "-level",
        type=signed,
        default=0,
        metavar="N",
        help=f"the level of {whose} (default 0)",
    )
    parser.add_argument(
        "--stage",
        "-stage",
        type=name_list,
        default=[],
        metavar="A,B",
        help=f"the stages of {whose}",
    )
    parser.add_argument(
        "--allow-python-layers",
        action="store_true",
        help="run the Python code that layers of type Python name; it can do anything",
    )
    parser.add_argument(
        "--dialect",
        metavar="NAME",
        help=(
            "the fork that the net is written for, where a layer type has several rules: "
            f"{', '.join(DIALECTS)}"
        ),
    )
    configure_strict(parser)
    configure_plugin(parser)


def configure_strict(parser: argparse.ArgumentParser) -> None:
    """Adds --strict: NetOptions and Report.raise_errors carry it out."""
    parser.add_argument(
        "--strict", action="store_true", help="warnings are errors, and the exit status is 1"
    )


def configure_plugin(parser: argparse.ArgumentParser) -> None:
    """Adds --plugin."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="a Python file that defines layer types; it is run; may be repeated",
    )


def name_list(text: str) -> list[str]:
    """Names with commas between them, as the solver file has them."""
    return [name.strip() for name in text.split(",") if name.strip()]


def input_shapes(texts: list[str]) -> dict[str, Shape]:
    """Reads NAME=N,C,H,W (x may stand for the commas). Raises: NetspecError."""
    shapes: dict[str, Shape] = {}
    for text in texts:
        name, _, dims = text.partition("=")
        try:
            shapes[name] = tuple(int(dim) for dim in dims.replace("x", ",").split(","))
        except ValueError:
            raise NetspecError(
                f"'--input {text}' is not a shape", hint="write it as --input data=10,3,227,227"
            ) from None
    return shapes


def options_of(
    args: argparse.Namespace, allow_unknown: bool = False, require_shapes: bool = True
) -> NetOptions:
    """How a command's arguments ask for a net to be read. Raises: NetspecError."""
    return net_options(
        "TEST" if getattr(args, "phase", "ALL") == "ALL" else args.phase,
        args.level,
        args.stage,
        input_shapes(args.input),
        require_shapes,
        args.allow_python_layers,
        allow_unknown,
        args.dialect,
        args.strict,
    )


def load_net(
    path: str,
    args: argparse.Namespace,
    allow_unknown: bool = False,
    require_shapes: bool = True,
    blob_counts: Mapping[str, int] | None = None,
) -> Net:
    """Loads the net that the options mean; warnings go to stderr.

    Args: blob_counts: how many blobs a weight file has of each layer, by which rules are chosen.
    """
    report = Report()
    options = replace(
        options_of(args, allow_unknown, require_shapes), blob_counts=blob_counts or {}
    )
    try:
        return load_source(read_text_file(path), options, report)
    finally:
        if not report.failed:  # with an error, the exception holds the warnings too
            print_warnings(report)


def print_warnings(report: Report) -> None:
    show(report.in_order())
