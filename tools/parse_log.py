#!/usr/bin/env python
"""Makes CSV tables of a training log.

It takes the arguments of Caffe's parse_log.py, and reads Caffe's logs and netspec's.
"""

import argparse
import sys
from glob import escape
from pathlib import Path


def main() -> int:
    from netspec.cli import main as netspec

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logfile_path", help="the log")
    parser.add_argument("output_dir", help="the folder to put LOG.train and LOG.test into")
    parser.add_argument("--verbose", action="store_true", help="print the tables as well")
    parser.add_argument(
        "--delimiter", default=",", help="between the columns (default: %(default)s)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="write over a file of another kind"
    )
    args = parser.parse_args()
    overwrite = ["--overwrite"] if args.overwrite else []
    status = netspec(
        [
            "log",
            "parse",
            "--delimiter",
            args.delimiter,
            *overwrite,
            "--",
            args.logfile_path,
            args.output_dir,
        ]
    )
    if args.verbose and status == 0:
        for table in sorted(
            Path(args.output_dir).glob(f"{escape(Path(args.logfile_path).name)}.t*")
        ):
            print(table.read_text(), end="")
    return status


if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.streams import guarded

    sys.exit(guarded(main))
