"""The files of a snapshot as they may be found: damaged, of another run, in use."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.weights.companion import Companion, companion_path, read_companion, write_companion
from netspec.weights.files import write_weights
from netspec.weights.retention import Retention
from netspec.weights.snapshot_files import (
    check_whole,
    file_digest,
    is_snapshot_of,
    newest_snapshot,
    sole_writer,
    weights_path,
)
from netspec.weights.solverstate import SolverSnapshot, write_solverstate


def snapshot(folder: Path, prefix: str = "snap", iteration: int = 6, suffix: str = "") -> Path:
    """The files of a snapshot as a run writes them; returns its state."""
    state = folder / f"{prefix}_iter_{iteration}.solverstate{suffix}"
    write_weights(
        weights_path(state), "net", [("ip", "InnerProduct", [], [], [np.ones((2, 3), np.float32)])]
    )
    write_solverstate(
        state,
        SolverSnapshot(iteration, str(weights_path(state)), [np.full((2, 3), 0.5, np.float32)], 1),
    )
    digests = {
        "weights_digest": file_digest(weights_path(state)),
        "state_digest": file_digest(state),
    }
    write_companion(state, Companion(iteration, 1, iteration, 4, snapshots=[state.name], **digests))
    return state


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_every_flipped_bit_of_a_state_is_noticed(tmp_path: Path, suffix: str) -> None:
    state = snapshot(tmp_path, suffix=suffix)
    whole = state.read_bytes()
    check_whole(state)
    for at in range(0, 8 * len(whole), max(1, 8 * len(whole) // 300) | 1):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        state.write_bytes(flipped)
        with pytest.raises(
            NetspecError,
            match=(
                r"solverstate(\.h5)?' is damaged: it is not what was "
                r"written \(its digest differs\)"
            ),
        ):
            check_whole(state)


def test_a_companion_without_the_states_digest_still_counts(tmp_path: Path) -> None:
    state = snapshot(tmp_path)
    content = json.loads(companion_path(state).read_text())
    del content["state_digest"]
    companion_path(state).write_text(json.dumps(content))
    check_whole(state)
    assert newest_snapshot(str(tmp_path / "snap")) == (state, {})


@pytest.mark.parametrize(
    "name",
    [
        "../b/snap_iter_6.solverstate",
        "{other}",
        "other_iter_6.solverstate",
        "snap_iter_5_iter_6.solverstate",
        "snap_iter_x",
    ],
)
@pytest.mark.parametrize("field", ["snapshots", "best"])
def test_only_the_runs_own_files_are_deleted(tmp_path: Path, name: str, field: str) -> None:
    """A companion may name any file, also one of another folder or run."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    others = [
        snapshot(tmp_path / "b"),
        snapshot(tmp_path / "a", "other"),
        snapshot(tmp_path / "a", "snap_iter_5"),
    ]
    own = [snapshot(tmp_path / "a", iteration=iteration) for iteration in (6, 7, 8)]
    companion = read_companion(own[-1])
    assert companion is not None
    companion.snapshots = [name.format(other=others[0]), *(state.name for state in own)]
    companion.extra = [companion.snapshots[0]]
    if field == "best":
        companion.best = {
            "metric": "loss",
            "value": 1.0,
            "iter": 6,
            "state": companion.snapshots[0],
        }
    retention = Retention(keep_last=1)
    retention.recall(companion, tmp_path / "a", "snap")
    assert retention.prune() == own[:2]
    assert all(
        file.exists()
        for state in others
        for file in (state, weights_path(state), companion_path(state))
    )


def test_names_of_a_runs_snapshots() -> None:
    assert is_snapshot_of("a[1]_iter_5.solverstate.h5", "a[1]")
    assert not any(
        is_snapshot_of(name, "a")
        for name in (
            "x/a_iter_5.solverstate",
            "a_iter_5.solverstate\n",
            f"a_iter_{'1' * 5000}.solverstate",
        )
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 10**400),
        ("seed", -1),
        ("train_batches", 2**63),
        ("test_batches", [-1]),
        ("losses", [10**400]),
        ("snapshots", [5]),
        (
            "best",
            {"metric": "loss", "value": 10**400, "iter": 6, "state": "snap_iter_6.solverstate"},
        ),
        ("written", 10**400),
        ("state_digest", 5),
    ],
)
def test_numbers_that_no_run_has_are_damage(tmp_path: Path, name: str, value: object) -> None:
    state = snapshot(tmp_path)
    content = json.loads(companion_path(state).read_text()) | {name: value}
    companion_path(state).write_text(json.dumps(content))
    with pytest.raises(NetspecError, match=r"json' is damaged: it is not what netspec writes"):
        read_companion(state)


@pytest.mark.parametrize("number", ["9" * 5000, "1e400", "-Infinity"])
def test_numbers_of_any_length_are_damage(tmp_path: Path, number: str) -> None:
    state = snapshot(tmp_path)
    companion_path(state).write_text(
        companion_path(state).read_text().replace('"seed": 1', f'"seed": {number}')
    )
    with pytest.raises(NetspecError, match=r"json' is damaged"):
        read_companion(state)


def test_a_lock_whose_file_vanishes_between_two_looks_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last holder deletes it when it ends, at any moment."""
    path, stat, looks = tmp_path / "snap.lock", Path.stat, []

    def vanishing(self: Path, **how: bool) -> os.stat_result:
        looks.append(self)
        if len(looks) == 1:
            path.unlink()
        return stat(self, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", vanishing)
        lock = sole_writer(str(tmp_path / "snap"))
        lock.__enter__()
    assert path.exists()
    lock.__exit__(None, None, None)
    assert not path.exists()


def raised(action: Callable[[], object]) -> str:
    with pytest.raises(NetspecError) as caught:
        action()
    return str(caught.value)


def test_a_state_of_which_nothing_can_be_read_is_reported(tmp_path: Path) -> None:
    state = snapshot(tmp_path)
    state.unlink()
    assert "snap_iter_6.solverstate' can't be read: No such file" in raised(
        lambda: check_whole(state)
    )
    state.mkdir()
    assert "snap_iter_6.solverstate' can't be read: Is a directory" in raised(
        lambda: check_whole(state)
    )
