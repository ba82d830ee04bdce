"""The values of blobs that a file of another program computes, for `netspec.verify`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from netspec.diagnostics import NetspecError
from netspec.files.suffixes import ARRAY_SUFFIXES
from netspec.graph import Net
from netspec.pytorch.module import NetModule

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Other:
    """The other side: a file, the net that it is compared with, and that one's inputs."""

    path: str | Path
    net: Net
    module: NetModule
    inputs: Arrays


def _onnx_values(other: Other) -> Arrays:
    from netspec.exporters.run_onnx import onnx_values

    net = other.net
    names = {net.value_name(blob) for layer in net.layers for blob in layer.top_blobs}
    return onnx_values(other.path, other.inputs, names)


def _pt2_values(other: Other) -> Arrays:
    """The outputs of a program of torch.export, by the names that it gives them."""
    from netspec.read_file import require_regular

    try:
        require_regular(other.path)
        with _without_log("torch.export"):  # it logs the traceback of what is raised
            program = torch.export.load(str(other.path))
        taken = list(program.graph_signature.user_inputs)
        arguments = dict(zip(other.module.about.arguments, other.module.input_names, strict=True))
        names = [arguments.get(str(name), "") for name in taken]
        if not all(names):
            raise NetspecError(
                f"'{other.path}' takes {', '.join(map(repr, taken))}, "
                f"the net {', '.join(map(repr, other.module.input_names))}"
            )
        with torch.no_grad():
            outputs = program.module()(*(torch.from_numpy(other.inputs[name]) for name in names))
    except NetspecError:
        raise
    except Exception as error:  # what torch can't read has many kinds of exceptions
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NetspecError(f"torch.export can't run '{other.path}': {reason}") from None
    if not isinstance(outputs, dict):
        raise NetspecError(
            f"'{other.path}' gives a {type(outputs).__name__}, expected a dict of blobs by name"
        )
    return {
        str(name): value.detach().float().numpy()
        for name, value in outputs.items()
        if isinstance(value, torch.Tensor)
    }


@contextmanager
def _without_log(name: str) -> Iterator[None]:
    log = logging.getLogger(name)
    was_disabled, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = was_disabled


def _python_values(other: Other) -> Arrays:
    """The outputs of a file that `netspec export` wrote; its code is run."""
    from netspec.pytorch.standalone.export_module import run_standalone
    from netspec.read_file import MIB, read_file

    module, path = other.module, Path(other.path)
    text = read_file(str(path), 64 * MIB, "a Python file").decode(errors="replace")
    inputs = [torch.from_numpy(other.inputs[name]) for name in module.input_names]
    try:
        found = run_standalone(path, text, inputs, module.output_names, module.training)
    except Exception as error:  # whatever the file's code raises
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NetspecError(f"'{path}' can't be run: {reason}") from None
    return {name: value.detach().float().numpy() for name, value in found.items()}


# What runs a file that is no net, by its suffix: it gives the values of blobs by name.
LOADERS: dict[str, Callable[[Other], Arrays]] = {
    ".onnx": _onnx_values,
    ".pt2": _pt2_values,
    ".py": _python_values,
}
# Suffixes of what is no net.
FILE_SUFFIXES = (*LOADERS, *ARRAY_SUFFIXES)
