"""solverstate files, binary and HDF5."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.schema.caffe_pb2 import SolverState
from netspec.weights.solverstate import SolverSnapshot, read_solverstate, write_solverstate

SOLVERS = Path(__file__).parents[1] / "reference" / "solvers"
PARAMS = [(4, 2, 3, 3), (4,), (6, 36), (6,), (5, 6), (5,)]


@pytest.mark.parametrize(
    ("case", "arrays_a_param"), [("adam", 2), ("adadelta", 2), ("sgd_fixed", 1)]
)
def test_reads_and_writes_what_caffe_wrote_byte_for_byte(tmp_path, case, arrays_a_param):
    path = SOLVERS / case / "snap_iter_9.solverstate"
    state = read_solverstate(path)
    assert (state.iter, state.learned_net, state.current_step) == (9, "snap_iter_9.caffemodel", 0)
    assert [a.shape for a in state.history] == PARAMS * arrays_a_param
    write_solverstate(tmp_path / "again.solverstate", state)
    assert (tmp_path / "again.solverstate").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_round_trip(tmp_path, suffix):
    state = SolverSnapshot(
        7, "a/b_iter_7.caffemodel", [np.arange(6, dtype=np.float32).reshape(2, 3), np.float32(1)], 2
    )
    path = tmp_path / f"s.solverstate{suffix}"
    write_solverstate(path, state)
    read = read_solverstate(path)
    assert (read.iter, read.learned_net, read.current_step) == (7, "a/b_iter_7.caffemodel", 2)
    for ours, theirs in zip(read.history, state.history, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.shape == np.shape(theirs)


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_a_path_that_is_no_utf8_survives(tmp_path, suffix):
    path = tmp_path / f"s.solverstate{suffix}"
    write_solverstate(path, SolverSnapshot(1, "gr\udcfc\udcdfe.caffemodel"))
    assert read_solverstate(path).learned_net == "gr\udcfc\udcdfe.caffemodel"


def test_what_protobuf_reads_is_the_same(tmp_path):
    write_solverstate(tmp_path / "s", SolverSnapshot(3, "x", [np.ones((2, 2), np.float32)], 1))
    state = SolverState.FromString((tmp_path / "s").read_bytes())
    assert (
        state.iter,
        state.learned_net,
        state.current_step,
        list(state.history[0].shape.dim),
    ) == (3, "x", 1, [2, 2])


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_a_file_that_is_cut_anywhere_is_read_or_reported(tmp_path, suffix):
    path = tmp_path / f"s.solverstate{suffix}"
    write_solverstate(path, read_solverstate(SOLVERS / "adam" / "snap_iter_9.solverstate"))
    whole = path.read_bytes()
    for end in range(0, len(whole), 5 if not suffix else 97):
        path.write_bytes(whole[:end])
        with contextlib.suppress(NetspecError):
            read_solverstate(path)


def test_a_caffemodel_is_no_solverstate(tmp_path):
    with pytest.raises(NetspecError, match="solverstate"):
        read_solverstate(SOLVERS / "adam" / "init.caffemodel")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(NetspecError, match="does not say at which iteration"):
        read_solverstate(tmp_path / "empty")
