"""`netspec weights FILE`: what is in a weight file, and what a net would load of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from netspec.atomic import write_atomically
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.state import configure_state, load_net, name_list
from netspec.cli.terminal import show
from netspec.cli.weight_choice import choice_of, configure_choice
from netspec.cli.weights_report import Against, against_lines, summary_json, summary_text
from netspec.diagnostics import NetspecError, Report
from netspec.files.overwrite import NET, WEIGHTS, require_own_kind
from netspec.files.suffixes import (
    KEYED_SUFFIXES,
    NET_SUFFIXES,
    READABLE_WEIGHTS,
    WRITABLE_WEIGHTS,
)
from netspec.graph import Net
from netspec.schema.caffe_pb2 import NetParameter
from netspec.syntax.bind import unbind
from netspec.syntax.print_as import print_as
from netspec.weights.choice import WeightChoice
from netspec.weights.file_layers import FileLayer, read_layers, write_layers, written_text
from netspec.weights.files import is_caffemodel, read_weights
from netspec.weights.match import match, wanted_by
from netspec.weights.state_keys import Layout, keys_of_net
from netspec.weights.stored_net import net_of_caffemodel
from netspec.weights.summary import WeightsSummary, summarize
from netspec.weights.surgery import Taking, convolve, in_net, take


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
    surgery = parser.add_argument_group("other weights from these")
    surgery.add_argument(
        "--to",
        metavar="OUT",
        help="write the weights to another file, in the format that its suffix says",
    )
    surgery.add_argument(
        "--take",
        action="append",
        default=[],
        metavar="LAYER=FILE:OTHER",
        help="LAYER has the weights of layer OTHER (or LAYER) of another file; may be repeated",
    )
    surgery.add_argument(
        "--convolve",
        type=name_list,
        action="extend",
        default=[],
        metavar="A,B",
        help="the inner products A and B become the convolutions that the net of --against has",
    )
    configure_choice(parser)
    configure_state(parser)
    configure_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    choice = choice_of(args)
    if not args.to and (args.take or args.convolve):
        raise NetspecError(
            "--take and --convolve make other weights", hint="--to OUT names the file for them"
        )
    if args.convolve and not args.against:
        raise NetspecError(
            "--convolve takes the shapes of the convolutions from a net",
            hint="--against NET names it",
        )
    if args.net:
        write_net(args)
    if args.to:
        write_weights(args, choice)
    return 0 if args.net or args.to else report_file(args, choice)


def report_file(args: argparse.Namespace, choice: WeightChoice) -> int:
    """Prints what the file holds."""
    summary = summarize(args.file, choice)
    against = _against(args, summary, choice) if args.against else None
    write = summary_text if args.format == "text" else summary_json
    sys.stdout.write(write(summary, against))
    if against is not None:
        choice.require_all(against.report)
    return 1 if against and against.misfits else 0


def write_net(args: argparse.Namespace) -> None:
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


def write_weights(args: argparse.Namespace, choice: WeightChoice) -> None:
    """Writes the weights that the arguments ask for; with a net, only such as fit it."""
    suffix = Path(args.to).suffix
    if suffix not in WRITABLE_WEIGHTS:
        raise NetspecError(
            f"'{args.to}' has no suffix of a weight file that netspec writes",
            hint=f"it writes {', '.join(WRITABLE_WEIGHTS)}",
        )
    takings = [_taking(text) for text in args.take]
    made = take(_chosen(args, choice), takings)
    name = Path(args.file).stem
    if args.against:
        counts = {name: len(layer.arrays) for name, layer in made.items()}
        net = load_net(args.against, args, blob_counts=counts)
        if args.file.endswith(KEYED_SUFFIXES):  # whose keys the net explains
            made = take(_chosen(args, choice, keys_of_net(net)), takings)
        made = convolve(made, [choice.rename.get(n, n) for n in args.convolve], net)
        _require_fit(args, choice, net, made)
        made, name = in_net(made, net), net.name
    require_own_kind(args.to, *WEIGHTS[suffix], overwrite=args.overwrite)
    write_layers(args.to, name, made.values())
    print(f"{args.to}: {written_text(made.values())}", file=sys.stderr)


def _chosen(
    args: argparse.Namespace, choice: WeightChoice, keys: Layout | None = None
) -> dict[str, FileLayer]:
    """The layers of the file that are taken, under their new names."""
    layers = read_layers(args.file, names=choice.tensor_names(keys))
    choice.require_names([args.file], layers)
    taken = choice.taken(args.file, layers)
    return {name: replace(layer, name=name) for name, layer in taken.items()}


def _require_fit(
    args: argparse.Namespace, choice: WeightChoice, net: Net, layers: Mapping[str, FileLayer]
) -> None:
    """Raises NetspecError where weights that are to be written don't fit their net."""
    wanted = wanted_by(net)
    known = [layer.name for layer in wanted if layer.shapes]
    choice.require_targets(known, net.name)
    report, _, misfits = match(
        args.to, wanted, {name: layer.arrays for name, layer in layers.items()}
    )
    if misfits:
        raise NetspecError(
            f"'{args.to}' would not fit the net '{net.path}': "
            + "; ".join(f"layer '{name}': {misfit}" for name, misfit in misfits.items()),
            hint="--convolve and --take make a layer fit, --skip-layer leaves it out",
        )
    choice.require_all(report)
    print("\n".join(against_lines(Against(net, report, misfits))), file=sys.stderr)


def _taking(text: str) -> Taking:
    """LAYER=FILE:OTHER, or LAYER=FILE. Raises: NetspecError."""
    layer, equals, rest = text.partition("=")
    path, _, other = rest.rpartition(":")
    if not path or rest.endswith(READABLE_WEIGHTS):  # a colon may stand in a path
        path, other = rest, layer
    if not (layer and equals and path and other):
        raise NetspecError(
            f"'--take {text}' does not name a layer and a file",
            hint="write it as --take fc8=other.caffemodel:fc8_flowers",
        )
    return Taking(layer, path, other)


def _against(args: argparse.Namespace, summary: WeightsSummary, choice: WeightChoice) -> Against:
    counts = {layer.name: len(layer.blobs) for layer in summary.layers}
    net = load_net(args.against, args, allow_unknown=True, require_shapes=False, blob_counts=counts)
    wanted = wanted_by(net)
    weights = summary.placeholders()
    if args.file.endswith(KEYED_SUFFIXES):  # whose keys the net explains
        keys = choice.tensor_names(keys_of_net(net))
        weights = choice.taken(args.file, read_weights(args.file, names=keys))
    report, _, misfits = match(args.file, wanted, weights)
    choice.require_targets([layer.name for layer in wanted if layer.shapes], net.name)
    return Against(net, report, misfits)
