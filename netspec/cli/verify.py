"""`netspec verify NET --against X`: each blob compared with that of another program."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.cli.numbers import finite
from netspec.cli.state import configure_state, load_net
from netspec.diagnostics import NetspecError
from netspec.text_table import text_table

if TYPE_CHECKING:
    from netspec.pytorch.verify import BlobDifference, Verification

_AGAINST = """
X is, by its suffix:
  .onnx                an ONNX model: all of its values by name
  .pt2                 a program of torch.export: its outputs
  .py                  a file that netspec export wrote, which is run: its outputs
  .npz, .h5, .hdf5     arrays by name, as another program left its blobs; the inputs are among them
  any other            a net, with --against-weights, or else with the same weights
The exit status is 1 where a blob differs by more than --tolerance.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="a prototxt, or YAML by its suffix")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        action="append",
        default=[],
        help="the net's weights; may be repeated",
    )
    parser.add_argument(
        "--against", metavar="X", required=True, help="what the net is compared with"
    )
    parser.add_argument(
        "--against-weights",
        metavar="FILE",
        action="append",
        default=[],
        help="the weights of X where X is a net; may be repeated",
    )
    parser.add_argument(
        "--tolerance",
        type=finite,
        default=None,
        metavar="T",
        help="the largest difference, relative to the largest value of the blob (default 1e-5)",
    )
    parser.add_argument("--format", choices=["text", "json"], default="text")
    configure_state(parser, takes_values=True)
    parser.epilog = _AGAINST


def run(args: argparse.Namespace) -> int:
    values = [text for text in args.input if "=" not in text]
    args.input = [text for text in args.input if "=" in text]
    if len(values) > 1:
        raise NetspecError(f"'--input {values[1]}': the inputs' values come from one file")
    net = load_net(args.net, args)
    from netspec.pytorch.file_values import FILE_SUFFIXES  # torch takes seconds to import
    from netspec.pytorch.verify import TOLERANCE, verify

    is_file = Path(args.against).suffix in FILE_SUFFIXES
    if is_file and args.against_weights:
        raise NetspecError(f"'--against-weights' is for a net, got '{args.against}'")
    result = verify(
        net,
        args.against if is_file else load_net(args.against, args),
        args.weights or None,
        args.against_weights or None,
        TOLERANCE if args.tolerance is None else args.tolerance,
        values[0] if values else None,
    )
    sys.stdout.write({"text": _text, "json": _json}[args.format](result))
    return 0 if result.agrees else 1


def _text(result: Verification) -> str:
    headings = ("layer", "blob", "absolute", "relative", "ULP")
    rows = [headings, *(_row(each) for each in result.blobs)]
    lines = [*text_table(rows, left=(0, 1)), "", str(result)]
    if result.left_out:
        lines.append(f"not compared, for the other has none: {', '.join(result.left_out)}")
    return "\n".join(lines) + "\n"


def _row(each: BlobDifference) -> tuple[str, ...]:
    numbers = (f"{each.absolute:.2e}", f"{each.relative:.2e}", f"{each.ulps:.0f}")
    return (each.layer, each.blob, *numbers)


def _json(result: Verification) -> str:
    about = {
        "agrees": result.agrees,
        "tolerance": result.tolerance,
        "first": None if result.first is None else _about(result.first),
        "blobs": [_about(each) for each in result.blobs],
        "not_compared": list(result.left_out),
    }
    return json.dumps(about, indent=1) + "\n"


def _about(each: BlobDifference) -> dict[str, Any]:
    """What JSON has no word for, an infinite difference, is null."""
    numbers = {"absolute": each.absolute, "relative": each.relative, "ulps": each.ulps}
    return {
        "layer": each.layer,
        "blob": each.blob,
        "place": each.place,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        "shapes": None if each.shapes is None else [list(shape) for shape in each.shapes],
    }
