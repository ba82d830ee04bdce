"""The events of a training run, and the facts of the run when it begins. Torch-free.

The progress on the terminal, the log files and TensorBoard are listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netspec.diagnostics import Diagnostic

Values = dict[str, list[float]]  # output blob → its elements


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known of a run when it begins."""

    net: str
    solver: str  # path of the solver file
    rule: str  # SGD, Adam, …
    lr_policy: str
    device: str
    seed: int
    start_iter: int
    max_iter: int
    batch_size: int  # items that one process reads in one forward pass
    iter_size: int = 1
    processes: int = 1
    param_count: int = 0
    precision: str = "fp32"  # of convolutions and dense layers
    compile: bool = False  # torch.compile compiles the nets
    start_records: int = 0  # that the run has read when it begins, more than 0 where it goes on
    display: int = 0  # iterations from one display to the next
    epoch_size: int | None = None  # records in one pass over the training data
    # of the train net's outputs that have one
    loss_weights: dict[str, float] = field(default_factory=dict)
    test_loss_weights: list[dict[str, float]] = field(default_factory=list)  # of each test net
    test_iter: list[int] = field(default_factory=list)
    # records in one pass over each test net's data
    test_sizes: list[int | None] = field(default_factory=list)
    # items that each test net reads in one forward pass
    test_batch_sizes: list[int | None] = field(default_factory=list)

    @property
    def effective_batch(self) -> int:
        """Items that one forward pass of all processes reads."""
        return self.batch_size * self.processes

    @property
    def images_per_iteration(self) -> int:
        return self.effective_batch * self.iter_size

    def epoch(self, iteration: int) -> float | None:
        """How many passes over the training data an iteration ends.

        Returns None where their number of records is not known.
        """
        if not self.epoch_size:
            return None
        return (
            self.start_records + (iteration - self.start_iter) * self.images_per_iteration
        ) / self.epoch_size


class Listener:
    """Receives a run's events; does nothing. A subclass overrides what it needs."""

    def checked(self, warnings: Sequence[Diagnostic]) -> None:
        """The solver file has been read, with these warnings."""

    def noted(self, message: str) -> None:
        """A fact about where the run begins, such as what was loaded from a weight file."""

    def started(self, run: RunInfo) -> None:
        """The run begins; nothing has been computed."""

    def restored(self, iteration: int, path: Path) -> None:
        """The run goes on from a snapshot; the path of its state."""

    def iterated(self, iteration: int) -> None:
        """An iteration has ended; how many are done in all."""

    def skipped(self, iteration: int, loss_scale: float, count: int) -> None:
        """An iteration's update was skipped: its gradients overflow in fp16.

        The loss scale is halved to `loss_scale`; the run has skipped `count` updates in all.
        """

    def displayed(self, iteration: int, loss: float, outputs: Values, rate: float) -> None:
        """An iteration's smoothed loss, the outputs of its last forward pass, its learning rate."""

    def debugged(self, lines: Sequence[str]) -> None:
        """What debug_info asks for, in Caffe's lines."""

    def testing(self, iteration: int, index: int, batch: int, batches: int) -> None:
        """A batch of a test begins."""

    def tested(self, iteration: int, index: int, means: Values, loss: float | None) -> None:
        """A test has ended.

        The mean of each output over its batches, of detections the mean average precision, and the
        mean of the loss with test_compute_loss.
        """

    def saved(self, iteration: int, weights: Path, state: Path) -> None:
        """A snapshot has been written."""

    def best(self, iteration: int, metric: str, value: float) -> None:
        """A test was better than all before by the metric that --keep-best names.

        Its snapshot is kept.
        """

    def removed(self, state: Path) -> None:
        """An old snapshot has been deleted, as --keep-last says; the path its state had."""

    def warned(self, message: str) -> None:
        """A fault that does not end the run, such as a snapshot for which the disk was full."""

    def finished(self, iteration: int, loss: float | None) -> None:
        """The last iteration is done.

        With `display`, `loss` is the smoothed loss of one more forward pass.
        """

    def ended(self, iteration: int, reason: str, message: str = "") -> None:
        """The run is over.

        `reason` is 'done', 'stopped' by a signal, or 'failed' with the message of what went wrong.
        """

    def close(self) -> None:
        """Lets go of files and of the terminal; called once, whatever happened."""


class Listeners(Listener):
    """Passes each event on to several listeners, in order."""

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self.listeners = list(listeners)


def _passed_on(event: str) -> Callable[..., None]:
    def pass_on(self: Listeners, *args: Any, **kwargs: Any) -> None:
        for listener in self.listeners:
            getattr(listener, event)(*args, **kwargs)

    return pass_on


# its types are Listener's, which it inherits: only what the methods do is set here
for _event in [name for name in vars(Listener) if not name.startswith("_")]:
    setattr(Listeners, _event, _passed_on(_event))
