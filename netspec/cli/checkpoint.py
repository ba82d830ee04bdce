"""The option --checkpoint."""

from __future__ import annotations

import argparse

from netspec.solver.checkpoints import CHECKPOINTS


def configure_checkpoint(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Adds --checkpoint."""
    parser.add_argument(
        "--checkpoint",
        choices=CHECKPOINTS,
        default="none",
        help=(
            "activation checkpointing: auto computes segments of layers again in the backward "
            "pass instead of keeping their values, for less memory (default none)"
        ),
    )
