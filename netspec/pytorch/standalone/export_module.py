"""A net's Python file and its weights, compared with the module before they get their names."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from netspec.diagnostics import NetspecError
from netspec.pytorch.module import NetModule
from netspec.pytorch.weights import save_weights

SEED = 1  # of what dropout draws while the two are compared
_NAME = "netspec_standalone"


def write_standalone(
    module: NetModule,
    text: str,
    path: Path,
    inputs: dict[str, Tensor],
    check: Callable[[dict[str, Tensor]], None],
) -> None:
    """Writes `path` and, beside it, the module's weights as `.safetensors`.

    Args:
        text: what `module_text` gives for the module.
        check: takes the file's outputs for the inputs; nothing is written where it raises.
    """
    folder = path.resolve().parent
    if not folder.is_dir():
        raise NetspecError(f"'{path}' can't be written", None, f"folder '{folder}' does not exist")
    with tempfile.TemporaryDirectory(prefix=".netspec-", dir=folder) as trial:
        file = Path(trial) / path.name
        weights = file.with_suffix(".safetensors")
        file.write_text(text, encoding="utf-8")
        save_weights(module, weights)
        own = [*inputs.values()]
        check(run_standalone(file, text, own, module.output_names, module.training))
        # the weights first: a file that is there can load them
        os.replace(weights, folder / weights.name)
        os.replace(file, folder / file.name)


def run_standalone(
    file: Path, text: str, inputs: list[Tensor], names: list[str], training: bool
) -> dict[str, Tensor]:
    """What the net of a file gives with the weights beside it.

    Args: text: the file's, which is run. names: of its outputs.
    """
    made = ModuleType(_NAME)
    made.__file__ = str(file)
    sys.modules[_NAME] = made  # where dataclasses look for their module
    try:
        exec(compile(text, str(file), "exec"), vars(made))  # noqa: S102 - it is our own text
        net = made.load().train(training)
        torch.manual_seed(SEED)
        with torch.no_grad():
            outputs = net(*inputs)
    finally:
        del sys.modules[_NAME]
    if isinstance(outputs, Tensor):
        outputs = dict(zip(names, [outputs], strict=False))
    return {name: outputs[name] for name in names}
