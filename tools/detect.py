#!/usr/bin/env python
"""Saves the scores that a net gives to windows of pictures: detect.py WINDOWS.csv OUTPUT.h5|.csv.

Caffe's detect.py (R-CNN), with its flags. The input has the columns filename,xmin,ymin,xmax,ymax.
`netspec detect` is for nets that find boxes themselves.
"""

import argparse
import sys
from pathlib import Path


def main() -> int:
    from netspec.cli.detect_tool import save_window_scores
    from netspec.cli.numbers import positive
    from netspec.cli.tool import configure_classifier

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input_file", help="a .csv of windows")
    parser.add_argument("output_file", help="the .h5 or .csv to write")
    parser.add_argument(
        "--crop_mode",
        default="list",
        choices=["list", "selective_search"],
        help="where windows come from (default list; selective search is not here)",
    )
    parser.add_argument(
        "--context_pad",
        type=lambda text: 0 if text == "0" else positive(text),
        default=16,
        help="pixels of the input around the window (default 16)",
    )
    configure_classifier(parser)
    return save_window_scores(parser.parse_args())


if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.tool import run_tool

    sys.exit(run_tool(main))
