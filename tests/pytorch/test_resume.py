"""What a run keeps.

It goes on bit for bit after any end, and no end costs it the snapshots that stand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.listener import Listener
from netspec.solver.run_options import Overrides
from netspec.weights.files import read_weights
from netspec.weights.retention import Retention
from netspec.weights.snapshot_files import newest_snapshot
from netspec.weights.solverstate import read_solverstate

# Starts the run again and again and kills it at a random moment of its life; only the interpreter's
# start is shared.
KILLER = """
import os, random, signal, sys, time
from netspec.cli import main
import netspec.pytorch.train, netspec.cli.train, netspec.cli.progress, netspec.readers.database
random.seed(int(sys.argv[3]))
for life in range(int(sys.argv[2])):
    open(f"life_{life}.txt", "w").close()
    child = os.fork()
    if child == 0:
        sys.stdout = sys.stderr = open(f"life_{life}.txt", "w")
        options = ["--resume", "--keep-last", "2", "--max-iter", "1000000", "--display", "1"]
        os._exit(main(["train", sys.argv[1], *options]))
    # however busy the machine is, one life gets somewhere
    while life == 0 and "snapshot" not in open("life_0.txt").read():
        time.sleep(0.01)
    time.sleep(random.uniform(0.05, 0.5))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), open(f"life_{life}.txt").read()
"""


def shuffled_run(folder: Path, prefix: str) -> Path:
    """A solver whose run draws at every turn.

    Shuffled images, crops, flips, dropout, a rate that falls, momentum.
    """
    from PIL import Image

    if not (folder / "list.txt").exists():
        rng = np.random.default_rng(1)
        for i in range(11):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{i}.png")
        (folder / "list.txt").write_text("".join(f"{folder}/{i}.png {i % 3}\n" for i in range(11)))
    net = (folder / "net.prototxt").read_text()
    data = (
        f'image_data_param {{ source: "{folder}/list.txt" batch_size: 4 shuffle: true '
        "is_color: false }"
    )
    start = net.index("data_param")
    net = net[:start].replace('"Data"', '"ImageData"') + data + net[net.index("}", start) + 1 :]
    (folder / "shuffled.prototxt").write_text(net)
    solver = (
        (folder / "solver.prototxt")
        .read_text()
        .replace("net.prototxt", "shuffled.prototxt")
        .replace("snapshot: 6", "snapshot: 3")
    )
    # the drawn seed must be kept as well
    solver = solver.replace(f'"{folder}/snap"', f'"{folder}/{prefix}"').replace(
        "random_seed: 5", ""
    )
    path = folder / f"{prefix}_solver.prototxt"
    path.write_text(solver.replace("base_lr: 0.05", "base_lr: 0.005"))
    return path


def same_weights(one: Path, two: Path) -> bool:
    a, b = read_weights(one), read_weights(two)
    return a.keys() == b.keys() and all(
        np.array_equal(x, y) for name in a for x, y in zip(a[name], b[name], strict=True)
    )


def killed_at_random(folder: Path, lives: int, seed: int) -> tuple[int, int]:
    """Kills a run so often.

    Returns the iterations it had reached half-way through its lives and in the end.
    """
    solver = shuffled_run(folder, "killed")
    # the first snapshot gives the run its seed: the run that is not interrupted gets the same one
    assert main(["train", str(solver), "--max-iter", "3"]) == 0
    shutil.copy(folder / "killed_iter_3.solverstate", folder / "start.solverstate")
    shutil.copy(folder / "killed_iter_3.solverstate.json", folder / "start.solverstate.json")
    shutil.copy(folder / "killed_iter_3.caffemodel", folder / "start.caffemodel")
    reached = []
    for part in range(2):
        command = [sys.executable, "-c", KILLER, str(solver), str(lives // 2), str(seed + part)]
        subprocess.run(
            command, cwd=folder, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=120
        )
        state, faults = newest_snapshot(str(folder / "killed"))
        assert state is not None
        assert faults == {}, "a killed run leaves no snapshot that is not whole"
        assert len(list(folder.glob("killed_iter_*.solverstate"))) <= 3, (
            "--keep-last 2, and one that was about to go"
        )
        reached.append(read_solverstate(state).iter)
    return reached[0], reached[1]


def test_a_run_that_is_killed_at_twenty_random_moments_ends_with_the_same_bits(
    run_folder: Path,
) -> None:
    half, reached = killed_at_random(run_folder, lives=20, seed=2)
    assert 3 < half < reached
    last = str(reached + 10)
    killed = shuffled_run(run_folder, "killed")
    whole = shuffled_run(run_folder, "whole")
    for solver, start in (
        (killed, ["--resume"]),
        (whole, ["--snapshot", str(run_folder / "start.solverstate")]),
    ):
        command = [
            sys.executable,
            "-m",
            "netspec",
            "train",
            str(solver),
            "--max-iter",
            last,
            *start,
        ]
        subprocess.run(
            command,
            cwd=run_folder,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            timeout=300,
        )
    assert same_weights(
        run_folder / f"killed_iter_{last}.caffemodel", run_folder / f"whole_iter_{last}.caffemodel"
    )
    states = [
        read_solverstate(run_folder / f"{name}_iter_{last}.solverstate")
        for name in ("killed", "whole")
    ]
    assert all(
        np.array_equal(a, b) for a, b in zip(states[0].history, states[1].history, strict=True)
    )
    assert not list(run_folder.glob("*.writing")), (
        "what killed runs had half written is cleared away"
    )


def test_the_drawn_seed_and_the_places_in_the_data_stand_beside_the_state(run_folder: Path) -> None:
    solver = netspec.Solver(shuffled_run(run_folder, "a"), Overrides(max_iter=6))
    solver.solve()
    solver.close()
    known = json.loads((run_folder / "a_iter_6.solverstate.json").read_text())
    assert (known["iter"], known["seed"], known["train_batches"], known["records_a_batch"]) == (
        6,
        solver.seed,
        6,
        4,
    )
    assert known["test_batches"] == [2], (
        "the test at iteration 0; that at 6 comes after the snapshot"
    )
    assert len(known["losses"]) == 2, "average_loss"
    resumed = netspec.Solver(shuffled_run(run_folder, "a"))
    assert resumed.seed != solver.seed
    resumed.restore(run_folder / "a_iter_6.solverstate")
    assert (resumed.seed, resumed.train_batches, resumed.tester.batches) == (solver.seed, 6, [2])
    resumed.close()


def test_another_batch_size_goes_on_at_the_same_record(run_folder: Path) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt", Overrides(batch_size=2))
    solver.step(6)
    state = solver.snapshot()
    solver.close()
    other = netspec.Solver(run_folder / "solver.prototxt", Overrides(batch_size=3))
    other.restore(state)
    assert other.train_batches == 4, "12 records were read"
    other.close()


def test_an_originals_state_goes_on_with_the_batch_of_its_iteration(run_folder: Path) -> None:
    text = (run_folder / "solver.prototxt").read_text()
    (run_folder / "solver.prototxt").write_text(text + " iter_size: 2 ")
    solver = netspec.Solver(run_folder / "solver.prototxt")
    solver.solve()
    solver.close()
    (run_folder / "snap_iter_6.solverstate.json").unlink()
    resumed = netspec.Solver(run_folder / "solver.prototxt")
    resumed.restore(run_folder / "snap_iter_6.solverstate")
    assert (resumed.train_batches, resumed.tester.batches) == (12, [2])
    resumed.solve()
    resumed.close()
    for name, blobs in solver.module.params.items():
        assert all(
            torch.equal(a, b) for a, b in zip(blobs, resumed.module.params[name], strict=True)
        ), name


def test_resume_takes_the_newest_that_is_whole_and_reports_what_is_not(
    run_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    solver = str(run_folder / "solver.prototxt")
    assert main(["train", solver, "--resume", "--max-iter", "6"]) == 0
    assert "there is no snapshot" in capsys.readouterr().out
    assert main(["train", solver, "--resume"]) == 0
    assert "resuming at iteration 6 from " in capsys.readouterr().out
    weights = run_folder / "snap_iter_12.caffemodel"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert main(["train", solver, "--resume", "--max-iter", "13"]) == 0
    printed = capsys.readouterr()
    assert "snap_iter_12.solverstate' is passed over: its weights" in printed.err
    assert "resuming at iteration 6 from " in printed.out
    for state in run_folder.glob("snap_iter_*.solverstate"):
        state.write_bytes(b"")
    assert main(["train", solver, "--resume"]) == 1
    assert "none of the 3 snapshots" in capsys.readouterr().err


def test_the_newest_is_what_was_written_last_not_the_highest_iteration(run_folder: Path) -> None:
    for last in (12, 7):  # the second run begins anew in the same folder
        solver = netspec.Solver(run_folder / "solver.prototxt", Overrides(max_iter=last))
        solver.solve()
        solver.close()
    assert newest_snapshot(str(run_folder / "snap"))[0] == run_folder / "snap_iter_7.solverstate"


def test_a_folder_that_cant_be_read_is_no_folder_without_snapshots(tmp_path: Path) -> None:
    assert newest_snapshot(str(tmp_path / "none" / "snap")) == (None, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(
        NetspecError, match=r"the folder '.*file' of the snapshots can't be read: Not a directory"
    ):
        newest_snapshot(str(tmp_path / "file" / "snap"))


def test_a_snapshot_that_cant_be_deleted_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retention, states = (
        Retention(keep_last=1),
        [tmp_path / f"x_iter_{i}.solverstate" for i in (1, 2)],
    )
    for state in states:
        state.write_text("")
        state.with_suffix(".caffemodel").write_text("")
        retention.add(state)
    with monkeypatch.context() as patch:
        patch.setattr(
            Path,
            "unlink",
            lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")),
        )
        assert retention.prune() == []
    assert states[0].with_suffix(".caffemodel").exists()
    assert retention.prune() == [states[0]]
    assert sorted(tmp_path.iterdir()) == [states[1].with_suffix(".caffemodel"), states[1]]


def test_weights_of_another_run_under_the_same_name_are_refused(run_folder: Path) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt")
    solver.step(2)
    state = solver.snapshot()
    solver.step(1)
    netspec.save_weights(solver.module, run_folder / "snap_iter_2.caffemodel")
    with pytest.raises(NetspecError, match="is not what was written together with"):
        solver.restore(state)
    solver.close()


KNOWN = '{"iter": 6, "seed": 1, "train_batches": 6, "records_a_batch": 4'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"iter": "six"}',
        KNOWN.replace('"train_batches": 6', '"train_batches": -1') + "}",
        KNOWN + ', "best": {"metric": "loss", "value": "low", "iter": 6, "state": "a"}}',
    ],
)
def test_a_damaged_companion_is_reported(run_folder: Path, content: str) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt")
    solver.step(6)
    solver.close()
    (run_folder / "snap_iter_6.solverstate.json").write_text(content)
    with pytest.raises(NetspecError, match=r"snap_iter_6\.solverstate\.json' is damaged"):
        solver.restore(run_folder / "snap_iter_6.solverstate")


def snapshots(folder: Path) -> list[int]:
    return sorted(
        int(path.stem.rsplit("_", 1)[1]) for path in folder.glob("snap_iter_*.solverstate")
    )


def test_keep_last_and_keep_best(run_folder: Path, capsys: pytest.CaptureFixture) -> None:
    text = (
        (run_folder / "solver.prototxt")
        .read_text()
        .replace("snapshot: 6", "snapshot: 2")
        .replace("test_interval: 6", "test_interval: 3")
    )
    (run_folder / "solver.prototxt").write_text(text)
    options = ["train", str(run_folder / "solver.prototxt"), "--keep-last", "2"]
    assert main([*options, "--max-iter", "9", "--keep-best", "loss"]) == 0
    out = capsys.readouterr().out
    best = [line for line in out.splitlines() if line.startswith("best loss so far")]
    tested = {
        line.split()[4]: float(line.split()[-1])
        for line in out.splitlines()
        if line.startswith("test 0 at") and line.split()[4] != "0"
    }
    lowest = int(min(tested, key=lambda iteration: tested[iteration]))
    assert f"at iteration {lowest};" in best[-1]
    assert snapshots(run_folder) == sorted({8, 9, lowest})
    assert main([*options, "--max-iter", "11", "--keep-best", "loss", "--resume"]) == 0
    assert snapshots(run_folder) == sorted({10, 11, lowest}), (
        "a resumed run knows the best one, and deletes what the run before has left"
    )
    assert all((run_folder / f"snap_iter_{n}.caffemodel").exists() for n in snapshots(run_folder))
    assert len(list(run_folder.glob("snap_iter_*"))) == 3 * len(snapshots(run_folder))
    assert main([*options, "--keep-best", "acuracy"]) == 1
    assert (
        "--keep-best 'acuracy' is not an output of a test net\n"
        "  hint: its test nets give 'accuracy', 'loss'"
    ) in capsys.readouterr().err


def test_a_resumed_run_tests_the_same_records(run_folder: Path) -> None:
    """The best snapshot is taken after its test.

    A run that is resumed there begins with that test.
    """

    class Heard(Listener):
        def __init__(self) -> None:
            self.means: list[tuple[int, dict]] = []

        def tested(self, iteration: int, index: int, means: dict, loss: float | None) -> None:
            self.means.append((iteration, means))

    text = (
        (run_folder / "solver.prototxt")
        .read_text()
        .replace("test_interval: 6", "test_interval: 3")
        .replace("snapshot: 6", "snapshot: 100")
    )
    (run_folder / "solver.prototxt").write_text(text)
    heard, after = Heard(), Heard()
    whole = netspec.Solver(
        run_folder / "solver.prototxt", listener=heard, retention=Retention(keep_best="loss")
    )
    whole.solve()
    best = whole.snapshots.retention.best
    assert best is not None
    resumed = netspec.Solver(
        run_folder / "solver.prototxt", listener=after, retention=Retention(keep_best="loss")
    )
    resumed.restore(run_folder / best.state)
    resumed.solve()
    assert after.means == [mean for mean in heard.means if mean[0] >= best.iter]
    whole.close()
    resumed.close()


def test_nothing_is_deleted_where_the_newest_is_gone(tmp_path: Path) -> None:
    retention = Retention(keep_last=1)
    for n in (1, 2):
        (tmp_path / f"a_iter_{n}.solverstate").write_text("")
        (tmp_path / f"a_iter_{n}.caffemodel").write_text("")
        retention.add(tmp_path / f"a_iter_{n}.solverstate")
    (tmp_path / "a_iter_2.caffemodel").unlink()
    assert retention.prune() == []
    assert (tmp_path / "a_iter_1.solverstate").exists()


def test_a_full_disk_leaves_the_last_snapshot_and_ends_with_status_1(run_folder: Path) -> None:
    solver = str(run_folder / "solver.prototxt")
    assert main(["train", solver, "--max-iter", "6"]) == 0
    before = {path.name: path.read_bytes() for path in run_folder.glob("snap_iter_6.*")}
    code = (
        # torch up to 2.8 writes a file when this is imported
        "import resource, sys, torch.distributed.nn; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900)); "
        "from netspec.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "train",
        solver,
        "--resume",
        "--max-iter",
        "13",
        "--keep-last",
        "1",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "warning: no snapshot at iteration 12: '" in done.stderr, (
        "on the way it is a warning: there may be room at the next one"
    )
    assert "snap_iter_13.caffemodel' can't be written: File too large" in done.stderr, (
        "the last one is an error"
    )
    assert {path.name: path.read_bytes() for path in run_folder.glob("snap_iter_*")} == before
    assert not list(run_folder.glob("*.writing"))


def test_an_older_snapshot_of_the_same_name_goes_only_when_the_new_one_is_whole(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt")
    solver.step(2)
    state = solver.snapshot()
    before = {path.name: path.read_bytes() for path in run_folder.glob("snap_iter_2.*")}
    monkeypatch.setattr(
        "netspec.pytorch.snapshot.write_solverstate",
        lambda *_: (_ for _ in ()).throw(NetspecError("the disk is full")),
    )
    with pytest.raises(NetspecError, match="the disk is full"):
        solver.snapshot()
    assert {path.name: path.read_bytes() for path in run_folder.glob("snap_iter_2.*")} == before
    assert newest_snapshot(str(run_folder / "snap")) == (state, {})
    solver.close()
