"""What the scripts in tools/ share: a run that reports errors as the commands do."""

from __future__ import annotations

from collections.abc import Callable

from netspec.cli.streams import guarded
from netspec.cli.terminal import show
from netspec.diagnostics import NetspecError
from netspec.signals import interrupted_status


def run_tool(run: Callable[[], int]) -> int:
    """Runs a tool and returns its exit status: 0 fine, 1 errors, 2 usage."""
    return guarded(lambda: _reported(run))


def _reported(run: Callable[[], int]) -> int:
    try:
        return run()
    except NetspecError as error:
        show(error.diagnostics)
        return 1
    except KeyboardInterrupt as error:
        return interrupted_status(error)
