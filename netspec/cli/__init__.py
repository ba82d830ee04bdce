"""The command line: one file a command, each imported only when it is called."""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib import import_module

from netspec.diagnostics import NetspecError

COMMANDS = {
    "layers": "list the layer types; tell what one is and how to write it",
    "shapes": "list each layer's output shape, parameters and multiply-adds",
    "draw": "draw the net's architecture as a picture",
    "check": "check nets and solvers; tell each fault with its line",
    "train": "train a net as its solver file says",
    "test": "run a trained net on its test data; tell the mean of each output",
    "time": "time each layer forward and backward",
    "solver": "tell what a solver file will do: rates, epochs, snapshots",
    "log": "read training logs, netspec's and Caffe's: tables and plots",
    "convert": "convert nets (prototxt, YAML) and weights (npy, caffemodel, …)",
    "dataset": "make, import and examine databases of images, and their mean files",
}
OK, FAILED, USAGE = 0, 1, 2


def main(argv: list[str] | None = None) -> int:
    """Runs a command and returns its exit status: 0 fine, 1 the net, data or run has errors, 2 usage."""
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):  # a terminal without the net's characters still gets its lines
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_overview())
        return OK if argv else USAGE
    if argv[0] in ("-V", "--version", "-version"):
        from netspec import __version__

        print(f"netspec {__version__}")
        return OK
    name = argv[0]
    if name not in COMMANDS:
        from netspec.diagnostics import did_you_mean

        print(f"netspec: there is no command '{name}'; {did_you_mean(name, COMMANDS) or 'see netspec --help'}", file=sys.stderr)
        return USAGE
    command = import_module(f"netspec.cli.{name}")
    parser = argparse.ArgumentParser(prog=f"netspec {name}", description=COMMANDS[name], formatter_class=argparse.RawDescriptionHelpFormatter)
    command.configure(parser)
    try:
        return int(command.run(parser.parse_args(argv[1:])))
    except NetspecError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(["usage: netspec COMMAND …   (netspec COMMAND --help tells its options)", "", *lines])
