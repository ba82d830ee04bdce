"""`netspec detect IMAGE… --model NET --weights W`: the boxes that an SSD finds in pictures."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.atomic import write_atomically
from netspec.cli.numbers import finite
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.pictures import (
    configure_net,
    configure_pictures,
    picture_options,
    print_loaded,
)
from netspec.cli.terminal import show
from netspec.diagnostics import NetspecError, Report, os_reason, printable
from netspec.files.overwrite import require_own_picture
from netspec.readers.picture_list import picture_paths
from netspec.signals import STOP, end_at_once, handling_signals

if TYPE_CHECKING:
    from netspec.pytorch.detect import Detected, Detector

HEADER = ("image", "label", "name", "score", "xmin", "ymin", "xmax", "ymax")


def configure(parser: argparse.ArgumentParser) -> None:
    configure_net(parser)
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="the labels' names: a label map such as labelmap.prototxt, or one name per line",
    )
    configure_threshold(parser)
    parser.add_argument(
        "--draw",
        metavar="FOLDER",
        help="write each picture with its boxes, as FOLDER/NAME_boxes.png",
    )
    parser.add_argument(
        "--format",
        choices=["text", "json", "csv"],
        default="text",
        help="one line per box, one JSON object per picture, or a table (default text)",
    )
    configure_overwrite(parser)
    configure_pictures(parser)


def configure_threshold(parser: argparse.ArgumentParser) -> None:
    """Adds --threshold."""
    parser.add_argument(
        "--threshold",
        "--confidence_threshold",
        type=finite,
        default=0.5,
        metavar="P",
        help="the minimum score of a box (default 0.5)",
    )


def load_detector(args: argparse.Namespace, path: str) -> Detector:
    """The net as the arguments ask for it; warnings and assumptions go to stderr."""
    options = picture_options(args)
    from netspec.pytorch.detect import Detector  # torch takes seconds to import

    report = Report()
    detector = Detector(path, args.weights, args.labels, args.threshold, report=report, **options)
    print_loaded(report, args.strict, detector.assumed)
    return detector


def run(args: argparse.Namespace) -> int:
    paths = list(picture_paths(args.images))
    places = _places(paths, args) if args.draw else {}
    detector = load_detector(args, args.model)
    table = csv.writer(sys.stdout, lineterminator="\n")
    if args.format == "csv":
        table.writerow(HEADER)
    failed = False
    with handling_signals(end_at_once, STOP):
        for found in detector.detect(paths):
            if found.fault is not None:
                failed = True
                show(found.fault.diagnostics)
                continue
            if args.format == "csv":
                table.writerows(_rows(found))
            else:
                print((_json if args.format == "json" else _text)(found), flush=True)
            if args.draw:
                _draw(found, places[found.name])
    return 1 if failed else 0


def _text(found: Detected) -> str:
    """One line per box, or one that says that there is none."""
    lines, name = [], printable(found.name)
    for box in found.boxes:
        label = str(box.label) if box.name is None else f"{box.name} ({box.label})"
        edges = f"{box.xmin:.1f},{box.ymin:.1f} to {box.xmax:.1f},{box.ymax:.1f}"
        lines.append(f"{name}: {box.score:.4f} {label} at {edges}")
    return "\n".join(lines) or f"{name}: no box"


def _json(found: Detected) -> str:
    size = {"width": found.width, "height": found.height}
    return json.dumps({"image": found.name, **size, "boxes": found.rows()})


def _rows(found: Detected) -> list[tuple[object, ...]]:
    return [
        (found.name, b.label, b.name or "", b.score, b.xmin, b.ymin, b.xmax, b.ymax)
        for b in found.boxes
    ]


def _places(paths: Iterable[str], args: argparse.Namespace) -> dict[str, Path]:
    """Where each picture is drawn to. Raises: NetspecError where something else lies there."""
    folder = Path(args.draw)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise NetspecError(f"the folder '{folder}' can't be created: {os_reason(error)}") from None
    given = {os.path.realpath(path) for path in paths}
    places: dict[str, Path] = {}
    taken: set[Path] = set()
    for path in paths:
        stem, number = Path(path).stem, 1
        place = folder / f"{stem}_boxes.png"
        while place in taken:  # pictures of one name in several folders
            number += 1
            place = folder / f"{stem}_{number}_boxes.png"
        if os.path.realpath(place) in given:
            raise NetspecError(
                f"'{place}' is one of the pictures to look at", None, "name another folder"
            )
        require_own_picture(place, args.overwrite)
        if path not in places:
            places[path] = place
            taken.add(place)
    return places


def _draw(found: Detected, place: Path) -> None:
    from netspec.draw.boxes import draw_boxes
    from netspec.readers.images import read_image

    boxes = [
        (box.label, f"{box.text} {box.score:.2f}", (box.xmin, box.ymin, box.xmax, box.ymax))
        for box in found.boxes
    ]
    write_atomically(place, draw_boxes(read_image(found.name), boxes))
