"""solverstate files: where a training run stands, for going on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.files.suffixes import HDF5_SUFFIXES
from netspec.schema.caffe_pb2 import SolverState
from netspec.weights.blob_proto import Buffer, blob_array, wire_blob, wire_field
from netspec.weights.caffemodel import write_parts
from netspec.weights.read_bytes import read_message, wrong_kind


@dataclass(slots=True)
class SolverSnapshot:
    """The state of a solver.

    `history` has an array a learnable param, in the net's order; Adam and AdaDelta append a second
    one each. `learned_net` is the path of the weights as it was written, seen from the working
    directory.
    """

    iter: int
    learned_net: str = ""
    history: list[np.ndarray] = field(default_factory=list)
    current_step: int = 0


def read_solverstate(path: str | Path) -> SolverSnapshot:
    """The state in a .solverstate file, or in one of the HDF5 form that ends in .h5.

    Raises: NetspecError where the file is none, is cut short, or a blob's shape does not fit its
        values.
    """
    if str(path).endswith(HDF5_SUFFIXES):
        from netspec.weights.hdf5 import read_solverstate_hdf5  # h5py takes 0.3 s to import

        return SolverSnapshot(*read_solverstate_hdf5(path))
    state = read_message(path, SolverState(), "solverstate")
    if not state.HasField("iter"):
        raise NetspecError(
            f"'{path}' is not a solverstate: it does not say at which iteration the solver was",
            hint=wrong_kind(path),
        )
    history = [
        blob_array(blob, f"'{path}': history blob {i}") for i, blob in enumerate(state.history)
    ]
    learned_net = state.learned_net
    if isinstance(learned_net, bytes):  # what protobuf hands out where a text is no UTF-8
        learned_net = learned_net.decode(errors="surrogateescape")
    return SolverSnapshot(state.iter, learned_net, history, state.current_step)


def write_solverstate(path: str | Path, state: SolverSnapshot) -> None:
    """Writes what Caffe itself reads, in the form that the suffix names.

    Raises: NetspecError where the file can't be written or would pass protobuf's 2 GiB.
    """
    if str(path).endswith(HDF5_SUFFIXES):
        from netspec.weights.hdf5 import write_solverstate_hdf5

        write_solverstate_hdf5(
            path, state.iter, state.learned_net, state.history, state.current_step
        )
        return
    # the path by its bytes, which need not be UTF-8: protobuf's Python objects refuse such, the
    # format does not
    learned_net: list[Buffer] = [state.learned_net.encode(errors="surrogateescape")]
    parts: list[Buffer] = [SolverState(iter=state.iter).SerializeToString()]
    parts += wire_field(SolverState.LEARNED_NET_FIELD_NUMBER, learned_net)
    for array in state.history:
        parts += wire_field(SolverState.HISTORY_FIELD_NUMBER, wire_blob(array))
    parts.append(SolverState(current_step=state.current_step).SerializeToString())
    write_parts(path, parts)
