"""The param_str of the Python layers that netspec stands in for: a few numbers by name, as YAML."""

from __future__ import annotations

from typing import Any, NamedTuple

from netspec.diagnostics import NetspecError, Source
from netspec.graph import Layer
from netspec.hint import did_you_mean


class Setting(NamedTuple):
    """A key of a param_str.

    It has a default (None where it must be given), may be whole or a list, and has a least value.
    """

    default: Any = None
    whole: bool = False
    many: bool = False
    least: float = 0


def settings_of(layer: Layer, keys: dict[str, Setting]) -> dict[str, Any]:
    """The values of a layer's param_str, defaults where it gives none. Raises: NetspecError."""
    from netspec.syntax.tree import Scalar
    from netspec.syntax.yaml_text import parse  # a net without such layers needs no YAML

    text, place = layer.message.python_param.param_str, layer.spans.at("python_param", "param_str")
    try:
        block = parse(Source("param_str", text))
    except NetspecError as error:
        message = f"{layer.label}: 'param_str' is not YAML: {error.diagnostics[0].message}"
        raise NetspecError(message, place) from None
    found: dict[str, Any] = {}
    for field in block.fields:
        if field.name not in keys:
            raise NetspecError(
                f"{layer.label}: 'param_str' has no key '{field.name}' here",
                place,
                did_you_mean(field.name, keys) or f"it takes {', '.join(keys)}",
            )
        texts = [value.text if isinstance(value, Scalar) else "{" for value in field.values]
        numbers = [_number(each, keys[field.name]) for each in texts]
        many = keys[field.name].many
        if None in numbers or not numbers or (not many and (field.is_list or len(numbers) > 1)):
            raise NetspecError(
                f"{layer.label}: '{field.name}' in 'param_str' takes {_wanted(keys[field.name])}, "
                f"got {', '.join(texts) or 'nothing'}",
                place,
            )
        found[field.name] = tuple(numbers) if many else numbers[0]
    for name, key in keys.items():
        if name not in found and key.default is None:
            raise NetspecError(
                f"{layer.label}: 'param_str' must give '{name}'",
                place or layer.spans.at("python_param"),
                f"such as param_str: \"'{name}': {16 if key.least == 1 else 21}\"",
            )
        found.setdefault(name, key.default)
    return found


def _number(text: str, key: Setting) -> float | None:
    """The number of a text, or None where it is none that the key takes."""
    try:
        value = int(text) if key.whole else float(text)
    except ValueError:
        return None
    if key.many:
        return value if 0 < value < 1e6 else None
    return value if key.least <= value < 1e6 else None


def _wanted(key: Setting) -> str:
    if key.many:
        return "a list of numbers greater than 0"
    return f"a {'whole number' if key.whole else 'number'} of {key.least:g} or more"
