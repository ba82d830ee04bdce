#!/usr/bin/env python
"""Saves the scores that a net gives to pictures: classify.py INPUT OUTPUT.npy.

Caffe's classify.py, with its flags. The input is a picture, a folder, or an .npy of pictures
(N×H×W×3, R, G, B, from 0 to 1). `netspec classify` names the classes.
"""

import argparse
import sys
from pathlib import Path


def main() -> int:
    from netspec.cli.classify_tool import save_scores
    from netspec.cli.pictures import picture_size
    from netspec.cli.tool import configure_classifier

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input_file", help="a picture, a folder or an .npy")
    parser.add_argument("output_file", help="the .npy to write: one row of scores per picture")
    parser.add_argument(
        "--center_only", action="store_true", help="the centre alone, not ten crops' average"
    )
    parser.add_argument(
        "--images_dim",
        type=picture_size,
        default=(256, 256),
        help="height,width that pictures are resized to (default 256,256)",
    )
    parser.add_argument("--ext", default="jpg", help="suffix of a folder's pictures (default jpg)")
    configure_classifier(parser)
    return save_scores(parser.parse_args())


if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.tool import run_tool

    sys.exit(run_tool(main))
