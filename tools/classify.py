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
    from netspec.cli.numbers import finite
    from netspec.cli.pictures import picture_size

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input_file", help="a picture, a folder or an .npy")
    parser.add_argument("output_file", help="the .npy to write: a row of scores a picture")
    parser.add_argument("--model_def", required=True, help="the deploy net")
    parser.add_argument("--pretrained_model", required=True, help="its weights")
    parser.add_argument("--gpu", action="store_true", help="compute on the GPU")
    parser.add_argument(
        "--center_only", action="store_true", help="the centre alone, not ten crops' average"
    )
    parser.add_argument(
        "--images_dim",
        type=picture_size,
        default=(256, 256),
        help="height,width that pictures are resized to (default 256,256)",
    )
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
    parser.add_argument("--ext", default="jpg", help="suffix of a folder's pictures (default jpg)")
    parser.add_argument("--overwrite", action="store_true", help="write over any file")
    return save_scores(parser.parse_args())


if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.tool import run_tool

    sys.exit(run_tool(main))
