"""Caffe's flags as gflags reads them: -name v, --name=v, and -name or -noname for true and false.

For the scripts in tools/ that carry the names of Caffe's programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netspec.diagnostics import NetspecError
from netspec.hint import did_you_mean

TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


def split_gflags(
    argv: Iterable[str], defaults: Mapping[str, str | bool]
) -> tuple[dict[str, str | bool], list[str]]:
    """The flags' values and the words that are none; what follows -- is none.

    Raises: NetspecError for a flag that does not exist, or has no value.
    """
    words: list[str] = []
    values = dict(defaults)
    rest = iter(argv)
    for argument in rest:
        if argument == "--":
            return values, [*words, *rest]
        if not argument.startswith("-") or argument == "-":
            words.append(argument)
            continue
        name, equals, text = argument.lstrip("-").partition("=")
        name = name.replace("-", "_")
        positive = name.removeprefix("no")
        if name not in defaults and isinstance(defaults.get(positive), bool) and not equals:
            values[positive] = False
        elif name not in defaults:
            raise NetspecError(f"there is no flag '{argument}'", None, did_you_mean(name, defaults))
        elif isinstance(defaults[name], bool):
            values[name] = _truth(name, text) if equals else True
        else:
            value = text if equals else next(rest, None)
            if value is None:
                raise NetspecError(f"the flag '{argument}' has no value")
            values[name] = value
    return values, words


def _truth(name: str, text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise NetspecError(f"'-{name}' is true or false, got '{text}'")
    return text.lower() in TRUE
