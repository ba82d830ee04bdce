"""`netspec weights FILE`: what is in a weight file, and what a net would load of it."""

from __future__ import annotations

import argparse
import sys

from netspec.atomic import write_atomically
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.state import configure_state, load_net
from netspec.cli.terminal import show
from netspec.cli.weight_choice import choice_of, configure_choice
from netspec.cli.weights_report import Against, summary_json, summary_text
from netspec.diagnostics import NetspecError, Report
from netspec.files.overwrite import NET, require_own_kind
from netspec.schema.caffe_pb2 import NetParameter
from netspec.syntax.bind import unbind
from netspec.syntax.print_as import print_as
from netspec.syntax.read import YAML_SUFFIXES
from netspec.weights.choice import WeightChoice
from netspec.weights.files import is_caffemodel
from netspec.weights.match import match, wanted_by
from netspec.weights.stored_net import net_of_caffemodel
from netspec.weights.summary import WeightsSummary, summarize

NET_SUFFIXES = (".prototxt", ".pbtxt", ".txt", *YAML_SUFFIXES)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a weight file of any format")
    parser.add_argument(
        "--against",
        metavar="NET",
        help="a net: which of its layers the file has, lacks, or has in another shape",
    )
    parser.add_argument(
        "--net",
        metavar="OUT",
        help="write the net that a .caffemodel holds, prototxt or YAML by its suffix",
    )
    parser.add_argument("--format", choices=["text", "json"], default="text")
    configure_choice(parser)
    configure_state(parser)
    configure_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    if args.net:
        return write_net(args)
    choice = choice_of(args)
    summary = summarize(args.file, choice)
    against = _against(args, summary, choice) if args.against else None
    write = summary_text if args.format == "text" else summary_json
    sys.stdout.write(write(summary, against))
    if against is not None:
        choice.require_all(against.report)
    return 1 if against and against.misfits else 0


def write_net(args: argparse.Namespace) -> int:
    """Writes the net that a caffemodel holds; what of it could not be read goes to stderr."""
    if not args.net.endswith(NET_SUFFIXES):
        raise NetspecError(
            f"a net can't become '{args.net}'",
            hint=f"nets are written to {', '.join(NET_SUFFIXES)}",
        )
    if not is_caffemodel(args.file):
        raise NetspecError(
            f"'{args.file}' holds no net", hint="of the weight files only a .caffemodel does"
        )
    net, lost = net_of_caffemodel(args.file)
    report = Report()
    if lost:
        report.warning(
            f"'{args.file}' has settings at numbers that Caffe does not have; left out are "
            f"{', '.join(lost)}",
            None,
            "the fork that wrote the file, or its prototxt, has them",
        )
    report.raise_errors(args.strict)
    require_own_kind(args.net, NET, overwrite=args.overwrite)
    write_atomically(args.net, print_as(args.net, unbind(net), NetParameter))
    show(report.in_order())
    print(f"{args.net}: {len(net.layer)} layers", file=sys.stderr)
    return 0


def _against(args: argparse.Namespace, summary: WeightsSummary, choice: WeightChoice) -> Against:
    counts = {layer.name: len(layer.blobs) for layer in summary.layers}
    net = load_net(args.against, args, allow_unknown=True, require_shapes=False, blob_counts=counts)
    wanted = wanted_by(net)
    report, _, misfits = match(args.file, wanted, summary.placeholders())
    choice.require_targets([layer.name for layer in wanted if layer.shapes], net.name)
    return Against(net, report, misfits)
