"""The command line: one file a command, each imported only when it is called."""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib import import_module

from netspec.cli.library_warnings import library_warnings_told
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
# Caffe's tools, for who types their names
CAFFE_TOOLS = {
    "convert_imageset": "`netspec dataset build` does what it did",
    "compute_image_mean": "`netspec dataset mean` does what it did",
    "device_query": "`nvidia-smi` tells of the GPUs",
    "draw_net": "`netspec draw` does what it did",
    "parse_log": "`netspec log parse` does what it did",
    "plot_training_log": "`netspec log plot` does what it did",
    "upgrade_net_proto_text": "`netspec convert` does what it did",
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

        hint = CAFFE_TOOLS.get(name.removesuffix(".py")) or did_you_mean(name, COMMANDS) or "see netspec --help"
        print(f"netspec: there is no command '{name}'; {hint}", file=sys.stderr)
        return USAGE
    command = import_module(f"netspec.cli.{name}")
    parser = argparse.ArgumentParser(prog=f"netspec {name}", description=COMMANDS[name], formatter_class=argparse.RawDescriptionHelpFormatter)
    command.configure(parser)
    try:
        args, unknown = parser.parse_known_args(_spelled(argv[1:], parser))
        if unknown:
            from netspec.diagnostics import did_you_mean

            meant = did_you_mean(unknown[0].split("=")[0], parser._option_string_actions) or f"see netspec {name} --help"
            print(f"netspec {name}: there is no option '{unknown[0]}'; {meant}", file=sys.stderr)
            return USAGE
        with library_warnings_told():
            return int(command.run(args))
    except NetspecError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as error:
        from netspec.signals import Interrupted, interrupted_status

        if not isinstance(error, Interrupted):  # else it has been told
            print("interrupted", file=sys.stderr)
        return interrupted_status(error)
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _spelled(argv: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """The arguments, with options as the parser spells them: --max_iter is --max-iter, and the other way round."""
    known = parser._option_string_actions
    spelled: list[str] = []
    for i, argument in enumerate(argv):
        if argument == "--":
            return spelled + argv[i:]
        name, equals, value = argument.partition("=")
        others = (name[:2] + name[2:].replace("_", "-"), name[:2] + name[2:].replace("-", "_"))
        meant = next((other for other in others if other in known), name) if name.startswith("--") and name not in known else name
        spelled.append(meant + equals + value)
    return spelled


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(["usage: netspec COMMAND …   (netspec COMMAND --help tells its options)", "", *lines])
