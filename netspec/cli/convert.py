"""`netspec convert IN OUT`: nets and solvers between prototxt and YAML, weights between their formats."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import cast

from google.protobuf.descriptor import Descriptor

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError, Report
from netspec.pipeline import read_file
from netspec.syntax import prototxt
from netspec.syntax.bind import bind
from netspec.syntax.read import YAML_SUFFIXES, file_kind, parse_source

TEXT_SUFFIXES = (".prototxt", ".pbtxt", ".txt", *YAML_SUFFIXES)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help="a net or solver (.prototxt, .yaml), or weights (.npy, .caffemodel, .h5, .safetensors)")
    parser.add_argument("target", metavar="OUT", help="the file to write; its suffix says the format")
    parser.add_argument("--skip-layer", action="append", default=[], metavar="NAME", help="a layer whose weights to leave out; may be repeated")
    parser.add_argument(
        "--flattened",
        action="append",
        default=[],
        metavar="NAME=C,H,W",
        help="only for .npy: the shape that a dense layer's input had before it was flattened, such as fc6=256,6,6",
    )


def run(args: argparse.Namespace) -> int:
    if args.source.endswith(TEXT_SUFFIXES):
        if not args.target.endswith(TEXT_SUFFIXES):
            raise NetspecError(f"a net can't become '{args.target}'", hint=f"nets are written to {', '.join(TEXT_SUFFIXES)}")
        convert_text(args.source, args.target)
        return 0
    return convert_weights(args)


def convert_text(source_path: str, target_path: str) -> None:
    """Rewrites a net or solver in the syntax that the target's suffix names; comments are kept.

    Raises: NetspecError where the source is wrong or the target can't be written.
    """
    block = parse_source(read_file(source_path))
    report = Report()
    kind = file_kind(block)
    bind(block, kind(), report)
    report.raise_errors()
    if target_path.endswith(YAML_SUFFIXES):
        from netspec.syntax import yaml_text

        text = yaml_text.print_tree(block, cast(Descriptor, kind.DESCRIPTOR))
    else:
        text = prototxt.print_tree(block)
    write_atomically(target_path, text.encode(errors="surrogateescape"))


def convert_weights(args: argparse.Namespace) -> int:
    """Rewrites a weight file in the format that the target's suffix names."""
    from netspec.weights.files import LayerTuple, read_weights, write_weights

    flattened = dict(_flattened(text) for text in args.flattened)
    weights = read_weights(args.source, args.skip_layer, flattened or None)
    layers: list[LayerTuple] = []
    for name, arrays in weights.items():
        own = [array for array in arrays if array is not None]
        if len(own) < len(arrays):
            raise NetspecError(f"'{args.source}': layer '{name}' shares an array of another layer, which this format can't say")
        layers.append((name, "", [], [], own))
    write_weights(args.target, Path(args.source).stem, layers)
    values = sum(array.size for _, _, _, _, arrays in layers for array in arrays)
    print(f"{args.target}: {len(layers)} layers, {values:,} values", file=sys.stderr)
    return 0


def _flattened(text: str) -> tuple[str, tuple[int, int, int]]:
    name, _, dims = text.partition("=")
    try:
        channels, height, width = (int(dim) for dim in dims.split(","))
    except ValueError:
        raise NetspecError(f"'--flattened {text}' is no shape", hint="write it as --flattened fc6=256,6,6") from None
    return name, (channels, height, width)
