#!/usr/bin/env python
"""Draws training logs, Caffe's and netspec's.

plot_training_log.py CHART_TYPE PICTURE.png A.log [B.log …]

Caffe's plot_training_log.py, with its chart types. Loss is drawn for training and tests together.

  0: test accuracy  vs. iterations    1: test accuracy  vs. seconds
  2: test loss      vs. iterations    3: test loss      vs. seconds
  4: learning rate  vs. iterations    5: learning rate  vs. seconds
  6: training loss  vs. iterations    7: training loss  vs. seconds
"""

import argparse
import sys
from pathlib import Path

PANELS = ("accuracy", "loss", "lr", "loss")


def main() -> int:
    from netspec.cli import main as netspec

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chart_type", type=int, choices=range(8), metavar="CHART_TYPE")
    parser.add_argument("picture", help="the picture to write: .png, .svg or .pdf")
    parser.add_argument("logs", nargs="+", metavar="LOG")
    parser.add_argument(
        "--overwrite", action="store_true", help="write over a file of another kind"
    )
    args = parser.parse_args()
    x = "seconds" if args.chart_type % 2 else "iterations"
    options = ["--what", PANELS[args.chart_type // 2], "--x", x, "-o", args.picture]
    options += ["--overwrite"] if args.overwrite else []
    return netspec(["log", "plot", *options, "--", *args.logs])


if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.tool import run_tool

    sys.exit(run_tool(main))
