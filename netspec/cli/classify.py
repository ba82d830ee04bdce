"""`netspec classify IMAGE… --model NET --weights W`: the classes of pictures."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import TYPE_CHECKING

from netspec.cli.numbers import positive
from netspec.cli.pictures import (
    configure_net,
    configure_pictures,
    picture_options,
    print_loaded,
)
from netspec.cli.terminal import show
from netspec.diagnostics import Report, printable
from netspec.readers.picture_list import picture_paths
from netspec.signals import STOP, end_at_once, handling_signals

if TYPE_CHECKING:
    from netspec.pytorch.classify import Classified, Classifier

HEADER = ("image", "rank", "class", "label", "score")


def configure(parser: argparse.ArgumentParser) -> None:
    configure_net(parser)
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="the classes' names, one per line, such as synset_words.txt",
    )
    parser.add_argument(
        "--top", type=positive, default=5, metavar="K", help="classes per picture (default 5)"
    )
    configure_scores(parser)
    parser.add_argument(
        "--format",
        choices=["text", "json", "csv"],
        default="text",
        help="one line per picture, one JSON object per line, or a table (default text)",
    )
    configure_pictures(parser)


def configure_scores(parser: argparse.ArgumentParser) -> None:
    """Adds --output and --oversample."""
    parser.add_argument(
        "--output", metavar="BLOB", help="the blob with the scores, where the net has several"
    )
    parser.add_argument(
        "--oversample",
        action="store_true",
        help="average ten crops: corners and centre, each mirrored as well",
    )


def load_classifier(args: argparse.Namespace, path: str) -> Classifier:
    """The net as the arguments ask for it; warnings and assumptions go to stderr."""
    options = picture_options(args)
    from netspec.pytorch.classify import Classifier  # torch takes seconds to import

    report = Report()
    classifier = Classifier(
        path,
        args.weights,
        args.labels,
        args.output,
        oversample=args.oversample,
        report=report,
        **options,
    )
    print_loaded(report, args.strict, classifier.assumed)
    return classifier


def run(args: argparse.Namespace) -> int:
    paths = list(picture_paths(args.images))
    classifier = load_classifier(args, args.model)
    table = csv.writer(sys.stdout, lineterminator="\n")
    if args.format == "csv":
        table.writerow(HEADER)
    failed = False
    with handling_signals(end_at_once, STOP):
        for found in classifier.classify(paths, args.top):
            if found.fault is not None:
                failed = True
                show(found.fault.diagnostics)
            elif args.format == "csv":
                table.writerows(_rows(found))
            else:
                print((_json if args.format == "json" else _text)(found), flush=True)
    return 1 if failed else 0


def _text(found: Classified) -> str:
    """A line: cat.jpg: 0.9312 n02123045 tabby (281); 0.0311 …."""
    parts = []
    for guess in found.guesses:
        name = guess.index if guess.label is None else f"{guess.label} ({guess.index})"
        parts.append(f"{guess.score:.4f} {name}")
    return f"{printable(found.name)}: {'; '.join(parts)}"


def _json(found: Classified) -> str:
    return json.dumps({"image": found.name, "classes": found.rows()})


def _rows(found: Classified) -> list[tuple[object, ...]]:
    return [
        (found.name, rank, guess.index, guess.label or "", guess.score)
        for rank, guess in enumerate(found.guesses, 1)
    ]
