"""Commands within a command."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_subcommand(commands: Commands, name: str, summary: str) -> argparse.ArgumentParser:
    """A command that both the list of its group and its own --help describe."""
    return commands.add_parser(name, help=summary, description=summary)
