#!/usr/bin/env python
"""Lists a net's layers: type, rates of the params, bottoms and tops, kernels.

Caffe's summarize.py. A bottom that nothing makes is marked with !, a top that nothing reads with *;
on a terminal in red and in bold. `netspec shapes` has the shapes and counts.
"""

import argparse
import sys
from pathlib import Path


def main() -> int:
    from netspec.cli.summary_tool import summary

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("filename", help="the net")
    parser.add_argument(
        "-w", "--max-width", type=int, default=30, help="of a column (default: %(default)s)"
    )
    args = parser.parse_args()
    print(summary(args.filename, max(1, args.max_width), sys.stdout.isatty()))
    return 0


if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.tool import run_tool

    sys.exit(run_tool(main))
