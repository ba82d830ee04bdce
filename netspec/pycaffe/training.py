"""netspec's training loop on nets that run layer by layer.

The update formulas, the schedule, tests and snapshots are those of netspec.Solver.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from netspec import graph
from netspec.diagnostics import Report
from netspec.listener import Values
from netspec.pycaffe import mode
from netspec.pycaffe.last_update import NetUpdater
from netspec.pycaffe.net import Net
from netspec.pycaffe.run_log import RunLog
from netspec.pytorch.seeds import mixed_seed
from netspec.pytorch.solver_nets import describe_run, learnable
from netspec.pytorch.tester import Tester
from netspec.pytorch.train import Solver as Training
from netspec.pytorch.updates import Updater
from netspec.readers.reader import WHOLE
from netspec.solver.check_solver import check_solver
from netspec.solver.evaluation import evaluation_of
from netspec.solver.run_options import Overrides

if TYPE_CHECKING:
    from netspec.pytorch.feed import Feed

Hook = Callable[[], object]


class NetFeed:
    """A running net in the place of a module and its stream of data."""

    def __init__(self, net: Net) -> None:
        self.net, self.index = net, 0
        self.loss = torch.zeros(())

    def forward(self, run: object = None) -> dict[str, Tensor]:
        """The outputs of the next batch."""
        self.loss = self.net.run_forward_all()
        return self.net.output_tensors()

    def close(self) -> None:
        """Nothing: the net keeps its place in its data."""


class NetTester(Tester):
    """Runs test nets layer by layer, so that their blobs hold what the last batch gave."""

    def __init__(self, seed: int, *args: Any) -> None:
        super().__init__(*args)
        self.feeds = [
            NetFeed(Net.of(net, module, self.device, partial(mixed_seed, seed, "TEST", i)))
            for i, (net, module) in enumerate(zip(self.nets, self.modules, strict=True))
        ]

    def _feed(self, index: int, start: int, every: int, seed: int) -> Any:
        return self.feeds[index]

    def _forward(self, feed: Feed, compiled: object) -> dict[str, Tensor]:
        return feed.forward()

    def _loss(self, index: int, outputs: dict[str, Tensor]) -> float:
        return float(self.feeds[index].loss)


class NetTraining(Training):
    """A run whose nets a script may look into, and change, between two iterations.

    A loss that is not finite does not end it, as in Caffe.

    Raises: NetspecError where the solver, one of its nets, or the data is wrong.
    """

    def __init__(self, path: str | Path, solver_type: str | None = None) -> None:
        self.on_start: list[Hook] = []
        self.on_gradients_ready: list[Hook] = []
        self._log, self._is_described = RunLog(), False
        overrides = Overrides(solver_type=solver_type, seed=mode.next_seed() % 2**31)
        # exact: params in C order, so that what a script writes to param.data.ravel() counts
        super().__init__(
            path,
            overrides,
            mode.device(),
            self._log,
            allow_python_layers=True,
            precision="fp32",
            exact=True,
        )
        report = Report()
        check_solver(self.param, self.file.spans, report, set())
        report.raise_errors()
        draw_seed = partial(mixed_seed, self.seed, "TRAIN")
        self.running = Net.of(self.net, self.module, self.device, draw_seed)
        if mode.solver_count() > 1:
            self._read_from(0)
        self._running_feed = NetFeed(self.running)
        updater: Any = self.updater
        updater.net = self.running
        for net in self.running_test_nets:
            net.debug_info = self.param.debug_info

    def _make_updater(self) -> Updater:
        return NetUpdater(self.param, *learnable(self.net, self.module))

    def _make_tester(self, nets: list[graph.Net]) -> Tester:
        evaluation = evaluation_of(self.param)
        return NetTester(
            self.seed, nets, self.module, self.device, self.processes, None, evaluation
        )

    @property
    def running_test_nets(self) -> list[Net]:
        """The test nets."""
        tester: Any = self.tester
        return [feed.net for feed in tester.feeds]

    def _iterate(self) -> dict[str, Tensor]:
        self._is_first_part = True
        return super()._iterate()

    def _forward_backward(self, is_last: bool, with_info: bool) -> tuple[Tensor, dict[str, Tensor]]:
        if self._is_first_part:
            self._is_first_part = False
            for call in self.on_start:
                call()
        self.running.debug_info = with_info
        loss = self.running.run_forward_all()
        self.running.run_backward_all()
        return loss, self.running.output_tensors()

    def _display(self, outputs: dict[str, Tensor]) -> None:
        self._describe()
        super()._display(outputs)

    def test(self) -> list[Values]:
        """Runs the test nets, as the file says."""
        self._describe()
        return super().test()

    def _describe(self) -> None:
        """Tells the log of the nets, once there is something to log."""
        if not self._is_described:
            self._is_described = True
            self._log.know(describe_run(self))

    def solve(self) -> None:
        """Trains up to max_iter."""
        self._is_described = True
        self._log.started(describe_run(self))
        super().solve()
        self._log.ended(self.iter, "done")

    def _require_finite(self, is_shown: bool) -> None:
        for call in self.on_gradients_ready:
            call()

    def _train_feed(self) -> Any:
        return self._running_feed

    def _forward_loss(self) -> Tensor:
        return self.running.run_forward_all()

    def apply_update(self) -> None:
        """One update from the gradients that stand in the params' diffs."""
        self.updater.apply(self.lr, self.iter)
        self.iter += 1

    def restore(self, path: str | Path) -> None:
        """Goes on from a state, and from the batch that its run would have read."""
        super().restore(path)
        self._read_from(self.train_batches)

    def _read_from(self, start: int) -> None:
        shard = mode.shard() if mode.solver_count() > 1 else WHOLE
        for layer in self.running.data_layers:
            layer.read_from(mixed_seed(self.seed, "TRAIN"), start, shard)
