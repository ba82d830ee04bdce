"""States that LSTM and RNN layers carry over from batch to batch.

A run that goes on has them, bit for bit.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.pytorch.train import Solver
from tests.pytorch.real_runs import assert_same_bits, changed, train

STEPS, STREAMS = 4, 2
NET = """
name: "Carrying"
layer {{ name: "data" type: "HDF5Data" top: "x" top: "cont" top: "target" \
hdf5_data_param {{ source: "{folder}/list.txt" batch_size: 4 }} }}
layer {{ name: "lstm" type: "LSTM" bottom: "x" bottom: "cont" top: "h" \
recurrent_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "rnn" type: "RNN" bottom: "h" bottom: "cont" top: "y" \
recurrent_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "target" top: "loss" }}
"""
SOLVER = """
net: "{folder}/net.prototxt" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" \
max_iter: 8 display: 1 random_seed: 5 solver_mode: CPU
test_iter: 3 test_interval: 4 snapshot: 4 snapshot_prefix: "{folder}/snap"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run on 44 timesteps of two streams that never begin anew."""
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["target"] = (
            rng.random((44, STREAMS, 3), np.float32),
            rng.random((44, STREAMS, 2), np.float32),
        )
        file["cont"] = np.ones((44, STREAMS), np.float32)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/data.h5\n")
    (tmp_path / "net.prototxt").write_text(NET.format(folder=tmp_path))
    (tmp_path / "solver.prototxt").write_text(SOLVER.format(folder=tmp_path))
    return tmp_path


def run(folder: Path, name: str, *options: str, status: int = 0) -> None:
    log = ("--log", str(folder / f"{name}.jsonl"))
    assert (
        main(
            [
                "train",
                str(folder / "solver.prototxt"),
                "--snapshot-prefix",
                str(folder / name),
                *log,
                *options,
            ]
        )
        == status
    )


def numbers(folder: Path, name: str) -> list[tuple]:
    """Losses and tests of a run; of what was done twice the later."""
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    found = {
        (row["event"], row["iter"]): row.get("loss") or row["outputs"]
        for row in rows
        if row["event"] in ("train", "test")
    }
    return sorted(found.items())


def companion(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.solverstate.json").read_text())


@pytest.mark.parametrize("cut", ["4", "6"], ids=["where a test comes", "between two tests"])
def test_a_run_goes_on_bit_for_bit(folder: Path, cut: str) -> None:
    run(folder, "all")
    run(folder, "cut", "--max-iter", cut)
    run(folder, "cut", "--resume")
    assert numbers(folder, "cut") == numbers(folder, "all"), "the test nets' states too"
    assert_same_bits(folder, "cut", "all", 8)
    assert companion(folder, "cut_iter_8")["carried"] == companion(folder, "all_iter_8")["carried"]


def test_the_snapshot_of_the_best_test_has_the_states_before_it(folder: Path) -> None:
    for name in ("all", "cut"):
        run(folder, name, "--keep-best", "loss:max", "--max-iter", "8" if name == "all" else "4")
    assert companion(folder, "cut_iter_4")["best"]["iter"] == 4
    run(folder, "cut", "--keep-best", "loss:max", "--resume")
    assert numbers(folder, "cut") == numbers(folder, "all")


def test_the_states_are_not_zero_and_matter(folder: Path) -> None:
    run(folder, "all")
    run(folder, "cut", "--max-iter", "4")
    known = companion(folder, "cut_iter_4")
    (states,) = known["carried"]
    names = [
        f"{net}/{state}"
        for net in ("train", "test 0")
        for state in ("lstm.hidden", "lstm.cell", "rnn.hidden")
    ]
    assert sorted(states) == sorted(names)
    assert states["train/lstm.cell"]["shape"] == [STREAMS, 3]
    known["carried"], known["carried_digest"] = [], ""
    (folder / "cut_iter_4.solverstate.json").write_text(json.dumps(known))
    run(folder, "cut", "--resume")
    assert numbers(folder, "cut") != numbers(folder, "all")


def test_a_snapshot_without_states_is_reported(folder: Path, capsys: pytest.CaptureFixture) -> None:
    run(folder, "cut", "--max-iter", "4")
    (folder / "cut_iter_4.solverstate.json").unlink()
    capsys.readouterr()
    run(folder, "cut", "--resume")
    assert (
        "warning: the states that LSTM and RNN layers carry over begin at 0: "
        "the snapshot does not hold them"
    ) in capsys.readouterr().err


def test_a_changed_bit_of_the_states_is_found(folder: Path, capsys: pytest.CaptureFixture) -> None:
    run(folder, "cut", "--max-iter", "4")
    path = folder / "cut_iter_4.solverstate.json"
    known = companion(folder, "cut_iter_4")
    values = known["carried"][0]["train/lstm.cell"]["float32"]
    path.write_text(
        path.read_text().replace(values, ("A" if values[0] != "A" else "B") + values[1:])
    )
    run(folder, "cut", "--resume", status=1)
    assert "cut_iter_4.solverstate.json' is damaged" in capsys.readouterr().err


def test_a_solver_that_is_restored_forgets_its_own_states(folder: Path) -> None:
    solver = Solver(folder / "solver.prototxt")
    solver.step(4)
    state = solver.snapshot()
    held = {name: value.clone() for name, value in solver.carried.held().items()}
    solver.step(3)
    solver.restore(state)
    assert all(
        torch.equal(value, held[name])
        for name, value in solver.carried.held().items()
        if name.startswith("train")
    )
    solver.close()


def test_states_of_another_width_are_refused(folder: Path) -> None:
    solver = Solver(folder / "solver.prototxt")
    solver.step(1)
    packed = json.loads(
        json.dumps({"train/lstm.cell": {"shape": [2, 1], "float32": "AAAAAAAAAAA="}})
    )
    with pytest.raises(
        NetspecError, match=r"'x' is the state of another net: 'train/lstm.cell' is 2×1, here 2×3"
    ):
        solver.carried.take_up(packed, "x")
    solver.close()


def test_a_test_that_is_broken_off_begins_anew(folder: Path) -> None:
    solver = Solver(folder / "solver.prototxt")
    before = solver.carried.held()
    solver.requests.ask("stop")
    assert solver.test() == []
    assert solver.tester.batches == [0]
    assert all(torch.equal(value, before[name]) for name, value in solver.carried.held().items())
    solver.close()


@pytest.mark.slow
def test_each_process_has_its_own(folder: Path, capsys: pytest.CaptureFixture) -> None:
    changed(folder, test_interval="2")  # a test must leave each process its own states
    for name, *options in [("all",), ("cut", "--max-iter", "6"), ("cut", "--resume")]:
        train(
            folder,
            "--nproc",
            "2",
            "--snapshot-prefix",
            str(folder / name),
            "--log",
            str(folder / f"{name}.jsonl"),
            *options,
        )
    assert numbers(folder, "cut") == numbers(folder, "all")
    assert_same_bits(folder, "cut", "all", 8)
    first, second = companion(folder, "all_iter_8")["carried"]
    assert first != second
    assert companion(folder, "cut_iter_8")["carried"] == [first, second]
    assert {name: state for name, state in first.items() if "test" in name} == {
        name: state for name, state in second.items() if "test" in name
    }
    run(folder, "one", "--snapshot", str(folder / "all_iter_4.solverstate"))
    assert (
        "carry over begin at 0: the run before had another number of processes, 2"
        in capsys.readouterr().err
    )
