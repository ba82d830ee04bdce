"""Snapshots: the weights and the state of a run, in Caffe's files and names. Source: Caffe's Solver::Snapshot, Restore."""

from __future__ import annotations

from pathlib import Path

import torch

from netspec.diagnostics import NetspecError
from netspec.graph import shape_text
from netspec.pytorch.module import NetModule
from netspec.pytorch.updates import Updater
from netspec.pytorch.weights import load_weights, same_shape, save_weights
from netspec.solver import current_step
from netspec.weights.solverstate import SolverSnapshot, read_solverstate, write_solverstate


def write_snapshot(prefix: str, iteration: int, module: NetModule, updater: Updater, hdf5: bool) -> Path:
    """Writes PREFIX_iter_N.caffemodel, then PREFIX_iter_N.solverstate (each with .h5 where `hdf5`); returns the state's path.

    The state is written last: where it is there, so are its weights. Each appears whole or not at all.
    """
    suffix = ".h5" if hdf5 else ""
    weights = f"{prefix}_iter_{iteration}.caffemodel{suffix}"
    state = f"{prefix}_iter_{iteration}.solverstate{suffix}"
    save_weights(module, weights)
    history = [tensor.to("cpu", torch.float32).numpy() for tensor in updater.history]
    write_solverstate(state, SolverSnapshot(iteration, weights, history, current_step(updater.p, iteration - 1)))
    return Path(state)


def read_snapshot(path: str | Path, module: NetModule, updater: Updater) -> int:
    """Restores weights and history from a solverstate; returns its iteration.

    The weights are looked for under the path that the state names, from the working directory, then beside the state.

    Raises: NetspecError where a file is missing or damaged, or belongs to another net or solver.
    """
    state = read_solverstate(path)
    if len(state.history) != len(updater.history):
        hint = f"a {updater.p.type} solver of this net keeps {len(updater.history)}"
        raise NetspecError(f"'{path}' is the state of another solver or net: it has {len(state.history)} history blobs", None, hint)
    for i, (array, tensor) in enumerate(zip(state.history, updater.history, strict=True)):
        if not same_shape(tuple(tensor.shape), array.shape):
            message = f"'{path}' is the state of another net: history blob {i} is {shape_text(array.shape)}, here {shape_text(tuple(tensor.shape))}"
            raise NetspecError(message)
    if state.learned_net:
        beside = Path(path).parent / Path(state.learned_net).name
        load_weights(module, state.learned_net if Path(state.learned_net).exists() else beside).raise_mismatches()
    for array, tensor in zip(state.history, updater.history, strict=True):
        tensor.copy_(torch.from_numpy(array).reshape(tensor.shape))
    return state.iter
