"""The parser of a command with all that its help shows, and what is told of an unknown word."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module

from netspec.cli.examples import EXAMPLES
from netspec.cli.terminal import COLOR_CHOICES
from netspec.hint import did_you_mean, nearest, suggest


def command_parser(name: str, summary: str) -> argparse.ArgumentParser:
    """The parser of `netspec NAME`, with examples below its help and each subcommand's."""
    parser = argparse.ArgumentParser(prog=f"netspec {name}", description=summary)
    fill(parser, name)
    return parser


def fill(parser: argparse.ArgumentParser, name: str) -> None:
    """Adds a command's arguments and examples to its parser."""
    import_module(f"netspec.cli.{name}").configure(parser)
    for path, inner in parsers_below(parser, name):
        inner.add_argument(
            "--color",
            choices=COLOR_CHOICES,
            help="colours in diagnostics (default auto: on a terminal, unless NO_COLOR is set)",
        )
        # which keeps the examples' lines
        inner.formatter_class = argparse.RawDescriptionHelpFormatter
        own = [inner.epilog.strip("\n"), ""] if inner.epilog else []
        inner.epilog = "\n".join([*own, "examples:", *(f"  {line}" for line in EXAMPLES[path])])


def parsers_below(
    parser: argparse.ArgumentParser, path: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A parser and those of its subcommands, each with its name, such as 'dataset build'."""
    yield path, parser
    for name, inner in subcommands(parser).items():
        yield from parsers_below(inner, f"{path} {name}".strip())


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands within a command, such as build in dataset."""
    groups = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return next((dict(group.choices) for group in groups), {})


def innermost(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.ArgumentParser:
    """The parser of the subcommand that the arguments name, or the command's own."""
    inner = subcommands(parser).get(_first_word(argv) or "")
    return innermost(inner, argv[argv.index(_first_word(argv) or "") + 1 :]) if inner else parser


def spelled(argv: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """The arguments, with options as the parser spells them.

    --max_iter is --max-iter, and the other way round.
    """
    known = innermost(parser, argv)._option_string_actions
    spelled: list[str] = []
    for i, argument in enumerate(argv):
        if argument == "--":
            return spelled + argv[i:]
        name, equals, value = argument.partition("=")
        others = (name[:2] + name[2:].replace("_", "-"), name[:2] + name[2:].replace("-", "_"))
        meant = (
            next((other for other in others if other in known), name)
            if name.startswith("--") and name not in known
            else name
        )
        spelled.append(meant + equals + value)
    return spelled


def unknown_word(argv: list[str], parser: argparse.ArgumentParser) -> str | None:
    """What is wrong with the first subcommand or long option that does not exist, or None.

    The message suggests the nearest that does exist.
    """
    commands, word = subcommands(parser), _first_word(argv)
    if commands and word is not None and word not in commands:
        return (
            f"{parser.prog}: there is no command '{word}'; "
            f"{did_you_mean(word, commands) or 'expected ' + ' or '.join(commands)}"
        )
    inner = innermost(parser, argv)
    known = inner._option_string_actions
    for argument in argv[: argv.index("--")] if "--" in argv else argv:
        name = argument.partition("=")[0]
        # argparse takes abbreviations
        if name.startswith("--") and not any(option.startswith(name) for option in known):
            return no_option(name, inner)
    return None


def no_option(name: str, parser: argparse.ArgumentParser) -> str:
    dashes = name[: len(name) - len(name.lstrip("-"))]  # which all have, and so no likeness
    near = nearest(
        name.lstrip("-"),
        [
            option.lstrip("-")
            for option in parser._option_string_actions
            if option.startswith(dashes)
        ],
    )
    meant = suggest(dashes + near) if near else f"see {parser.prog} --help"
    return f"{parser.prog}: there is no option '{name}'; {meant}"


def _first_word(argv: list[str]) -> str | None:
    return next((argument for argument in argv if not argument.startswith("-")), None)
