"""--overwrite, on every command that writes a file or a database."""

from __future__ import annotations

import argparse


def configure_overwrite(parser: argparse.ArgumentParser) -> None:
    """Adds --overwrite."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="write over a file that exists, also where it is of another kind",
    )


def configure_overwrite_database(parser: argparse.ArgumentParser, *spellings: str) -> None:
    """Adds --overwrite for an LMDB, whose folder is never overwritten if it holds anything else."""
    parser.add_argument(
        "--overwrite",
        *spellings,
        action="store_true",
        help="replace an LMDB that exists, once the new one is whole",
    )
