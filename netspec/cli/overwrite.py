"""--overwrite, on every command that writes a file."""

from __future__ import annotations

import argparse


def configure_overwrite(parser: argparse.ArgumentParser) -> None:
    """Adds --overwrite."""
    parser.add_argument("--overwrite", action="store_true", help="write over a file that is there, also where it is of another kind")
