"""--rename, --skip-layer, --map on every command that takes weights; --strict asks for all."""

from __future__ import annotations

import argparse

from netspec.diagnostics import NetspecError
from netspec.read_file import MIB, read_file, unreadable
from netspec.weights.choice import WeightChoice


def configure_choice(parser: argparse.ArgumentParser) -> None:
    """Adds --rename, --skip-layer and --map."""
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
    group.add_argument(
        "--map",
        metavar="NAMES",
        help=(
            "lines `theirs ours`, for .pt, .pth, .safetensors and .npz: tensors of the "
            "file, or what their names begin with, and what they are called in the net"
        ),
    )


def read_tensor_map(path: str) -> dict[str, str]:
    """The lines `theirs ours` of a file; what follows a # is a comment.

    Raises: NetspecError where the file can't be read, or a line has not two names.
    """
    try:
        text = read_file(path, MIB, "a list of names").decode()
    except UnicodeDecodeError:
        raise NetspecError(f"'{path}' is not text: lines `theirs ours` are expected") from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    names: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise NetspecError(
                f"{path}:{number}: expected two names, got {len(words)}",
                hint="a line has the tensor's name in the file and that in the net",
            )
        if words[0] in names:
            raise NetspecError(f"{path}:{number}: '{words[0]}' stands in an earlier line, too")
        names[words[0]] = words[1]
    return names


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
    tensors = read_tensor_map(args.map) if args.map else {}
    return WeightChoice(rename, tuple(args.skip_layer), args.strict, tensors)
