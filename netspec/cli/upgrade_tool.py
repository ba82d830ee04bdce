"""The scripts in tools/ that carry the names of Caffe's upgrade tools.

They are `netspec convert --upgrade` with their arguments.
"""

from __future__ import annotations

import argparse

from netspec.cli import main


def upgrade_tool(description: str | None) -> int:
    """Runs a tool that its docstring describes; returns the exit status."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("old_file", help="the file of an older format")
    parser.add_argument("new_file", help="the file to write")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="write over a file of another kind, or over the old file itself",
    )
    args = parser.parse_args()
    return main(
        [
            "convert",
            "--upgrade",
            *(["--overwrite"] if args.overwrite else []),
            "--",
            args.old_file,
            args.new_file,
        ]
    )
