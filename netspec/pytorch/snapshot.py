"""Snapshots: the weights and the state of a run, in Caffe's files and names.

Source: Caffe's Solver::Snapshot, Restore.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import torch

from netspec.atomic import fsync_folder
from netspec.diagnostics import NetspecError
from netspec.graph import shape_text
from netspec.layers.blobs import same_shape
from netspec.listener import Listener
from netspec.pytorch.module import NetModule
from netspec.pytorch.not_finite import all_finite
from netspec.pytorch.updates import Updater
from netspec.pytorch.weights import load_weights, save_weights
from netspec.solver.learning_rate import current_step
from netspec.weights.companion import Companion, companion_path, read_companion, write_companion
from netspec.weights.retention import Best, Retention
from netspec.weights.snapshot_files import (
    check_state,
    delete_snapshot,
    file_digest,
    weights_path,
)
from netspec.weights.solverstate import SolverSnapshot, read_solverstate, write_solverstate


class Snapshots:
    """Writes and reads the snapshots of one run, and deletes those that need not stay."""

    def __init__(
        self,
        prefix: str,
        hdf5: bool,
        module: NetModule,
        updater: Updater,
        retention: Retention,
        listener: Listener,
    ) -> None:
        self.prefix, self.hdf5 = prefix, hdf5
        self.module, self.updater, self.retention, self.listener = (
            module,
            updater,
            retention,
            listener,
        )
        # iteration, weights' and state's digest of the snapshot that the run now stands at
        self.last: tuple[int, str, str] | None = None

    def state_path(self, iteration: int) -> Path:
        """PREFIX_iter_N.solverstate, with .h5 in the HDF5 form."""
        return Path(f"{self.prefix}_iter_{iteration}.solverstate{'.h5' if self.hdf5 else ''}")

    def has(self, iteration: int) -> bool:
        """Whether the run has a snapshot of this very iteration."""
        return self.last is not None and self.last[0] == iteration

    def write(self, companion: Companion, extra: bool = False) -> None:
        """Writes a snapshot, then deletes what need not stay.

        Raises: NetspecError where the weights are no longer finite or the files can't be written;
            earlier snapshots stand.
        """
        if not all_finite(self.updater.blobs):
            hint = "a lower base_lr or clip_gradients may help"
            raise NetspecError(
                f"the weights are not finite after iteration {companion.iter}: "
                "they are not saved, earlier snapshots stand",
                None,
                hint,
            )
        state = self.state_path(companion.iter)
        self.retention.remember(companion, state, extra)
        write_snapshot(state, self.module, self.updater, companion)
        self.retention.add(state, extra)
        self.last = companion.iter, companion.weights_digest, companion.state_digest
        self.listener.saved(companion.iter, weights_path(state), state)
        self._prune()

    def write_in_passing(self, companion: Companion) -> None:
        """A snapshot on the way, unless it is there.

        A disk that is full now may have room at the next one, so the run goes on.

        Raises: NetspecError where the weights are no longer finite.
        """
        if self.has(companion.iter):
            return
        try:
            self.write(companion)
        except NetspecError as error:
            if not all_finite(self.updater.blobs):
                raise
            self.listener.warned(
                f"no snapshot at iteration {companion.iter}: {error.diagnostics[0].message}"
            )

    def keep_best(self, companion: Companion, value: float) -> None:
        """Keeps what has just been tested where it is the best so far; an untrained net is not."""
        retention, iteration = self.retention, companion.iter
        if retention.keep_best is None or iteration == 0 or not retention.is_better(value):
            return
        before, state = retention.best, self.state_path(iteration)
        retention.best = Best(retention.keep_best, value, iteration, state.name)
        try:
            if self.last is not None and self.has(iteration):
                _, companion.weights_digest, companion.state_digest = self.last
                retention.remember(companion, state, state.name in retention.extra)
                write_companion(state, companion)
            else:
                self.write(companion, extra=True)
        except NetspecError as error:
            retention.best = before
            self.listener.warned(f"no snapshot of the best test: {error.diagnostics[0].message}")
            return
        self.listener.best(iteration, retention.keep_best, value)
        self._prune()

    def _prune(self) -> None:
        for state in self.retention.prune():
            self.listener.removed(state)

    def read(self, path: str | Path) -> tuple[int, Companion | None]:
        """Takes a run up from a state: see `read_snapshot`."""
        iteration, companion = read_snapshot(path, self.module, self.updater)
        self.last = None
        if companion is not None:
            own = self.state_path(iteration)
            # another folder's are another run's
            if os.path.realpath(Path(path).parent) == os.path.realpath(own.parent):
                self.retention.recall(companion, own.parent, own.name.rpartition("_iter_")[0])
            if os.path.realpath(path) == os.path.realpath(self.state_path(iteration)):
                self.last = iteration, companion.weights_digest, companion.state_digest
        return iteration, companion


def write_snapshot(state: Path, module: NetModule, updater: Updater, companion: Companion) -> None:
    """Writes a snapshot's files: whole, and the state last, so where it is the others are too.

    They are written into a folder of their own, STATE.writing, and moved to their places when all
    are on the disk. What a killed run has left of such folders is cleared away.

    Raises: NetspecError where the disk is full or refuses; what was written is gone then.
    """
    weights = weights_path(state)
    folder = None
    try:
        folder = _writing_folder(state)
        save_weights(module, folder / weights.name, _diffs(module, updater))
        companion.weights_digest = file_digest(folder / weights.name)
        history = [
            tensor.detach().to("cpu", torch.float32).contiguous().numpy()
            for tensor in updater.history
        ]
        write_solverstate(
            folder / state.name,
            SolverSnapshot(
                companion.iter, str(weights), history, current_step(updater.p, companion.iter - 1)
            ),
        )
        companion.state_digest = file_digest(folder / state.name)
        write_companion(folder / state.name, companion)
        # one of the same name: its state must not stand beside these weights
        delete_snapshot(state)
        for path in (weights, companion_path(state), state):
            os.replace(folder / path.name, path)
        fsync_folder(state.parent)
    except OSError as error:
        raise NetspecError(f"'{state}' can't be written: {error.strerror or error}") from None
    except NetspecError as error:  # it names the file by the place where it was being written
        raise NetspecError(
            error.diagnostics[0].message.replace(f"{folder}/", f"{state.parent}/"),
            None,
            error.diagnostics[0].hint,
        ) from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _writing_folder(state: Path) -> Path:
    """A new folder to write a snapshot's files into.

    Those that killed runs have left are cleared away.

    Raises: OSError.
    """
    prefix = state.name.rpartition("_iter_")[0]
    state.parent.mkdir(parents=True, exist_ok=True)
    for left in state.parent.iterdir():
        if left.name.startswith(f"{prefix}_iter_") and left.name.endswith(".writing"):
            shutil.rmtree(left)
    folder = Path(f"{state}.writing")
    folder.mkdir()
    return folder


def _diffs(module: NetModule, updater: Updater) -> list[list[np.ndarray]] | None:
    """With snapshot_diff, what the last update took from each layer's params.

    It is 0 for what no update changes.
    """
    if updater.changes is None:
        return None
    # by their memory: a param that is shared in another shape is a view of its owner's
    changes = {
        blob.untyped_storage().data_ptr(): change
        for blob, change in zip(updater.blobs, updater.changes, strict=True)
    }
    of_layers = [
        [changes[blob.untyped_storage().data_ptr()].reshape(blob.shape) for blob in blobs]
        for blobs in module.layer_params
    ]
    return [
        [change.detach().to("cpu", torch.float32).contiguous().numpy() for change in changes]
        for changes in of_layers
    ]


def read_snapshot(
    path: str | Path, module: NetModule, updater: Updater
) -> tuple[int, Companion | None]:
    """Restores weights and history from a solverstate.

    Returns its iteration and its companion, which the original's states lack.

    The weights are looked for under the path that the state names, from the working directory, then
    beside the state.

    Raises: NetspecError where a file is missing or damaged, or belongs to another net or solver.
    """
    companion = read_companion(path)
    check_state(path, companion)
    state = read_solverstate(path)
    if companion is not None and companion.iter != state.iter:
        message = (
            f"'{companion_path(path)}' is of iteration {companion.iter}, its state of {state.iter}"
        )
        raise NetspecError(
            message,
            None,
            "the two were not written together; take away the one that is not the run's",
        )
    if len(state.history) != len(updater.history):
        hint = f"a {updater.p.type} solver of this net keeps {len(updater.history)}"
        raise NetspecError(
            f"'{path}' is the state of another solver or net, or is cut short: "
            f"it has {len(state.history)} history blobs",
            None,
            hint,
        )
    for i, (array, tensor) in enumerate(zip(state.history, updater.history, strict=True)):
        if not same_shape(tuple(tensor.shape), array.shape):
            message = (
                f"'{path}' is the state of another net: history blob {i} is "
                f"{shape_text(array.shape)}, here {shape_text(tuple(tensor.shape))}"
            )
            raise NetspecError(
                message,
                None,
                "restore it with the net that wrote it, or begin with its weights: --weights",
            )
    if state.learned_net:
        load_weights(module, _weights_of(path, state.learned_net, companion)).raise_mismatches()
    for array, tensor in zip(state.history, updater.history, strict=True):
        tensor.copy_(torch.from_numpy(array).reshape(tensor.shape))
    return state.iter, companion


def _weights_of(path: str | Path, learned_net: str, companion: Companion | None) -> Path:
    """Where the weights of a state are.

    Raises: NetspecError where they are not those that its companion knows.
    """
    named, beside = Path(learned_net), Path(path).parent / Path(learned_net).name
    if companion is None or not companion.weights_digest:
        # not Path.exists, which raises for a name that is too long
        return named if os.path.exists(named) else beside
    weights = next(
        (other for other in (beside, weights_path(path), named) if os.path.exists(other)), beside
    )
    if os.path.isfile(weights) and file_digest(weights) != companion.weights_digest:
        hint = (
            "another run may have written over them; `--weights "
            f"{weights}` begins a new run with them"
        )
        raise NetspecError(
            f"'{weights}' is not what was written together with '{path}'", None, hint
        )
    return weights
