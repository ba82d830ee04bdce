"""--rename and --skip-layer on every command that takes weights; --strict asks for all layers."""

from __future__ import annotations

import argparse

from netspec.diagnostics import NetspecError
from netspec.weights.choice import WeightChoice


def configure_choice(parser: argparse.ArgumentParser) -> None:
    """Adds --rename and --skip-layer."""
    group = parser.add_argument_group(
        "which weights are taken",
        "layers are matched by name; with --strict, one that the net or the file lacks is an error",
    )
    group.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="the file's layer OLD gives its weights to the net's layer NEW; may be repeated",
    )
    group.add_argument(
        "--skip-layer",
        action="append",
        default=[],
        metavar="NAME",
        help="a layer of the file whose weights to leave out; may be repeated",
    )


def choice_of(args: argparse.Namespace) -> WeightChoice:
    """The choice that the arguments ask for. Raises: NetspecError."""
    rename: dict[str, str] = {}
    for text in args.rename:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise NetspecError(
                f"'--rename {text}' is not two names", hint="write it as --rename fc8=fc8_flowers"
            )
        if old in rename:
            raise NetspecError(f"layer '{old}' is renamed to '{rename[old]}' and to '{new}'")
        rename[old] = new
    return WeightChoice(rename, tuple(args.skip_layer), args.strict)
