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
    from netspec.cli.numbers import finite, positive

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input_file", help="a .csv of windows")
    parser.add_argument("output_file", help="the .h5 or .csv to write")
    parser.add_argument("--model_def", required=True, help="the deploy net")
    parser.add_argument("--pretrained_model", required=True, help="its weights")
    parser.add_argument(
        "--crop_mode",
        default="list",
        choices=["list", "selective_search"],
        help="where windows come from (default list; selective search is not here)",
    )
    parser.add_argument("--gpu", action="store_true", help="compute on the GPU")
    parser.add_argument(
        "--mean_file", help="an .npy or .binaryproto; '' for none (default: as the net's file says)"
    )
    parser.add_argument("--input_scale", type=finite, help="factor after the mean is subtracted")
    parser.add_argument(
        "--raw_scale", type=finite, default=255.0, help="what white is (default 255)"
    )
    parser.add_argument(
        "--channel_swap",
        default="2,1,0",
        choices=["2,1,0", "0,1,2"],
        help="2,1,0 is B, G, R (default), 0,1,2 R, G, B",
    )
    parser.add_argument(
        "--context_pad",
        type=lambda text: 0 if text == "0" else positive(text),
        default=16,
        help="pixels of the input around the window (default 16)",
    )
    parser.add_argument("--overwrite", action="store_true", help="write over a file that exists")
    return save_window_scores(parser.parse_args())


if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.tool import run_tool

    sys.exit(run_tool(main))
