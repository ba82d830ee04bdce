"""The command line: one file a command, each imported only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module

from netspec.cli.library_warnings import library_warnings_shown
from netspec.cli.terminal import COLOR_CHOICES, set_color, show
from netspec.diagnostics import NetspecError
from netspec.plugins import Plugin, load_plugins, on_load

COMMANDS = {
    "layers": "list the layer types; explain one and how to write it",
    "shapes": "list each layer's output shape, parameters and multiply-adds",
    "draw": "draw the net's architecture as a picture, or as a page to look around in",
    "view": "show the net's page in the browser, redrawn when the file is saved",
    "check": "check nets and solvers; report each error with its line",
    "fmt": "lay out nets and solvers in one style; comments stay",
    "diff": "compare two nets, solvers or files of weights",
    "train": "train a net as its solver file says",
    "test": "run a trained net on its test data; print the mean of each output",
    "classify": "name the classes that a trained net sees in pictures",
    "detect": "find the boxes that a trained SSD sees in pictures",
    "features": "write the values of a trained net's blobs for pictures or its own data",
    "serve": "answer pictures that are sent by HTTP",
    "time": "time each layer forward and backward",
    "solver": "print what a solver file will do: rates, epochs, snapshots",
    "log": "read training logs, netspec's and Caffe's: tables and plots",
    "deploy": "write the deploy net of a training net",
    "export": "write a net and its weights for other programs: ONNX, torch.export, weights",
    "verify": "compare each blob of a net with ONNX, another net or stored arrays",
    "convert": "convert nets (prototxt, YAML) and weights (npy, caffemodel, …)",
    "weights": "list what is in a weight file; compare it with a net",
    "dataset": "make, import and examine databases of images, and their mean files",
    "completion": "print a script that completes netspec's words in bash, zsh or fish",
}
# Caffe's tools, for who types their names
CAFFE_TOOLS = {
    "convert_imageset": "`netspec dataset build` does what it did",
    "compute_image_mean": "`netspec dataset mean` does what it did",
    "device_query": "tools/caffe lists the GPUs, and so does `nvidia-smi`",
    "extract_features": "`netspec features` does what it did",
    "summarize": "`netspec shapes` does what it did",
    "draw_net": "`netspec draw` does what it did",
    "parse_log": "`netspec log parse` does what it did",
    "plot_training_log": "`netspec log plot` does what it did",
    "upgrade_net_proto_text": "`netspec convert --upgrade` does what it did",
    "upgrade_net_proto_binary": "`netspec convert --upgrade` does what it did",
    "upgrade_solver_proto_text": "`netspec convert --upgrade` does what it did",
}
OK, FAILED, USAGE = 0, 1, 2


def main(argv: list[str] | None = None) -> int:
    """Runs a command and returns its exit status.

    The status is 0 if all is fine, 1 if the net, data or run has errors, 2 for wrong usage.
    """
    from netspec.cli.streams import guarded

    return guarded(lambda: _main(sys.argv[1:] if argv is None else argv))


def _main(argv: list[str]) -> int:
    argv, color = _take_color(argv)
    if color not in COLOR_CHOICES:
        print(f"netspec: --color takes {', '.join(COLOR_CHOICES)}, got '{color}'", file=sys.stderr)
        return USAGE
    set_color(color)
    if not argv:
        print(_overview(), file=sys.stderr)
        return USAGE
    if argv[0] == "help":  # netspec help train is netspec train --help
        argv = [*argv[1:], "--help"]
    if argv[0] in ("-h", "--help", "-help", "help"):
        print(_overview())
        return OK
    if argv[0] in ("-V", "--version", "-version"):
        from netspec import __version__

        print(f"netspec {__version__}")
        return OK
    if argv[0] not in COMMANDS:
        print(f"netspec: {_no_command(argv[0])}", file=sys.stderr)
        return USAGE
    try:
        return _command(argv[0], argv[1:])
    except NetspecError as error:
        show(error.diagnostics)
        return FAILED
    except KeyboardInterrupt as error:
        from netspec.signals import Interrupted, interrupted_status

        if not isinstance(error, Interrupted):  # else it has been reported
            print("interrupted", file=sys.stderr)
        return interrupted_status(error)


def _command(name: str, argv: list[str]) -> int:
    from netspec.cli.parser import (
        command_parser,
        innermost,
        no_option,
        spelled,
        subcommands,
        unknown_word,
    )

    parser = command_parser(name, COMMANDS[name])
    if not argv and subcommands(parser):
        parser.print_help(sys.stderr)
        return USAGE
    argv = spelled(argv, parser)
    if wrong := unknown_word(argv, parser):
        print(wrong, file=sys.stderr)
        return USAGE
    args, rest = parser.parse_known_args(argv)
    if rest and rest[0].startswith("-"):
        print(no_option(rest[0].partition("=")[0], innermost(parser, argv)), file=sys.stderr)
        return USAGE
    if rest:
        innermost(parser, argv).error(f"unexpected argument '{rest[0]}'")
    if _report_plugin not in on_load:
        on_load.append(_report_plugin)
    load_plugins(getattr(args, "plugin", ()))
    if args.color:  # abbreviated, else it has been taken
        set_color(args.color)
    with library_warnings_shown():
        return int(import_module(f"netspec.cli.{name}").run(args))


def _report_plugin(plugin: Plugin) -> None:
    types = ", ".join(spec.type for spec in plugin.specs)
    print(
        f"plugin {plugin.origin}: layer type{'s' if len(plugin.specs) > 1 else ''} {types}",
        file=sys.stderr,
    )


def _no_command(word: str) -> str:
    from netspec.hint import did_you_mean

    kind, words = (
        ("option", ("--help", "--version"))
        if word.startswith("-")
        else ("command", (*COMMANDS, "help"))
    )
    hint = (
        CAFFE_TOOLS.get(word.removesuffix(".py"))
        or did_you_mean(word, words)
        or "see netspec --help"
    )
    return f"there is no {kind} '{word}'; {hint}"


def _take_color(argv: list[str]) -> tuple[list[str], str]:
    """The arguments without --color, which may stand anywhere, and what it says."""
    left: list[str] = []
    color = "auto"
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--":
            return [*left, argument, *arguments], color
        if argument == "--color":
            color = next(arguments, "")
        elif argument.startswith("--color="):
            color = argument.removeprefix("--color=")
        else:
            left.append(argument)
    return left, color


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    first = [
        "usage: netspec COMMAND …",
        "       netspec help COMMAND    a command's options, with examples",
        "       netspec --version",
        "",
    ]
    return "\n".join([*first, *lines])
