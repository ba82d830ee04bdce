"""`netspec dataset build, info, mean, preview, sample, import-idx`: databases and mean files."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from netspec.cli.dataset_build import build, configure_build
from netspec.cli.dataset_preview import configure_preview, preview
from netspec.cli.dataset_progress import Progress
from netspec.cli.overwrite import configure_overwrite, configure_overwrite_database
from netspec.cli.subcommand import add_subcommand
from netspec.diagnostics import NetspecError
from netspec.graph import shape_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="dataset_command", metavar="COMMAND", required=True)
    configure_build(
        add_subcommand(
            commands,
            "build",
            "images, a folder of classes, images with boxes, to an LMDB (Caffe's convert_imageset)",
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
        commands,
        "mean",
        "the mean image of a database (Caffe's compute_image_mean), the components of its colours",
    )
    mean.add_argument(
        "database",
        metavar="DB",
        help="an LMDB or LevelDB, or a list of images with `path label` a line",
    )
    mean.add_argument(
        "out",
        nargs="?",
        metavar="OUT",
        help="the mean of images of equal sizes, mean.binaryproto for instance",
    )
    mean.add_argument(
        "--pca",
        metavar="FILE",
        help="the eigenvalues and eigenvectors of the colours, for lighting_param's pca_file",
    )
    mean.add_argument(
        "--root", default="", metavar="FOLDER", help="stands before each path of a list"
    )
    configure_overwrite(mean)

    configure_preview(
        add_subcommand(
            commands, "preview", "a sheet of records before and after a data layer's transformation"
        )
    )

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
            "flowers17_alexnet's and ssd_digits'"
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


def run(args: argparse.Namespace) -> int:
    # what the commands need (numpy, lmdb, PIL, scikit-learn) is imported by the one that runs
    return {
        "build": build,
        "info": _info,
        "mean": _mean,
        "preview": preview,
        "sample": _sample,
        "import-idx": _import_idx,
    }[args.dataset_command](args)


def _info(args: argparse.Namespace) -> int:
    from netspec.cli.dataset_info import info_json, info_text
    from netspec.making.database_info import examine_database

    with Progress("records") as progress:
        info = examine_database(args.database, not args.no_decode, progress)
    sys.stdout.write(
        info_json(info) if args.format == "json" else info_text(info, not args.no_decode)
    )
    return 0 if info.whole else 1


def _mean(args: argparse.Namespace) -> int:
    from netspec.files.overwrite import COMPONENTS, MEAN, require_own_kind
    from netspec.making.color_components import ColorComponents, write_components
    from netspec.making.mean_image import MeanImage, write_mean
    from netspec.making.stored_images import stored_images

    if not (args.out or args.pca):
        raise NetspecError("name a file for the mean, --pca FILE for the components, or both")
    # before the hours that a large database may take
    for path, kind in ((args.out, MEAN), (args.pca, COMPONENTS)):
        if path:
            require_own_kind(path, kind, overwrite=args.overwrite)
    mean, components = MeanImage(), ColorComponents()
    with Progress("records") as progress:
        for image, where in stored_images(args.database, args.root, progress):
            if args.out:
                mean.add(image, where)
            if args.pca:
                components.add(image, where)
    if args.out:
        write_mean(args.out, mean.mean())
        _print_mean(args.out, args.database, mean.mean())
    if args.pca:
        write_components(args.pca, components, args.database)
        print(f"{args.pca}: components of the colours of {args.database}")
        for value in components.components()[0]:
            print(f"eigenvalue: {value:.6g}")
    return 0


def _print_mean(path: str, database: str, mean: NDArray[np.float32]) -> None:
    print(f"{path}: mean image of {database}, {shape_text(mean.shape)}")
    for i, value in enumerate(mean.mean(axis=(1, 2), dtype=float)):
        print(
            f"mean_value: {value:.6g}"
            + (f"  # {('blue', 'green', 'red')[i]}" if len(mean) == 3 else "")
        )


def _sample(args: argparse.Namespace) -> int:
    from netspec.making.sample_digits import sample_digits, sample_sets

    sets = sample_sets(args.only)
    with Progress("images") as progress:
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

    with Progress("images") as progress:
        counts = import_idx(args.folder, args.out, args.overwrite, progress)
    for path, count in counts.items():
        print(f"{path}: {count:,} records")
    return 0
