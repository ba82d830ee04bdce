#!/usr/bin/env python
"""Draws the network architecture of a prototxt to a picture.

It takes the flags and defaults of Caffe's draw_net.py, and of `netspec draw`
--fold, --theme and --no-shapes.
"""

import argparse
import sys
from pathlib import Path


def main() -> int:
    from netspec.cli import main as netspec

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input_net_proto_file", help="the net's prototxt")
    parser.add_argument("output_image_file", help="the picture; its suffix is the format")
    parser.add_argument(
        "--rankdir",
        default="LR",
        choices=["LR", "TB", "RL", "BT"],
        help="direction of the graph (default: %(default)s)",
    )
    parser.add_argument(
        "--phase",
        default="ALL",
        choices=["TRAIN", "TEST", "ALL"],
        help="which network to draw (default: %(default)s)",
    )
    parser.add_argument(
        "--display_lrm", action="store_true", help="show the learning rate multipliers"
    )
    parser.add_argument("--fold", default="none", choices=["auto", "all", "none"])
    parser.add_argument("--theme", default="light", choices=["light", "dark", "caffe"])
    parser.add_argument("--no-shapes", action="store_true")
    parser.add_argument(
        "--overwrite", action="store_true", help="write over a file of another kind"
    )
    args = parser.parse_args()
    print(f"Drawing net to {args.output_image_file}", flush=True)
    flags = [f"--{flag}" for flag in ("display_lrm", "overwrite") if getattr(args, flag)]
    flags += ["--no-shapes"] if args.no_shapes else []
    options = ["--rankdir", args.rankdir, "--phase", args.phase]
    options += ["--fold", args.fold, "--theme", args.theme, *flags]
    return netspec(["draw", *options, "--", args.input_net_proto_file, args.output_image_file])


if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.streams import guarded

    sys.exit(guarded(main))
