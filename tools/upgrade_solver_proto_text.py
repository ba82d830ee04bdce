#!/usr/bin/env python
"""Brings a solver file of an older format to today's: Caffe's upgrade_solver_proto_text. Comments are kept."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works from a checkout that isn't installed
    from netspec.cli import main as netspec

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old_file", help="the old solver file")
    parser.add_argument("new_file", help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="write over a file of another kind, or over the old file itself")
    args = parser.parse_args()
    return netspec(["convert", "--upgrade", *(["--overwrite"] if args.overwrite else []), "--", args.old_file, args.new_file])


if __name__ == "__main__":
    sys.exit(main())
