"""The page of a net as a command's arguments describe it: draw writes it, view serves it."""

from __future__ import annotations

import argparse

from netspec.cli.numbers import positive
from netspec.cli.state import options_of
from netspec.diagnostics import NetspecError, Report
from netspec.draw.blocks import FOLDED_ABOVE, FOLDS, is_folded
from netspec.page.load_page import Page, load_page

MB = 1_000_000


def configure_input(parser: argparse.ArgumentParser) -> None:
    input_help = "the shape of a data layer's top where its data do not exist; may be repeated"
    parser.add_argument(
        "--input", metavar="NAME=N,C,H,W", action="append", default=[], help=input_help
    )


def configure_look(parser: argparse.ArgumentParser, themes: tuple[str, ...]) -> None:
    """The flags for how a net looks, as a picture and at first on a page."""
    fold_help = (
        "draw blocks of layers (inception_3a/…, res2a_…) as one box each; auto does so in nets of "
        f"more than {FOLDED_ABOVE} layers (default %(default)s); a page begins so"
    )
    parser.add_argument("--fold", choices=FOLDS, default="auto", help=fold_help)
    colours = "; caffe: those of its draw_net.py" if "caffe" in themes else ""
    parser.add_argument(
        "--theme",
        choices=themes,
        help=f"the colours{colours} (default: light; of a page what the browser prefers)",
    )
    parser.add_argument("--no-shapes", action="store_true", help="leave out the blobs' shapes")


def configure_page(parser: argparse.ArgumentParser) -> None:
    """The flags for what a page shows beside the net."""
    group = parser.add_argument_group("pages")
    group.add_argument(
        "--weights", metavar="FILE", help="each param's numbers and histogram, the first filters"
    )
    group.add_argument(
        "--image",
        metavar="FILE",
        help="what each layer of the deploy net makes of a picture; needs --weights",
    )
    group.add_argument(
        "--page-budget",
        metavar="MB",
        type=positive,
        default=20,
        help="the most that the pictures in a page take (default %(default)s)",
    )


def page_of(args: argparse.Namespace, report: Report, draws_faulty: bool = True) -> Page:
    """The page. Raises: NetspecError where the net, the weights or the picture is wrong."""
    page = load_page(
        args.net, args.phase, options_of(args, allow_unknown=True), report, draws_faulty
    )
    if page.data is not None:
        page.data["folded"] = is_folded(args.fold, len(page.data["layers"]))
        page.data |= {"theme": args.theme or "", "hasShapes": not args.no_shapes}
    if args.image and not args.weights:
        raise NetspecError(
            "--image shows what a trained net makes of a picture", None, "give --weights too"
        )
    if page.data is None or not args.weights:
        return page
    from netspec.page.pictures import Budget, add_values, add_weights  # numpy takes its time
    from netspec.weights.files import read_weights

    budget = Budget(args.page_budget * MB)
    add_weights(page.data, read_weights(args.weights), budget)
    if args.image:
        from netspec.pytorch.layer_pictures import layer_values_of  # torch takes seconds

        add_values(page.data, layer_values_of(args.net, args.weights, args.image), budget)
    if budget.left_out:
        names = ", ".join(budget.left_out)
        page.data["leftOut"] = f"Without the pictures of {names}: they do not fit --page-budget."
    return page
