"""`netspec draw NET OUT`: the net's architecture as a picture."""

from __future__ import annotations

import argparse
import re
from functools import partial

from netspec.atomic import write_atomically
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.page import configure_input, configure_look, configure_page, page_of
from netspec.cli.state import configure_level, options_of, print_warnings
from netspec.diagnostics import NOTE, Diagnostic, NetspecError, Report
from netspec.draw.dot import RANKDIRS, dot_text
from netspec.draw.load_phases import PHASES, load_phases
from netspec.draw.mermaid import mermaid_text
from netspec.draw.render import FORMATS, TEXTS, picture_format, render
from netspec.draw.themes import THEMES
from netspec.files.overwrite import PAGE, require_own_kind, require_own_picture
from netspec.graph import Net
from netspec.hint import as_hint
from netspec.page.write_page import page_html

_RANKDIR_HELP = (
    "where the data flow to; TB, down, stays readable however deep the net is (default "
    "%(default)s; Caffe's draw_net.py has LR)"
)

MANY_BOXES = 2000  # above these a renderer may take minutes, in which nothing is to be seen
_BOX = re.compile(r"^ +n\d+ \[", re.MULTILINE)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="a prototxt, or YAML by its suffix")
    parser.add_argument(
        "out",
        help=f"the picture; its suffix is the format: {' '.join(FORMATS)} "
        "(.dot: graphviz's text, .mmd: Mermaid's, for a README); .html is a page with the "
        "diagram, a table and the source",
    )
    parser.add_argument(
        "--rankdir", type=str.upper, choices=RANKDIRS, default="TB", help=_RANKDIR_HELP
    )
    phase_help = (
        "which phase's net; ALL lays both over each other and tags what only one of them has "
        "(default %(default)s)"
    )
    parser.add_argument("--phase", type=str.upper, choices=PHASES, default="ALL", help=phase_help)
    configure_level(parser)
    configure_input(parser)
    parser.add_argument(
        "--display_lrm",
        action="store_true",
        help="show the learning rate multipliers of the params",
    )
    configure_look(parser, tuple(THEMES))
    configure_page(parser)
    configure_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    if args.out.lower().endswith(".html"):
        return _write_page(args)
    picture_format(args.out)  # a format that can't be written is reported before the net is read
    require_own_picture(args.out, args.overwrite)
    report = Report()
    options = options_of(args, allow_unknown=True)
    nets = load_phases(args.net, args.phase, options, report)
    if args.strict:
        report.raise_errors(strict=True)
    print_warnings(report)
    rendering = Report()
    _draw(nets, args, rendering)
    print_warnings(rendering)
    return 0


def _draw(nets: list[Net], args: argparse.Namespace, report: Report) -> None:
    form = picture_format(args.out)
    text_of = partial(
        mermaid_text if form == "mmd" else dot_text,
        nets,
        args.rankdir,
        args.display_lrm,
        theme=args.theme or "light",
        has_shapes=not args.no_shapes,
    )
    text = text_of(fold=args.fold)
    if form in TEXTS:
        write_atomically(args.out, text.encode())
        return
    is_foldable = text_of(fold="all") != text
    smaller = "--fold all draws each block of layers as one box" if is_foldable else None
    _announce(text, smaller)
    render(text, args.out, report, smaller)


def _announce(text: str, smaller: str | None) -> None:
    """Says before it begins that a picture may take long, and what does not."""
    boxes = len(_BOX.findall(text))
    if boxes > MANY_BOXES:
        hint = "; ".join(filter(None, (smaller, ".html and .dot are written at once")))
        message = f"a picture of {boxes:,} boxes may take minutes to draw"
        report = Report()
        report.diagnostics.append(Diagnostic(NOTE, message, hint=as_hint(hint)))
        print_warnings(report)


def _write_page(args: argparse.Namespace) -> int:
    if args.theme == "caffe":
        raise NetspecError("--theme caffe is one of pictures; a page has light and dark")
    require_own_kind(args.out, PAGE, overwrite=args.overwrite)
    report = Report()
    page = page_of(args, report)
    if args.strict:
        report.raise_errors(strict=True)
    print_warnings(report)
    assert page.data is not None  # load_page raises where there is none
    if "leftOut" in page.data:
        print(page.data["leftOut"])
    write_atomically(args.out, page_html(page.data).encode())
    return 0
