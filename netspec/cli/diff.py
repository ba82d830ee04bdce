"""`netspec diff A B`: what differs between two nets, two solvers or two files of weights."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from netspec.cli.diff_json import fields_json, net_json, weights_json
from netspec.cli.diff_text import fields_text, net_text, weights_text
from netspec.cli.state import configure_level, options_of
from netspec.cli.terminal import GREEN, RED, painter, show
from netspec.diagnostics import NetspecError, counted
from netspec.diff.compare_nets import compare_nets
from netspec.diff.compare_solvers import compare_solvers
from netspec.diff.net_file import read_net_file
from netspec.files.suffixes import READABLE_WEIGHTS
from netspec.pipeline import read_text_file
from netspec.schema import caffe_pb2
from netspec.syntax.read import file_kind, parse_source, without_collector

SAME, DIFFERENT, TROUBLE = 0, 1, 2  # as diff's
_STATUS = "exit status: 0 if they are the same, 1 if they differ, 2 if one can't be read"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "old", metavar="OLD", help="a net or solver (prototxt, YAML), or a file of weights"
    )
    parser.add_argument("new", metavar="NEW", help="another of that kind, in any of its formats")
    configure_level(parser)
    parser.add_argument(
        "--input",
        metavar="NAME=N,C,H,W",
        action="append",
        default=[],
        help="the shape of an input or of a data layer's top, for both nets; may be repeated",
    )
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.epilog = _STATUS


def run(args: argparse.Namespace) -> int:
    try:
        with without_collector():
            text, about, is_different = _compared(args)
    except NetspecError as error:
        show(error.diagnostics)
        return TROUBLE
    if args.format == "json":
        head = {"old": args.old, "new": args.new, "differ": is_different}
        sys.stdout.write(json.dumps({**head, **about}, indent=1) + "\n")
    elif is_different:
        paint = painter(sys.stdout)
        print(paint(f"--- {args.old}", RED), paint(f"+++ {args.new}", GREEN), sep="\n")
        sys.stdout.write(text)
    return DIFFERENT if is_different else SAME


def _compared(args: argparse.Namespace) -> tuple[str, dict[str, Any], bool]:
    """What differs, as text and for JSON, and whether anything does."""
    paint = painter(sys.stdout)
    if args.old.endswith(READABLE_WEIGHTS) and args.new.endswith(READABLE_WEIGHTS):
        from netspec.diff.compare_weights import compare_weights  # numpy only where it is needed

        weights = compare_weights(args.old, args.new)
        return weights_text(weights, paint), weights_json(weights), bool(weights)
    for path, other in ((args.old, args.new), (args.new, args.old)):
        if path.endswith(READABLE_WEIGHTS):
            raise NetspecError(
                f"'{path}' holds weights, '{other}' does not: compare like with like"
            )
    sources = read_text_file(args.old), read_text_file(args.new)
    blocks = parse_source(sources[0]), parse_source(sources[1])
    kinds = file_kind(blocks[0]), file_kind(blocks[1])
    if kinds[0] is not kinds[1] and all(block.fields for block in blocks):
        is_net = kinds[0] is caffe_pb2.NetParameter
        net, solver = (args.old, args.new) if is_net else (args.new, args.old)
        raise NetspecError(f"'{net}' is a net, '{solver}' a solver: compare like with like")
    if kinds[0] is caffe_pb2.SolverParameter:
        fields = compare_solvers(*blocks)
        about = {"kind": "solvers", "fields": fields_json(fields)}
        return fields_text(fields, "", paint), about, bool(fields)
    options = options_of(args, require_shapes=False)
    old, new = (
        read_net_file(source, block, options) for source, block in zip(sources, blocks, strict=True)
    )
    changes = compare_nets(old, new, options)
    for each in changes.phases:
        if each.not_compared:
            layers = counted(each.not_compared, "layer")
            print(
                f"note: phase {each.phase}: shapes of {layers} are not known, and not compared",
                file=sys.stderr,
            )
    return net_text(changes, paint), net_json(changes), bool(changes)
