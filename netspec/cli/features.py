"""`netspec features NET --weights W --blobs A,B [IMAGE…] OUT`: what blobs hold for each record."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from netspec.cli.numbers import positive
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.pictures import (
    configure_pictures,
    configure_weights,
    picture_options,
    print_loaded,
)
from netspec.cli.state import load_net, name_list
from netspec.cli.terminal import show
from netspec.diagnostics import NetspecError, Report, counted
from netspec.making.feature_files import Chunk, feature_paths, write_features
from netspec.readers.picture_list import picture_paths
from netspec.signals import STOP, end_at_once, handling_signals

OnFault = Callable[[NetspecError], None]
_FORMATS = """
The suffix of OUT says the format:
  .npz, .h5            one array per blob, and 'images', the paths of the pictures
  none, or .lmdb       one LMDB per blob, with commas between them: Datums of float_data, as by
                       Caffe's extract_features; the paths stand in its images.txt
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "netspec features NET --weights A,B --blobs A,B [options] [IMAGE|FOLDER|LIST ...] OUT"
    )
    parser.add_argument("net", metavar="NET", help="a deploy net, or one with data layers")
    parser.add_argument(
        "rest",
        nargs="+",
        metavar="IMAGE|OUT",
        help="pictures, folders or lists, and at last what to write; without pictures the net's "
        "own data layers feed it",
    )
    configure_weights(parser)
    parser.add_argument(
        "--blobs",
        required=True,
        type=name_list,
        metavar="A,B",
        help="the blobs to write, such as fc7,pool5",
    )
    parser.add_argument(
        "--iterations",
        "-iterations",
        type=positive,
        metavar="N",
        help="batches of the net's own data layers",
    )
    configure_overwrite(parser)
    configure_pictures(parser)
    parser.epilog = _FORMATS


def run(args: argparse.Namespace) -> int:
    *words, out = args.rest
    blobs = list(dict.fromkeys(args.blobs))
    if not blobs or not args.weights:
        raise NetspecError(f"{'--weights names no file' if blobs else '--blobs names no blob'}")
    if words and args.iterations:
        raise NetspecError("--iterations is for the net's own data, not for pictures")
    pictures = list(picture_paths(words))
    paths = feature_paths(out, blobs, args.overwrite)
    failed: list[NetspecError] = []

    def on_fault(fault: NetspecError) -> None:
        failed.append(fault)
        show(fault.diagnostics)

    chunks = _of_pictures(args, blobs, pictures, on_fault) if words else _of_data(args, blobs)
    with handling_signals(end_at_once, STOP):
        count = write_features(paths, chunks, args.overwrite)
    print(f"wrote {', '.join(paths)}: {counted(count, 'record')}")
    return 1 if failed else 0


def _of_pictures(
    args: argparse.Namespace, blobs: list[str], pictures: list[str], on_fault: OnFault
) -> Iterator[Chunk]:
    report = Report()
    options = picture_options(args)
    from netspec.pytorch.features import picture_features  # torch takes seconds to import
    from netspec.pytorch.picture_net import PictureNet

    net = PictureNet(args.net, args.weights, blobs, report=report, **options)
    print_loaded(report, args.strict, net.plan.assumed)
    return picture_features(net, blobs, pictures, on_fault)


def _of_data(args: argparse.Namespace, blobs: list[str]) -> Iterator[Chunk]:
    net = load_net(args.net, args)
    if not net.sources:
        raise NetspecError(
            f"the net '{net.name}' has no data layer; name pictures before '{args.rest[-1]}'"
        )
    if not args.iterations:
        raise NetspecError("say how many batches of the net's data, as in --iterations 50")
    used = {"--mean": args.mean, "--resize": args.resize, "--batch": args.batch}
    given = [name for name, value in used.items() if value is not None]
    if given:
        raise NetspecError(f"{given[0]} is for pictures: a data layer says it in the net's file")
    from netspec.cli.device import chosen_device
    from netspec.pytorch.compile import compile
    from netspec.pytorch.device import default_device, faults_reported
    from netspec.pytorch.features import data_features
    from netspec.pytorch.picture_net import require_trained

    device = chosen_device(args) or default_device()
    with faults_reported("cpu", None, "its params alone are too many"):
        module = compile(net, outputs=blobs, weights=args.weights)
    require_trained(module.load_report, args.weights)
    return data_features(net, module, blobs, args.iterations, device)
