"""Training as a user sees it: snapshots, resume, signals, fine-tuning, overrides."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import netspec
from netspec.listener import Listener
from netspec.solver.run_options import Overrides


class Heard(Listener):
    def __init__(self) -> None:
        self.displays: list[int] = []
        self.tests: list[tuple[int, dict]] = []
        self.snapshots: list[str] = []

    def displayed(self, iteration: int, loss: float, outputs: dict, rate: float) -> None:
        self.displays.append(iteration)

    def tested(self, iteration: int, index: int, means: dict, loss: float | None) -> None:
        self.tests.append((iteration, means))

    def saved(self, iteration: int, weights: Path, state: Path) -> None:
        self.snapshots.append(state.name)


def weights(solver: netspec.Solver) -> dict[str, list[torch.Tensor]]:
    return {
        name: [blob.detach().clone() for blob in blobs]
        for name, blobs in solver.module.params.items()
    }


def assert_equal(one: dict, two: dict) -> None:
    for name, blobs in one.items():
        for a, b in zip(blobs, two[name], strict=True):
            assert torch.equal(a, b), name


def test_a_run_tests_displays_and_snapshots_when_caffe_would(run_folder: Path) -> None:
    heard = Heard()
    solver = netspec.Solver(run_folder / "solver.prototxt", listener=heard)
    solver.solve()
    solver.close()
    assert heard.displays == [0, 4, 8]
    assert [iteration for iteration, _ in heard.tests] == [0, 6, 12]
    assert heard.snapshots == ["snap_iter_6.solverstate", "snap_iter_12.solverstate"]
    assert set(heard.tests[0][1]) == {"accuracy", "loss"}
    assert (run_folder / "snap_iter_12.caffemodel").exists()


def test_resuming_goes_on_bit_for_bit(run_folder: Path) -> None:
    whole = netspec.Solver(run_folder / "solver.prototxt")
    whole.solve()
    resumed = netspec.Solver(run_folder / "solver.prototxt")
    resumed.restore(run_folder / "snap_iter_6.solverstate")
    assert (resumed.iter, resumed.lr) == (6, pytest.approx(0.025))
    resumed.solve()
    assert_equal(weights(whole), weights(resumed))
    whole.close()
    resumed.close()


def test_test_nets_see_the_trained_weights(run_folder: Path) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt")
    solver.step(3)
    for name, blobs in solver.test_modules[0].params.items():
        assert all(a is b for a, b in zip(blobs, solver.module.params[name], strict=True)), name
    solver.close()


def test_overrides_cut_a_run(run_folder: Path) -> None:
    overrides = Overrides(
        max_iter=2,
        batch_size=3,
        test_iter=1,
        test_interval=2,
        display=1,
        snapshot_prefix=str(run_folder / "trial"),
    )
    heard = Heard()
    solver = netspec.Solver(run_folder / "solver.prototxt", overrides, listener=heard)
    assert solver.batch_size == 3
    solver.solve()
    solver.close()
    assert heard.displays == [0, 1]
    assert heard.snapshots == ["trial_iter_2.solverstate"]


def test_state_of_another_solver_is_refused(run_folder: Path) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt")
    state = solver.snapshot()
    text = (run_folder / "solver.prototxt").read_text()
    (run_folder / "adam.prototxt").write_text(text + ' type: "Adam"')
    other = netspec.Solver(run_folder / "adam.prototxt")
    before = weights(other)
    with pytest.raises(
        netspec.NetspecError,
        match="is cut short: it has 7 history blobs\n  hint: a Adam solver of this net keeps 14",
    ):
        other.restore(state)
    assert_equal(before, weights(other))


def test_missing_net_and_missing_data_are_reported(run_folder: Path, tmp_path: Path) -> None:
    text = (run_folder / "solver.prototxt").read_text()
    (run_folder / "lost.prototxt").write_text(text.replace("net.prototxt", "nowhere.prototxt"))
    with pytest.raises(
        netspec.NetspecError,
        match=r"lost\.prototxt:2:6: error: the net 'nowhere\.prototxt' does not exist",
    ):
        netspec.Solver(run_folder / "lost.prototxt")
    net = (run_folder / "net.prototxt").read_text()
    (run_folder / "net.prototxt").write_text(net.replace("train_lmdb", "gone_lmdb"))
    with pytest.raises(netspec.NetspecError, match="gone_lmdb"):
        netspec.Solver(run_folder / "solver.prototxt").step(1)


def test_a_loss_that_is_no_number_stops_the_run(run_folder: Path) -> None:
    solver = netspec.Solver(run_folder / "solver.prototxt", Overrides(base_lr=1e30, display=1))
    with pytest.raises(netspec.NetspecError, match=r"the loss is (nan|inf) at iteration \d"):
        solver.step(12)
    solver.close()


def start(folder: Path, *options: str) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "netspec",
        "train",
        str(folder / "solver.prototxt"),
        "--max-iter",
        "1000000",
        "--display",
        "1",
        *options,
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for(process: subprocess.Popen, word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    pytest.fail(f"the run ended without '{word}': {process.stderr and process.stderr.read()}")


@pytest.fixture
def endless_folder(run_folder: Path) -> Path:
    text = (run_folder / "solver.prototxt").read_text()
    (run_folder / "solver.prototxt").write_text(
        text.replace("snapshot: 6", "").replace("test_interval: 6", "test_interval: 1000000")
    )
    return run_folder


def test_sigint_stops_with_a_snapshot_from_which_the_run_goes_on(endless_folder: Path) -> None:
    process = start(endless_folder)
    wait_for(process, "iteration 3 ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        130,
        "stopping after this iteration; a second signal stops at once\n",
    )
    assert out.endswith("stopped early\n")
    (state,) = endless_folder.glob("snap_iter_*.solverstate")
    solver = netspec.Solver(endless_folder / "solver.prototxt")
    solver.restore(state)
    assert solver.iter == int(state.stem.rsplit("_", 1)[1]) > 3
    solver.close()


def test_sighup_takes_a_snapshot_and_the_run_goes_on(endless_folder: Path) -> None:
    process = start(endless_folder, "--sigint_effect", "none")
    wait_for(process, "iteration 2 ")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    wait_for(process, "snapshot ")
    wait_for(process, "iteration ")
    assert process.poll() is None
    process.kill()
    process.communicate()
    assert list(endless_folder.glob("snap_iter_*.solverstate"))


def test_a_killed_run_leaves_no_half_snapshot(endless_folder: Path) -> None:
    from netspec.weights.files import read_weights
    from netspec.weights.solverstate import read_solverstate

    text = (endless_folder / "solver.prototxt").read_text()
    (endless_folder / "solver.prototxt").write_text(text + " snapshot: 1")
    process = start(endless_folder)
    wait_for(process, "iteration 5 ")
    time.sleep(0.05)
    process.kill()
    process.communicate()
    states = list(endless_folder.glob("snap_iter_*.solverstate"))
    assert states
    for state in states:
        read_solverstate(state)
    for weight_file in endless_folder.glob("snap_iter_*.caffemodel"):
        read_weights(weight_file)


def test_command_line_trains_and_fine_tunes(
    run_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    from netspec.cli import main

    solver = str(run_folder / "solver.prototxt")
    assert (
        main(["train", solver, "--max-iter", "4", "--snapshot-prefix", str(run_folder / "a")]) == 0
    )
    out = capsys.readouterr().out
    assert "Tiny: " in out
    assert "SGD, batch 4, 11 records, on cpu" in out
    assert "iteration 0  loss " in out
    assert "test 0 at iteration 0   accuracy " in out
    weights_file = str(run_folder / "a_iter_4.caffemodel")
    assert (
        main(
            [
                "train",
                "--solver",
                solver,
                "--weights",
                weights_file,
                "--max-iter",
                "1",
                "--snapshot-prefix",
                str(run_folder / "b"),
            ]
        )
        == 0
    )
    assert "3 layers loaded" in capsys.readouterr().out
    assert main(["train", solver, "--snapshot", str(run_folder / "none.solverstate")]) == 1
    assert "none.solverstate" in capsys.readouterr().err
    assert main(["train"]) == 2


def test_a_label_that_is_no_class_names_the_record(run_folder: Path) -> None:
    net = (run_folder / "net.prototxt").read_text()
    (run_folder / "net.prototxt").write_text(net.replace("num_output: 3", "num_output: 2"))
    text = (run_folder / "solver.prototxt").read_text()
    (run_folder / "solver.prototxt").write_text(text.replace("test_iter: 2 test_interval: 6", ""))
    solver = netspec.Solver(run_folder / "solver.prototxt")
    with pytest.raises(
        netspec.NetspecError,
        match="layer 'loss': item 2 of the batch has label 2, but there are 2 classes",
    ) as caught:
        solver.step(1)
    assert "layer 'data' feeds it; it is record 2 (from 0) of its 11" in str(caught.value)
    solver.close()


def test_a_net_that_takes_its_data_from_the_caller_is_reported(run_folder: Path) -> None:
    inputs = (
        'layer { name: "data" type: "Input" top: "data" top: "label" '
        "input_param { shape { dim: 4 dim: 1 dim: 6 dim: 6 } shape { dim: 4 } } }"
    )
    net = (run_folder / "net.prototxt").read_text()
    (run_folder / "net.prototxt").write_text(inputs + net[net.index('layer { name: "conv"') :])
    with pytest.raises(netspec.NetspecError, match="no data layer feeds the input 'data'"):
        netspec.Solver(run_folder / "solver.prototxt").step(1)


def test_layers_without_names_are_all_trained_and_tested(run_folder: Path) -> None:
    net = (
        (run_folder / "net.prototxt")
        .read_text()
        .replace('name: "conv" ', "")
        .replace('name: "ip" ', "")
        .replace('name: "relu" ', "")
    )
    (run_folder / "net.prototxt").write_text(net)
    solver = netspec.Solver(run_folder / "solver.prototxt")
    before = [[blob.detach().clone() for blob in blobs] for blobs in solver.module.layer_params]
    assert [len(blobs) for blobs in before] == [0, 2, 3, 0, 0, 2, 0]
    assert before[1][0].abs().max() > 0, "the filler has filled the first of them too"
    solver.step(2)
    for old, new in zip(before, solver.module.layer_params, strict=True):
        assert all(not torch.equal(a, b) for a, b in zip(old, new, strict=True))
    tested = [blobs for blobs in solver.test_modules[0].layer_params if blobs]
    trained = [blobs for blobs in solver.module.layer_params if blobs]
    assert all(
        a is b
        for one, two in zip(tested, trained, strict=True)
        for a, b in zip(one, two, strict=True)
    )
    solver.close()
