"""The call that makes a module, as text: `nn.Conv2d(3, 96, 11, stride=4)`."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from google.protobuf.message import Message
from torch import Tensor, nn

from netspec.diagnostics import NetspecError, Span
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.standalone.definitions import Definitions
from netspec.pytorch.standalone.settings import Settings

_MOST_ELEMENTS = 4096  # of a tensor that stands in the text


def constructor(module: nn.Module, definitions: Definitions) -> str:
    """The expression that makes a module like this one, without its params' values.

    Raises: NetspecError where an argument has no text.
    """
    if hasattr(module, "shared_views"):
        raise NetspecError("its params are another layer's in another shape")
    if type(module) in _TORCH:
        return f"nn.{type(module).__name__}({_TORCH[type(module)](module)})"
    for convolution in _PLAIN_CONVOLUTIONS:
        if isinstance(module, convolution):  # ours, too: what they do beside it is no argument
            return f"nn.{convolution.__name__}({_convolution(module)})"
    if type(module).__module__.startswith("torch.nn."):
        return "nn." + re.sub(r"(, )?inplace=\w+", "", repr(module))
    given = module.arguments() if isinstance(module, LayerModule) else _attributes(module)
    return _call(type(module), given, definitions)


def _attributes(module: nn.Module) -> dict[str, Any]:
    """The arguments of a class of ours below one of torch's, which keeps them as attributes."""
    names = inspect.signature(type(module)).parameters
    return {name: getattr(module, name) for name in names if name != "inplace"}


def _call(made: type, given: dict[str, Any], definitions: Definitions) -> str:
    """The call of a class of the package with these arguments, less those that are defaults."""
    name, parts = definitions.add(made), []
    for key, parameter in inspect.signature(made).parameters.items():
        if key not in given or _is_default(given[key], parameter.default):
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            parts += [value_text(value, definitions) for value in given[key]]
        elif parameter.kind is parameter.VAR_KEYWORD:
            parts += [f"{k}={value_text(v, definitions)}" for k, v in given[key].items()]
        else:
            parts.append(f"{key}={value_text(given[key], definitions)}")
    return f"{name}({', '.join(parts)})"


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(value, Span):  # a place in the net's file
        return default is None
    return type(value) is type(default) and not isinstance(value, Tensor) and value == default


def value_text(value: Any, definitions: Definitions) -> str:
    """A value as Python text. Raises: NetspecError where it has none."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str):
        return quoted(value)
    if id(value) in definitions.objects:
        return definitions.objects[id(value)]
    if isinstance(value, Span):
        return "None"  # a place in the net's file
    if isinstance(value, enum.Enum):
        return value_text(value.value, definitions)
    if isinstance(value, (int, np.integer)):
        return repr(int(value))
    if isinstance(value, (float, np.floating)):
        return float_text(float(value))
    if isinstance(value, Tensor):
        return _tensor_text(value, definitions)
    if isinstance(value, nn.Module):
        return constructor(value, definitions)
    if isinstance(value, dict):
        items = [
            f"{value_text(k, definitions)}: {value_text(v, definitions)}" for k, v in value.items()
        ]
        return f"{{{', '.join(items)}}}"
    if isinstance(value, SimpleNamespace):
        definitions.use("from types import SimpleNamespace")
        return f"SimpleNamespace({_keywords(vars(value), definitions)})"
    if isinstance(value, Message):
        return _message_text(value, definitions)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return _call(type(value), fields, definitions)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _call(type(value), value._asdict(), definitions)
    if isinstance(value, (list, tuple)) or type(value).__name__.startswith("Repeated"):
        parts = [value_text(each, definitions) for each in value]
        if isinstance(value, tuple):
            return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
        return f"[{', '.join(parts)}]"
    if inspect.isfunction(value) and value.__name__ != "<lambda>":
        return definitions.add(value)
    raise NetspecError(f"a {type(value).__name__} has no text")


def _keywords(values: dict[str, Any], definitions: Definitions) -> str:
    return ", ".join(f"{key}={value_text(value, definitions)}" for key, value in values.items())


def _message_text(message: Message, definitions: Definitions) -> str:
    """A message with all its fields, and which of them its text states."""
    fields = message.DESCRIPTOR.fields
    stated = [each.name for each, _ in message.ListFields() if not each.is_extension]
    values = {each.name: getattr(message, each.name) for each in fields}
    return f"{definitions.add(Settings)}({_keywords({'stated': stated, **values}, definitions)})"


def quoted(text: str) -> str:
    """A string literal: in double quotes, unless it holds some and no single ones."""
    literal = json.dumps(text)
    if '"' in text and "'" not in text:
        return "'" + literal[1:-1].replace('\\"', '"') + "'"
    return literal


def float_text(value: float) -> str:
    """The shortest text of a field's 32-bit number: 0.1, not 0.10000000149011612."""
    if value != value or value in (float("inf"), float("-inf")):
        return f'float("{value}")'
    short = float(str(np.float32(value)))
    return repr(short if np.float32(value) == value else value)


def _tensor_text(value: Tensor, definitions: Definitions) -> str:
    if value.numel() > _MOST_ELEMENTS:
        raise NetspecError(f"an array of {value.numel()} numbers is too large for a text")
    definitions.use("import torch")
    dtype = "" if value.dtype == torch.float32 else f", dtype={value.dtype}"
    return f"torch.tensor({value_text(value.tolist(), definitions)}{dtype})"


def pair(value: Any) -> str:
    """A size for each axis; one number where they are alike."""
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return str(sizes[0]) if len(set(sizes)) == 1 else str(sizes)


def _convolution(module: Any) -> str:
    parts = [str(module.in_channels), str(module.out_channels), pair(module.kernel_size)]
    settings = {"stride": (module.stride, 1), "padding": (module.padding, 0)}
    settings["dilation"] = (module.dilation, 1)
    parts += [f"{k}={pair(v)}" for k, (v, usual) in settings.items() if set(v) != {usual}]
    if module.groups != 1:
        parts.append(f"groups={module.groups}")
    if module.bias is None:
        parts.append("bias=False")
    return ", ".join(parts)


def _linear(module: Any) -> str:
    bias = ", bias=False" if module.bias is None else ""
    return f"{module.in_features}, {module.out_features}{bias}"


_PLAIN_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TORCH: dict[type, Callable[[Any], str]] = {
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), _convolution),
    nn.Linear: _linear,
    nn.Dropout: lambda module: float_text(module.p),
    nn.PReLU: lambda module: str(module.num_parameters),
}
