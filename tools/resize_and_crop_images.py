#!/usr/bin/env python
"""Resizes pictures to squares: the shorter side to the length, then the centre.

Caffe's resize_and_crop_images.py. The pictures of all folders below are written to the same places
below the output folder.
"""

import argparse
import sys
from pathlib import Path


def main() -> int:
    from netspec.cli.numbers import positive
    from netspec.making.square_images import square_images

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input_folder", required=True, help="the folder of the pictures")
    parser.add_argument("--output_folder", required=True, help="the folder to write to")
    parser.add_argument(
        "--output_side_length", type=positive, default=256, help="pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--image_lib",
        choices=["opencv", "PIL"],
        default="opencv",
        help="whose resizing: OpenCV's bilinear, or PIL's antialiased (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="write over pictures that exist")
    args = parser.parse_args()

    def on_left_out(message: str) -> None:
        print(f"warning: {message}", file=sys.stderr)

    done, left_out = square_images(
        args.input_folder,
        args.output_folder,
        args.output_side_length,
        args.image_lib == "PIL",
        args.overwrite,
        on_left_out,
    )
    print(f"{args.output_folder}: {done} pictures{f', {left_out} left out' if left_out else ''}")
    return 1 if left_out else 0


if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.tool import run_tool

    sys.exit(run_tool(main))
