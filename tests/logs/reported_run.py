"""A run that is reported to listeners, as the solver reports one, and the numbers it is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from netspec.listener import Listener, RunInfo

INFO = RunInfo(
    display=20,
    net="LeNet",
    solver="lenet_solver.prototxt",
    rule="SGD",
    lr_policy="step",
    device="cpu",
    seed=7,
    start_iter=0,
    max_iter=40,
    batch_size=64,
    iter_size=2,
    param_count=431080,
    epoch_size=1280,
    loss_weights={"loss": 1.0, "aux": 0.25},
    test_loss_weights=[{"loss": 1.0}, {}],
    test_iter=[10, 5],
    test_sizes=[1000, None],
    test_batch_sizes=[100, None],
)
LOSSES = {0: 2.3025851, 20: 0.12345679}
RATES = {0: 0.01, 20: 0.001}
ACCURACIES = {0: 0.1, 40: 0.9875}


def report_run(listener: Listener) -> None:
    """A whole run: two displays, two test nets before and after the training, a snapshot."""
    listener.started(INFO)
    for iteration in (0, 20):
        if iteration == 0:
            report_tests(listener, 0)
        listener.displayed(
            iteration,
            LOSSES[iteration],
            {"aux": [0.5], "loss": [LOSSES[iteration] - 0.125]},
            RATES[iteration],
        )
        listener.iterated(iteration + 1)
    listener.saved(40, Path("lenet_iter_40.caffemodel"), Path("lenet_iter_40.solverstate"))
    listener.best(40, "accuracy", 0.9875)
    listener.removed(Path("lenet_iter_20.solverstate"))
    listener.warned("the disk is nearly full")
    listener.finished(40, 0.0625)
    report_tests(listener, 40)
    listener.ended(40, "done")
    listener.close()


def report_tests(listener: Listener, iteration: int) -> None:
    for batch in range(10):
        listener.testing(iteration, 0, batch, 10)
    listener.tested(iteration, 0, {"accuracy": [ACCURACIES[iteration]], "loss": [0.75]}, None)
    listener.testing(iteration, 1, 0, 5)
    listener.tested(iteration, 1, {"per_class": [0.5, 0.25, 1.0]}, 3.5)


def report_resumed(listener: Listener, start: int, losses: dict[int, float]) -> None:
    """The run goes on from a snapshot, and reports these losses."""
    listener.started(replace(INFO, start_iter=start))
    listener.restored(start, Path(f"lenet_iter_{start}.solverstate"))
    for iteration, loss in losses.items():
        listener.displayed(iteration, loss, {"loss": [loss]}, 0.01)
    listener.ended(max(losses), "stopped")
    listener.close()
