"""`netspec dataset build`: images, a folder of classes, or images with boxes, to an LMDB."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.cli.dataset_progress import Progress
from netspec.cli.overwrite import configure_overwrite_database
from netspec.diagnostics import NetspecError, counted

if TYPE_CHECKING:
    from netspec.making.annotated_image import Warn
    from netspec.making.build_database import BuildOptions
    from netspec.making.class_folder import ClassFolder

_MAX_LEFT_OUT = 20  # images whose faults are shown


def configure_build(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `netspec dataset build`."""
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
        "labels.txt of the training set; with --annotations a label map, such as labelmap.prototxt"
    )
    parser.add_argument("--labels", metavar="FILE", help=labels_help)
    parser.add_argument(
        "--annotations",
        choices=["voc", "coco"],
        help="a database of images with boxes, for an AnnotatedData layer: LIST|FOLDER is VOC's "
        "folder or a list of 'image annotation', or COCO's file of instances",
    )
    parser.add_argument(
        "--split",
        metavar="NAME",
        default="",
        help="of a VOC folder the images of ImageSets/Main/NAME.txt, or of a file",
    )
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


def build(args: argparse.Namespace) -> int:
    """Runs it; returns the exit status."""
    from netspec.making.build_database import BuildOptions

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
            what = "faults are found" if args.annotations else "images are left out"
            sys.stderr.write(f"warning: more {what}, which are counted but not shown\n")

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
    if args.annotations:
        return _build_annotated(args, options, warn, skipped)
    if args.split:
        raise NetspecError("--split goes with --annotations voc")
    return _build_plain(args, options, warn, skipped)


def _build_plain(
    args: argparse.Namespace, options: BuildOptions, warn: Warn, skipped: list[str]
) -> int:
    from netspec.making.build_database import build_database
    from netspec.stores.lmdb_writer import NAMES_FILE

    def note(message: str) -> None:
        sys.stderr.write(f"note: {message}\n")

    classes = _class_folder(args) if os.path.isdir(args.source) else None
    if args.labels and not classes:
        raise NetspecError("--labels is for a folder of classes; a list has its labels in it")
    with Progress("images") as progress:
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


def _build_annotated(
    args: argparse.Namespace, options: BuildOptions, warn: Warn, warnings: list[str]
) -> int:
    from netspec.making.annotated_datum import LABEL_MAP_FILE
    from netspec.making.build_annotated import build_annotated

    with Progress("images") as progress:
        built = build_annotated(
            args.annotations,
            args.source,
            args.out,
            options,
            warn,
            args.split,
            args.labels or "",
            progress,
            args.overwrite,
        )
    faults = f", {counted(len(warnings), 'warning')}" if warnings else ""
    boxes = f"{built.boxes:,} {'box' if built.boxes == 1 else 'boxes'}"
    print(f"{args.out}: {counted(built.images, 'image')} with {boxes}{faults}")
    names = built.classes
    shown = f"1 {names[0]} to {len(names)} {names[-1]}" if names else "no class"
    print(f"{os.path.join(args.out, LABEL_MAP_FILE)}: the label map, 0 the background, {shown}")
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


def _size(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size in pixels")
    return value
