"""Solver settings against hand-written loops in numpy, and the order of events.

The order is that of Caffe's Solver::Step and Solve.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from netspec import Solver
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.listener import Listener, Values
from netspec.schema.caffe_pb2 import SolverState

rng = np.random.default_rng(11)
BATCH, RECORDS = 4, 12
DATA, TARGET = rng.normal(size=(RECORDS, 3)), 3 * rng.normal(size=(RECORDS, 2))
W0, B0 = rng.normal(size=(2, 3)), rng.normal(size=2)
NET = """
name: "Line"
layer { name: "data" type: "HDF5Data" top: "data" top: "target" \
hdf5_data_param { source: "data.txt" batch_size: 4 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "out" \
param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0.5 }
  inner_product_param { num_output: 2 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "out" bottom: "target" top: "loss" }
"""
EXTRA = (
    'layer { name: "extra" type: "InnerProduct" bottom: "data" top: "extra" '
    "inner_product_param { num_output: 1 } }\n"
)
SOLVER = (
    'net: "net.prototxt" base_lr: 0.05 solver_mode: CPU random_seed: 1 snapshot_prefix: "snap" '
)
FIXED = 'lr_policy: "fixed" '


class Events(Listener):
    """What a run does, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.losses: list[float] = []
        self.test_losses: list[float | None] = []
        self.solver: Solver | None = None

    def displayed(self, iteration: int, loss: float, outputs: Values, rate: float) -> None:
        self.events.append(f"display {iteration}")
        self.losses.append(loss)

    def iterated(self, iteration: int) -> None:
        self.events.append(f"update {iteration}")

    def testing(self, iteration: int, index: int, batch: int, batches: int) -> None:
        self.events.append(f"batch {batch}")
        # a signal comes while the second batch is awaited
        if self.solver is not None and batch == 1:
            self.solver.requests.ask("stop")

    def tested(self, iteration: int, index: int, means: Values, loss: float | None) -> None:
        self.events.append(f"test {iteration} net {index}")
        self.test_losses.append(loss)

    def saved(self, iteration: int, weights: Path, state: Path) -> None:
        self.events.append(f"snapshot {iteration}")

    def finished(self, iteration: int, loss: float | None) -> None:
        self.events.append(f"end {iteration}")
        if loss is not None:
            self.losses.append(loss)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with h5py.File("data.h5", "w") as file:
        file["data"], file["target"] = DATA.astype(np.float32), TARGET.astype(np.float32)
    Path("data.txt").write_text(f"{tmp_path / 'data.h5'}\n")
    Path("net.prototxt").write_text(NET)
    return tmp_path


def make(settings: str, listener: Listener | None = None) -> Solver:
    Path("solver.prototxt").write_text(SOLVER + settings)
    solver = Solver("solver.prototxt", listener=listener)
    with torch.no_grad():
        for blob, array in zip(solver.module.params["ip"], (W0, B0), strict=True):
            blob.copy_(torch.from_numpy(array))
    return solver


def step_of(name: str, g: np.ndarray, state: list[np.ndarray], rate: float, t: int) -> np.ndarray:
    """What a rule takes from a weight, by the formulas in the papers as Caffe writes them.

    Momentum 0.9, delta 1e-3.
    """
    a, b = state
    if name == "SGD":
        a[:] = 0.9 * a + rate * g
        return a.copy()
    if name == "Nesterov":
        old = a.copy()
        a[:] = 0.9 * a + rate * g
        return 1.9 * a - 0.9 * old
    if name == "AdaGrad":
        a += g * g
        return rate * g / (np.sqrt(a) + 1e-3)
    if name == "RMSProp":
        a[:] = 0.8 * a + 0.2 * g * g
        return rate * g / (np.sqrt(a) + 1e-3)
    if name == "AdaDelta":
        a[:] = 0.9 * a + 0.1 * g * g
        change = g * np.sqrt((b + 1e-3) / (a + 1e-3))
        b[:] = 0.9 * b + 0.1 * change * change
        return rate * change
    a[:] = 0.9 * a + 0.1 * g
    b[:] = 0.99 * b + 0.01 * g * g
    return rate * np.sqrt(1 - 0.99**t) / (1 - 0.9**t) * a / (np.sqrt(b) + 1e-3)


def simulate(
    name: str,
    iterations: int,
    iter_size: int = 1,
    clip: float = np.inf,
    decay: float = 0.0,
    kind: str = "L2",
) -> tuple[list, list[float]]:
    """Weights and losses of a run, by hand."""
    weights, losses, batch = [W0.copy(), B0.copy()], [], 0
    states = [[np.zeros_like(w), np.zeros_like(w)] for w in weights]
    for iteration in range(iterations):
        grads, loss = [np.zeros_like(w) for w in weights], 0.0
        for _ in range(iter_size):
            rows = np.arange(batch * BATCH, (batch + 1) * BATCH) % RECORDS
            batch += 1
            error = DATA[rows] @ weights[0].T + weights[1] - TARGET[rows]
            loss += (error**2).sum() / (2 * BATCH)
            grads = [grads[0] + error.T @ DATA[rows] / BATCH, grads[1] + error.sum(axis=0) / BATCH]
        losses.append(loss / iter_size)
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        scale = min(1.0, clip / norm) / iter_size
        for i, (lr_mult, decay_mult) in enumerate(((1, 1), (2, 0.5))):
            pull = weights[i] if kind == "L2" else np.sign(weights[i])
            g = grads[i] * scale + decay * decay_mult * pull
            weights[i] = weights[i] - step_of(name, g, states[i], 0.05 * lr_mult, iteration + 1)
    return weights, losses


RULES = {
    "SGD": "momentum: 0.9",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "delta: 1e-3",
    "RMSProp": "delta: 1e-3 rms_decay: 0.8",
    "AdaDelta": "delta: 1e-3 momentum: 0.9",
    "Adam": "delta: 1e-3 momentum: 0.9 momentum2: 0.99",
}


@pytest.mark.parametrize("kind", ["L1", "L2"])
@pytest.mark.parametrize("name", RULES)
def test_clipping_sees_the_sum_over_iter_size_and_no_decay(
    folder: Path, name: str, kind: str
) -> None:
    settings = (
        f'type: "{name}" {RULES[name]} iter_size: 3 clip_gradients: 4 weight_decay: '
        f'0.3 regularization_type: "{kind}" max_iter: 5 display: 1 '
    )
    heard = Events()
    solver = make(FIXED + settings, heard)
    solver.step(5)
    weights, losses = simulate(name, 5, iter_size=3, clip=4, decay=0.3, kind=kind)
    np.testing.assert_allclose(heard.losses, losses, rtol=2e-5)
    for blob, array in zip(solver.module.params["ip"], weights, strict=True):
        np.testing.assert_allclose(blob.detach().numpy(), array, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["Adam", "Nesterov"])
def test_a_run_taken_up_goes_on_with_its_history_and_its_t(folder: Path, name: str) -> None:
    settings = f'{FIXED} type: "{name}" {RULES[name]} max_iter: 6'
    first = make(settings)
    first.step(4)
    state = first.snapshot()
    state.with_name(f"{state.name}.json").unlink()  # as the original leaves it
    second = make(settings)
    second.restore(state)
    second.step(2)
    for blob, array in zip(second.module.params["ip"], simulate(name, 6)[0], strict=True):
        np.testing.assert_allclose(blob.detach().numpy(), array, rtol=2e-5, atol=2e-6)


def test_average_loss_is_the_mean_of_the_last_losses_of_the_whole_run(folder: Path) -> None:
    """Caffe begins a new window in each Step and after a resume; here it goes on."""
    losses = simulate("SGD", 8)[1]
    smoothed = [np.mean(losses[max(0, i - 2) : i + 1]) for i in range(8)]
    settings = f"{FIXED} momentum: 0.9 max_iter: 8 display: 1 average_loss: 3"
    heard = Events()
    solver = make(settings, heard)
    solver.step(2)
    solver.step(3)
    state = solver.snapshot()
    resumed = make(settings, heard)
    resumed.restore(state)
    resumed.step(3)
    np.testing.assert_allclose(heard.losses, smoothed, rtol=2e-5)


def test_the_last_loss_is_that_of_the_weights_at_the_end(folder: Path) -> None:
    heard = Events()
    make(f"{FIXED} momentum: 0.9 max_iter: 2 display: 2 snapshot_after_train: false", heard).solve()
    losses = simulate("SGD", 3)[1]
    assert heard.events == ["display 0", "update 1", "update 2", "end 2"]
    np.testing.assert_allclose(heard.losses, [losses[0], losses[2]], rtol=2e-5)


def test_the_order_of_test_display_update_and_snapshot(folder: Path) -> None:
    heard = Events()
    make(f"{FIXED} max_iter: 4 display: 2 test_iter: 1 test_interval: 2 snapshot: 2", heard).solve()
    test = ["batch 0", "test {} net 0"]
    assert heard.events == [
        *(line.format(0) for line in test),
        *["display 0", "update 1", "update 2", "snapshot 2"],
        *(line.format(2) for line in test),
        *["display 2", "update 3", "update 4", "snapshot 4", "end 4"],
        *(line.format(4) for line in test),
    ]
    assert len(heard.losses) == 3


def test_a_run_taken_up_where_it_tests_and_saves_tests_again_and_saves_not(folder: Path) -> None:
    settings = (
        f"{FIXED} max_iter: 3 test_iter: 1 test_interval: 2 snapshot: 2 snapshot_after_train: false"
    )
    first = make(settings)
    first.step(2)
    heard = Events()
    second = make(settings, heard)
    second.restore("snap_iter_2.solverstate")
    second.solve()
    assert heard.events == ["batch 0", "test 2 net 0", "update 3", "end 3"]


def test_nothing_to_train_still_displays_and_tests(folder: Path) -> None:
    heard = Events()
    settings = (
        f"{FIXED} max_iter: 0 display: 5 test_iter: 1 test_interval: 5 test_initialization: "
        "false snapshot_after_train: false"
    )
    make(settings, heard).solve()
    assert heard.events == ["end 0", "batch 0", "test 0 net 0"]
    np.testing.assert_allclose(heard.losses, simulate("SGD", 1)[1], rtol=2e-5)


def test_a_stop_during_a_test_ends_all_tests_and_leaves_a_snapshot(folder: Path) -> None:
    heard = Events()
    solver = make(
        f"{FIXED} max_iter: 4 display: 1 test_iter: 3 test_iter: 3 test_interval: "
        "1 test_initialization: false",
        heard,
    )
    heard.solver = solver
    solver.solve()
    assert heard.events == ["display 0", "update 1", "batch 0", "batch 1", "snapshot 1"]
    assert solver.is_stopping
    assert solver.iter == 1


def test_the_test_loss_is_the_mean_over_its_batches(folder: Path) -> None:
    Path("net.prototxt").write_text(
        NET
        + (
            'layer { name: "twice" type: "EuclideanLoss" bottom: "out" bottom: "target" '
            'top: "twice" loss_weight: 2 }'
        )
    )
    heard = Events()
    solver = make(
        f"{FIXED} max_iter: 1 test_iter: 2 test_interval: 1 test_compute_loss: true", heard
    )
    (means,) = solver.test()
    rows = [
        ((DATA[i : i + BATCH] @ W0.T + B0 - TARGET[i : i + BATCH]) ** 2).sum() / (2 * BATCH)
        for i in (0, BATCH)
    ]
    assert means == {
        "loss": pytest.approx([np.mean(rows)], rel=2e-5),
        "twice": pytest.approx([np.mean(rows)], rel=2e-5),
    }
    assert heard.test_losses == [pytest.approx(3 * np.mean(rows), rel=2e-5)]


@pytest.mark.parametrize(
    ("policy", "iteration", "step"),
    [
        # of the last update, that of iteration 3
        ('lr_policy: "step" gamma: 0.5 stepsize: 2', 4, 1),
        ('lr_policy: "step" gamma: 0.5 stepsize: 2', 5, 2),
        ('lr_policy: "multistep" gamma: 0.5 stepvalue: 1 stepvalue: 4', 4, 1),
        ('lr_policy: "multistep" gamma: 0.5 stepvalue: 1 stepvalue: 4', 5, 2),
        ('lr_policy: "multistep" gamma: 0.5 stepvalue: 3 stepvalue: 3', 4, 1),  # one an iteration
        ('lr_policy: "fixed" stepvalue: 1', 3, 0),
    ],
)
def test_the_state_holds_current_step_as_caffe_has_it_after_the_last_update(
    folder: Path, policy: str, iteration: int, step: int
) -> None:
    solver = make(f"{policy} max_iter: 9")
    solver.step(iteration)
    assert SolverState.FromString(solver.snapshot().read_bytes()).current_step == step


@pytest.mark.parametrize("way", ["field", "flag"])
def test_weights_reach_the_layers_that_only_a_test_net_has(folder: Path, way: str) -> None:
    Path("test.prototxt").write_text(NET + EXTRA)
    Path("whole.prototxt").write_text(
        SOLVER.replace("net.prototxt", "test.prototxt") + f"{FIXED} max_iter: 1"
    )
    whole = Solver("whole.prototxt")
    with torch.no_grad():
        for layer in ("ip", "extra"):
            whole.module.params[layer][0].fill_(7)
    weights = whole.snapshot().with_suffix(".caffemodel")
    nets = (
        'train_net: "net.prototxt" test_net: "test.prototxt" test_iter: 1 test_interval: '
        f"1 {FIXED} max_iter: 1 "
    )
    Path("two.prototxt").write_text(
        SOLVER.replace('net: "net.prototxt"', "")
        + nets
        + (f'weights: "{weights}"' if way == "field" else "")
    )
    solver = Solver("two.prototxt")
    if way == "flag":
        solver.load_weights([weights])
    for layer in ("ip", "extra"):
        assert bool((solver.test_modules[0].params[layer][0] == 7).all()), layer


def test_a_test_net_whose_layer_has_other_params_is_refused(folder: Path) -> None:
    net = NET.replace("num_output: 2", "num_output: 2 bias_term: false").replace(
        " param { lr_mult: 2 decay_mult: 0.5 }", ""
    )
    Path("test.prototxt").write_text(net)
    nets = (
        'train_net: "net.prototxt" test_net: "test.prototxt" test_iter: 1 test_interval: '
        f"1 {FIXED} max_iter: 1 "
    )
    Path("two.prototxt").write_text(SOLVER.replace('net: "net.prototxt"', "") + nets)
    with pytest.raises(
        NetspecError, match="layer 'ip' has 2 params in the train net, 1 in the test net"
    ):
        Solver("two.prototxt")


def test_a_snapshot_that_is_asked_for_where_one_is_due_is_written_once(folder: Path) -> None:
    heard = Events()
    solver = make(f"{FIXED} max_iter: 2 snapshot: 1", heard)
    solver.requests.ask("snapshot")
    solver.solve()
    assert heard.events == ["update 1", "snapshot 1", "update 2", "snapshot 2", "end 2"]


def test_resuming_does_not_ask_for_the_weights_that_the_run_began_with(folder: Path) -> None:
    state = make(f"{FIXED} max_iter: 2").snapshot()
    Path("begin.caffemodel").write_bytes(state.with_suffix(".caffemodel").read_bytes())
    Path("solver.prototxt").write_text(f'{SOLVER} {FIXED} max_iter: 2 weights: "begin.caffemodel"')
    assert main(["train", "solver.prototxt", "--resume", "--cpu"]) == 0
    Path("begin.caffemodel").unlink()
    assert main(["train", "solver.prototxt", "--resume", "--cpu"]) == 0
    assert main(["train", "solver.prototxt", "--cpu"]) == 1


def test_max_iter_may_come_from_the_command_line_or_not_at_all(folder: Path) -> None:
    """A solver that a script steps has none: Caffe's default is 0."""
    solver = make(FIXED)
    solver.step(2)
    assert solver.iter == 2
    assert main(["train", "solver.prototxt", "--max-iter", "3", "--cpu"]) == 0
    assert Path("snap_iter_3.caffemodel").exists()


def test_a_test_iter_of_0_runs_no_batch(folder: Path) -> None:
    """Files that are to train only say so: Caffe builds the net and runs nothing."""
    heard = Events()
    make(
        f"{FIXED} max_iter: 1 test_iter: 0 test_interval: 1 snapshot_after_train: false", heard
    ).solve()
    assert [event for event in heard.events if event.startswith("batch")] == []
    assert "update 1" in heard.events


def test_the_hdf5_state_names_its_weights_in_a_string_that_ends(folder: Path) -> None:
    """Caffe reads as many bytes as the type has and looks for the 0 among them."""
    solver = make(f"{FIXED} max_iter: 1 snapshot_format: HDF5")
    with h5py.File(solver.snapshot()) as file:
        kind = file["learned_net"].id.get_type()
        assert file["learned_net"][()] == b"snap_iter_0.caffemodel.h5"
        assert (kind.get_size(), kind.get_strpad()) == (
            len("snap_iter_0.caffemodel.h5") + 1,
            h5py.h5t.STR_NULLTERM,
        )
        assert file["learned_net"].shape == ()
        assert [(file[name].dtype, file[name].shape) for name in ("iter", "current_step")] == [
            (np.dtype(np.int32), (1,))
        ] * 2
        assert sorted(file["history"]) == ["0", "1"]
        assert file["history/0"].dtype == np.float32
