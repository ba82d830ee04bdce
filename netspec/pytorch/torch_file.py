"""Files that torch.save wrote: the tensors of a state_dict. Nothing but tensors is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from netspec.diagnostics import NetspecError
from netspec.files.file_kind import HOW_TO_COPY
from netspec.read_file import require_regular, require_size, unreadable
from netspec.weights.read_bytes import LARGEST, wrong_kind

# under which training programs keep the state_dict beside their epoch and optimizer
_INNER = ("state_dict", "model_state_dict", "model", "net", "module", "weights")
_PARALLEL = "module."  # what DataParallel puts before each key


def read_torch_file(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a state_dict, or of a checkpoint that holds one, in single precision.

    Raises: NetspecError where the file can't be read, or holds anything else.
    """
    try:
        require_regular(path)
        require_size(os.path.getsize(path), LARGEST, "a weight file")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise NetspecError(
            f"'{path}' holds more than tensors, or is damaged",
            hint="save the state_dict alone: torch.save(module.state_dict(), path)",
        ) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    # torch reports a damaged file by any of these, by where the damage is met
    except (
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        ImportError,
        MemoryError,
        OverflowError,
        AssertionError,
        BadZipFile,
    ):
        kind = wrong_kind(path)
        raise NetspecError(
            f"'{path}' is not a file of torch.save, or is damaged",
            hint=HOW_TO_COPY if kind is None or "PyTorch" in kind else kind,
        ) from None
    tensors = _state_dict(path, content)
    if tensors and all(key.startswith(_PARALLEL) for key in tensors):
        tensors = {key.removeprefix(_PARALLEL): value for key, value in tensors.items()}
    return {key: _array(path, key, value) for key, value in tensors.items()}


def _state_dict(path: str | Path, content: Any) -> dict[str, torch.Tensor]:
    for inner in (None, *_INNER):
        found = content
        if inner is not None:
            found = content.get(inner) if isinstance(content, Mapping) else None
        if isinstance(found, Mapping) and found:
            tensors = {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}
            if len(tensors) == len(found) and all(isinstance(key, str) for key in tensors):
                return tensors
    what = (
        f"a dict with the keys {', '.join(map(str, list(content)[:8]))}"
        if isinstance(content, Mapping)
        else f"a {type(content).__name__}"
    )
    raise NetspecError(
        f"'{path}' holds {what}; expected a state_dict",
        hint="torch.save(module.state_dict(), path) writes one",
    )


def _array(path: str | Path, key: str, tensor: torch.Tensor) -> np.ndarray:
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise NetspecError(f"'{path}': the tensor '{key}' holds no numbers")
    try:
        dense = tensor.detach().float().contiguous()
        # tensors that share memory, such as views of one, become arrays of their own
        return np.array(dense.numpy(), copy=dense.untyped_storage().nbytes() > dense.nbytes)
    except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantized
        raise NetspecError(
            f"'{path}': the tensor '{key}' is of a kind that numpy does not have"
        ) from None
