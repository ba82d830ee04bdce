"""`netspec convert IN OUT`: nets and solvers between prototxt and YAML, weights between formats.

It also brings old formats to today's.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from netspec.atomic import write_atomically
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.state import configure_plugin, configure_strict, print_warnings
from netspec.diagnostics import NetspecError, Report, as_warnings
from netspec.files.overwrite import CAFFEMODEL, NET, WEIGHTS, require_own_kind
from netspec.files.suffixes import NET_SUFFIXES, READABLE_WEIGHTS
from netspec.passes.upgrade_tree import old_parts, upgrade_tree
from netspec.pipeline import read_text_file
from netspec.syntax.bind import bind
from netspec.syntax.print_as import print_as
from netspec.syntax.read import file_kind, parse_source


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="IN",
        help=(
            "a net or solver (.prototxt, .yaml), or weights (.caffemodel, .h5, .safetensors, "
            ".npz, .npy, .pt)"
        ),
    )
    parser.add_argument(
        "target", metavar="OUT", help="the file to write; its suffix says the format"
    )
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help=(
            "bring an older format to today's: V0 and V1 layers, a net's input fields, "
            "a solver's solver_type (Caffe's upgrade_net_proto_text, "
            "upgrade_net_proto_binary and upgrade_solver_proto_text)"
        ),
    )
    parser.add_argument(
        "--skip-layer",
        action="append",
        default=[],
        metavar="NAME",
        help="a layer whose weights to leave out; may be repeated",
    )
    parser.add_argument(
        "--flattened",
        action="append",
        default=[],
        metavar="NAME=C,H,W",
        help=(
            "only for .npy: the shape that a dense layer's input had before it was flattened, "
            "such as fc6=256,6,6"
        ),
    )
    configure_overwrite(parser)
    configure_strict(parser)
    configure_plugin(parser)


def run(args: argparse.Namespace) -> int:
    if args.upgrade:
        return upgrade_file(args)
    if args.source.endswith(NET_SUFFIXES):
        if not args.target.endswith(NET_SUFFIXES):
            raise NetspecError(
                f"a net can't become '{args.target}'",
                hint=f"nets are written to {', '.join(NET_SUFFIXES)}",
            )
        convert_text(args.source, args.target, overwrite=args.overwrite, strict=args.strict)
        return 0
    # any other suffix is refused when the weights have been read
    if kinds := WEIGHTS.get(Path(args.target).suffix):
        require_own_kind(args.target, *kinds, overwrite=args.overwrite)
    return convert_weights(args)


def upgrade_file(args: argparse.Namespace) -> int:
    """Brings a net, a solver or a caffemodel to today's format, and reports what was old.

    The file's name does not matter.
    """
    if args.skip_layer or args.flattened:
        raise NetspecError(
            "--upgrade keeps every layer as it is",
            hint="leave out --skip-layer and --flattened, or convert the upgraded file",
        )
    if (
        not args.overwrite
        and os.path.exists(args.target)
        and os.path.exists(args.source)
        and os.path.samefile(args.source, args.target)
    ):
        raise NetspecError(
            f"'{args.target}' is the file to be upgraded",
            hint="name another one, or write over it with --overwrite",
        )
    if args.source.endswith(".caffemodel") or _is_binary(args.source):
        from netspec.weights.upgrade_caffemodel import upgrade_caffemodel

        if args.target.endswith(NET_SUFFIXES):
            raise NetspecError(f"weights can't become '{args.target}'", hint="name it .caffemodel")
        require_own_kind(args.target, CAFFEMODEL, overwrite=args.overwrite)
        old = old_parts(upgrade_caffemodel(args.source, args.target))
    else:
        if args.target.endswith(READABLE_WEIGHTS):
            raise NetspecError(
                f"a net can't become '{args.target}'",
                hint=f"nets are written to {', '.join(NET_SUFFIXES)}",
            )
        old = convert_text(args.source, args.target, True, args.overwrite, args.strict)
    what = f"upgraded {', '.join(old)}" if old else "the file was in today's format already"
    print(f"{args.target}: {what}", file=sys.stderr)
    return 0


def _is_binary(path: str) -> bool:
    if not os.path.isfile(path):
        return False  # the reader reports what is wrong
    with open(path, "rb") as file:
        return b"\0" in file.read(4096)


def convert_text(
    source_path: str,
    target_path: str,
    is_upgrade: bool = False,
    overwrite: bool = False,
    strict: bool = False,
) -> list[str]:
    """Rewrites a net or solver in the syntax that the target's suffix names, or in today's format.

    Comments are kept, and so is what the schema does not know; warnings go to stderr.

    Args: strict: a warning is an error.
    Returns: what of it was of an older format, where that was upgraded.
    Raises: NetspecError where the source can't be parsed, or is wrong and to be upgraded; where the
        target can't be written, or a file of another kind lies there.
    """
    block = parse_source(read_text_file(source_path))
    report = Report(allow_unknown=not strict)
    kind = file_kind(block)
    message = kind()
    spans = bind(block, message, report)
    if not is_upgrade and not strict:  # what it means does not matter to another syntax
        report.diagnostics = as_warnings(report.diagnostics)
    report.raise_errors(strict)
    old: list[str] = []
    if is_upgrade:
        block, old = upgrade_tree(block, message, spans, report)
        report.raise_errors(strict)
    print_warnings(report)
    content = print_as(target_path, block, kind)
    require_own_kind(target_path, NET, overwrite=overwrite)
    write_atomically(target_path, content)
    return old


def convert_weights(args: argparse.Namespace) -> int:
    """Rewrites a weight file in the format that the target's suffix names."""
    from netspec.weights.file_layers import read_layers, write_layers, written_text

    flattened = dict(_flattened(text) for text in args.flattened)
    layers = read_layers(args.source, args.skip_layer, flattened or None)
    write_layers(args.target, Path(args.source).stem, layers.values())
    print(f"{args.target}: {written_text(layers.values())}", file=sys.stderr)
    return 0


def _flattened(text: str) -> tuple[str, tuple[int, int, int]]:
    name, _, dims = text.partition("=")
    try:
        channels, height, width = (int(dim) for dim in dims.split(","))
    except ValueError:
        raise NetspecError(
            f"'--flattened {text}' is not a shape", hint="write it as --flattened fc6=256,6,6"
        ) from None
    return name, (channels, height, width)
