"""`netspec dataset build, info, mean, sample, import-idx`: databases and mean files."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.cli.overwrite import configure_overwrite, configure_overwrite_database
from netspec.cli.subcommand import add_subcommand
from netspec.diagnostics import NetspecError

if TYPE_CHECKING:
    from netspec.making.class_folder import ClassFolder

_MAX_LEFT_OUT = 20  # images whose faults `dataset build` shows


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="dataset_command", metavar="COMMAND", required=True)
    _configure_build(
        add_subcommand(
            commands,
            "build",
            "a list of images, or a folder of classes, to an LMDB (Caffe's convert_imageset)",
        )
    )

    info = add_subcommand(commands, "info", "what a database holds, and what is broken in it")
    info.add_argument("database", metavar="DB", help="an LMDB or LevelDB")
    info.add_argument(
        "--format",
        choices=["text", "json"],
        default="text",
        help="json has all sizes and labels (default text)",
    )
    info.add_argument(
        "--no-decode",
        action="store_true",
        help="read only the headers of compressed images: faster, but does not find broken ones",
    )

    mean = add_subcommand(
        commands, "mean", "the mean image of a database (Caffe's compute_image_mean)"
    )
    mean.add_argument(
        "database", metavar="DB", help="an LMDB or LevelDB whose images have equal sizes"
    )
    mean.add_argument("out", metavar="OUT", help="the file to write, mean.binaryproto for instance")
    configure_overwrite(mean)

    sample = add_subcommand(
        commands,
        "sample",
        "small stand-ins for the data of the nets in models/, from real handwritten digits",
    )
    sample.add_argument(
        "--only",
        metavar="NET",
        help=(
            "only what this net reads, bvlc_alexnet for instance; without it all but "
            "flowers17_alexnet's"
        ),
    )
    sample.add_argument(
        "--root",
        metavar="FOLDER",
        default=".",
        help="where to put them (default: here, where the nets look)",
    )

    idx = add_subcommand(
        commands, "import-idx", "MNIST's files, or Fashion-MNIST's and the like, to LMDBs"
    )
    idx.add_argument(
        "folder",
        metavar="FOLDER",
        help="where train-images-idx3-ubyte and the other three are, plain or .gz",
    )
    idx.add_argument(
        "out",
        metavar="OUT",
        help="where to make mnist_train_lmdb and mnist_test_lmdb: examples/mnist for the nets here",
    )
    configure_overwrite_database(idx, "--replace")


def _configure_build(parser: argparse.ArgumentParser) -> None:
    source_help = (
        "a text file with 'path label' a line; or a folder whose folders are the classes, "
        "labelled 0, 1, … in the order of their names"
    )
    parser.add_argument("source", metavar="LIST|FOLDER", help=source_help)
    parser.add_argument(
        "out",
        metavar="OUT",
        help="the LMDB to make; the names of a folder's classes go to OUT/labels.txt",
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        default="",
        help="the folder that the paths of a list start from",
    )
    labels_help = (
        "number a folder's classes as in this file, a name a line: for a test set, "
        "labels.txt of the training set"
    )
    parser.add_argument("--labels", metavar="FILE", help=labels_help)
    parser.add_argument("--gray", action="store_true", help="store one channel")
    parser.add_argument("--shuffle", action="store_true", help="store in random order")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of --shuffle (default 0)")
    parser.add_argument(
        "--resize-width",
        "--resize_width",
        metavar="W",
        type=_size,
        default=0,
        help="with --resize-height: resize to W×H",
    )
    parser.add_argument("--resize-height", "--resize_height", metavar="H", type=_size, default=0)
    parser.add_argument(
        "--check-size", "--check_size", action="store_true", help="stop where images differ in size"
    )
    parser.add_argument(
        "--encoded",
        action="store_true",
        help=(
            "store compressed images, not values; files that are so "
            "already as they are, colours too"
        ),
    )
    parser.add_argument(
        "--encode-type",
        "--encode_type",
        metavar="TYPE",
        default="",
        help="png, jpg, … (default: that of each file)",
    )
    parser.add_argument(
        "--backend", choices=["lmdb", "leveldb"], default="lmdb", help="only lmdb can be written"
    )
    configure_overwrite_database(parser)


def run(args: argparse.Namespace) -> int:
    # what the commands need (numpy, lmdb, PIL, scikit-learn) is imported by the one that runs
    return {
        "build": _build,
        "info": _info,
        "mean": _mean,
        "sample": _sample,
        "import-idx": _import_idx,
    }[args.dataset_command](args)


def _build(args: argparse.Namespace) -> int:
    from netspec.making.build_database import BuildOptions, build_database
    from netspec.stores.lmdb_writer import NAMES_FILE

    if args.backend != "lmdb":
        raise NetspecError(
            "netspec writes LMDB only; Data layers read both",
            hint="leave --backend out and write 'backend: LMDB' in the net",
        )
    if bool(args.resize_width) != bool(args.resize_height):
        sys.stderr.write(
            "warning: --resize_width and --resize_height have an effect only together, "
            "as in Caffe: nothing is resized\n"
        )
    skipped = []

    def warn(message: str) -> None:
        skipped.append(message)
        if len(skipped) <= _MAX_LEFT_OUT:
            sys.stderr.write(f"warning: {message}\n")
        elif len(skipped) == _MAX_LEFT_OUT + 1:
            # a wrong --root leaves out every image of a million
            sys.stderr.write("warning: more images are left out, which are counted but not shown\n")

    def note(message: str) -> None:
        sys.stderr.write(f"note: {message}\n")

    options = BuildOptions(
        args.root,
        args.gray,
        args.shuffle,
        args.seed,
        args.resize_width,
        args.resize_height,
        args.check_size,
        args.encoded,
        args.encode_type,
    )
    classes = _class_folder(args) if os.path.isdir(args.source) else None
    if args.labels and not classes:
        raise NetspecError("--labels is for a folder of classes; a list has its labels in it")
    with _Progress("images") as progress:
        count = build_database(
            classes or args.source, args.out, options, warn, progress, args.overwrite, note
        )
    left_out = f", {len(skipped):,} left out" if skipped else ""
    print(f"{args.out}: {count:,} {'record' if count == 1 else 'records'}{left_out}")
    if classes:
        last = len(classes.names) - 1
        print(
            f"{os.path.join(args.out, NAMES_FILE)}: the names of the labels, 0 {classes.names[0]} "
            f"to {last} {classes.names[last]}"
        )
    return 0


def _class_folder(args: argparse.Namespace) -> ClassFolder:
    from netspec.making.class_folder import read_class_folder, read_names

    if args.root:
        raise NetspecError(
            f"--root is for the paths of a list, but '{args.source}' is a folder of classes"
        )
    if Path(args.source).resolve() in Path(args.out).resolve().parents:
        raise NetspecError(
            f"'{args.out}' lies in the folder of the classes, '{args.source}'",
            hint="put it beside the folder",
        )
    names = read_names(args.labels) if args.labels else None
    classes = read_class_folder(
        args.source, names, lambda message: sys.stderr.write(f"warning: {message}\n")
    )
    if not args.shuffle and len(classes.names) > 1:
        sys.stderr.write(
            "note: the records are in the order of the classes; for training, "
            "--shuffle mixes them\n"
        )
    return classes


def _info(args: argparse.Namespace) -> int:
    from netspec.cli.dataset_info import info_json, info_text
    from netspec.making.database_info import examine_database

    with _Progress("records") as progress:
        info = examine_database(args.database, not args.no_decode, progress)
    sys.stdout.write(
        info_json(info) if args.format == "json" else info_text(info, not args.no_decode)
    )
    return 0 if info.whole else 1


def _mean(args: argparse.Namespace) -> int:
    from netspec.files.overwrite import MEAN, require_own_kind
    from netspec.graph import shape_text
    from netspec.making.mean_image import mean_of_database, write_mean

    # before the hours that a large database may take
    require_own_kind(args.out, MEAN, overwrite=args.overwrite)
    with _Progress("records") as progress:
        mean = mean_of_database(args.database, progress)
    write_mean(args.out, mean)
    print(f"{args.out}: mean image of {args.database}, {shape_text(mean.shape)}")
    for i, value in enumerate(mean.mean(axis=(1, 2), dtype=float)):
        print(
            f"mean_value: {value:.6g}"
            + (f"  # {('blue', 'green', 'red')[i]}" if len(mean) == 3 else "")
        )
    return 0


def _sample(args: argparse.Namespace) -> int:
    from netspec.making.sample_digits import sample_digits, sample_sets

    sets = sample_sets(args.only)
    with _Progress("images") as progress:
        made = sample_digits(sets, args.root, progress)
    for path, what, is_new in made:
        print(f"{path}: {what}{'' if is_new else ' (already exists, kept)'}")
    if any(is_new for _, _, is_new in made):
        names = " and ".join(s.stands_for for s in sets)
        print(
            "The digits are scikit-learn's 1,797 handwritten ones, enlarged. "
            f"They stand in for {names}:"
        )
        print("accuracies reached on them say nothing about the real data.")
    return 0


def _import_idx(args: argparse.Namespace) -> int:
    from netspec.making.idx_files import import_idx

    with _Progress("images") as progress:
        counts = import_idx(args.folder, args.out, args.overwrite, progress)
    for path, count in counts.items():
        print(f"{path}: {count:,} records")
    return 0


def _size(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size in pixels")
    return value


class _Progress:
    """A line on stderr.

    Five times a second over itself on a terminal, every ten seconds one below the other in a file.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        # what takes less says nothing
        self._next = time.monotonic() + (1 if sys.stderr.isatty() else 10)
        self._live = False

    def __enter__(self) -> _Progress:
        return self

    def __call__(self, done: int, total: int | None) -> None:
        if time.monotonic() < self._next:
            return
        text = f"{done:,} {self._what}" if total is None else f"{done:,} of {total:,} {self._what}"
        self._live = sys.stderr.isatty()
        self._next = time.monotonic() + (0.2 if self._live else 10)
        sys.stderr.write(f"\r{text}\x1b[K" if self._live else f"{text}\n")
        sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
