"""The training loop, as Caffe runs it. Source: Caffe's Solver::Step, Solve, Test."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from math import isfinite
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn

from netspec.files.paths import resolve_path
from netspec.graph import Net
from netspec.listener import Listener, Values
from netspec.options import net_options
from netspec.pytorch.backward import Backward
from netspec.pytorch.carried import Carried, Held
from netspec.pytorch.debug_info import DebugInfo
from netspec.pytorch.device import default_device
from netspec.pytorch.feed import Feed
from netspec.pytorch.losses import Losses
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.module import NetModule
from netspec.pytorch.not_finite import loss_fault, report_not_finite
from netspec.pytorch.place import BeforeTest, before_test, companion_of, go_on
from netspec.pytorch.processes import OthersLostError, Processes
from netspec.pytorch.requests import Requests
from netspec.pytorch.seeds import draw_seed, mixed_seed, seed_generators
from netspec.pytorch.snapshot import Snapshots
from netspec.pytorch.solver_nets import (
    aim_retention,
    learnable,
    load_test_nets,
    load_train_net,
)
from netspec.pytorch.tester import Tester, numbers
from netspec.pytorch.updates import Updater
from netspec.pytorch.weights import LoadReport, load_weights
from netspec.readers.reader import Shard
from netspec.schema import caffe_pb2
from netspec.solver.evaluation import evaluation_of
from netspec.solver.fork_settings import require_carried_out
from netspec.solver.learning_rate import learning_rate
from netspec.solver.run_options import Overrides
from netspec.solver.solver_file import load_solver
from netspec.weights.retention import Retention
from netspec.weights.snapshot_files import Companion

# iterations from one look at whether the loss is finite to the next: each makes the CPU wait for
# the GPU
LOOKS_ON_GPU = 16


class Solver:
    """A training run: `step(n)`, `solve()`, `snapshot()`, `restore(path)`.

    Args:
        path: the solver file.
        device: where to compute; None takes a GPU where there is one and the file does not say CPU.
        listener: hears of the run's events.
        allow_python_layers: run the Python code that layers of type Python name; it can do
            anything.
        dialect: the fork whose rules the nets follow, where a layer type has several; None asks
            their files.
        strict: warnings of the solver's and the nets' files are errors.
        processes: the processes of the run, of which this is one.
        retention: which snapshots stay; all where it is not given.

    Raises: NetspecError where the solver, one of its nets, or the data is wrong.
    """

    def __init__(
        self,
        path: str | Path,
        overrides: Overrides | None = None,
        device: str | torch.device | None = None,
        listener: Listener | None = None,
        allow_python_layers: bool = False,
        processes: Processes | None = None,
        retention: Retention | None = None,
        dialect: str | None = None,
        strict: bool = False,
    ) -> None:
        self.overrides = overrides or Overrides()
        self.processes = processes or Processes()
        self.file = load_solver(path, strict=strict)
        require_carried_out(self.file.message, self.file.spans)
        self.param = p = self.overrides.applied_to(self.file.message)
        self.seed: int = self.processes.broadcast(
            p.random_seed if p.random_seed >= 0 else draw_seed()
        )
        self.device = torch.device(device or default_device(p))
        self.iter = 0
        self.train_batches = 0  # that have been read of the training data
        self.requests = Requests(self.processes)
        self.is_stopping = False
        self.stopped_by = 0  # the signal that has stopped the run
        options = net_options(
            allow_python_layers=allow_python_layers, dialect=dialect, strict=strict
        )
        self.net: Net = load_train_net(self.file, self.overrides, self.processes.count, options)
        self.module: NetModule = lower(self.net)
        fill_params(self.module, self.net, mixed_seed(self.seed, "fillers"))
        self.module.to(self.device)
        self.updater = self._make_updater()
        self.processes.copy_from_root(self.updater.blobs)
        self.listener = listener or Listener()
        test_nets = load_test_nets(self.file, self.overrides, self.processes.count, options)
        self.tester = self._make_tester(test_nets)
        self.carried = Carried(
            {
                "train": self.module,
                **{f"test {i}": module for i, module in enumerate(self.tester.modules)},
            }
        )
        retention = aim_retention(retention or Retention(), test_nets)
        hdf5 = p.snapshot_format == caffe_pb2.SolverParameter.HDF5
        self.snapshots = Snapshots(
            self.snapshot_prefix, hdf5, self.module, self.updater, retention, self.listener
        )
        # what stood beside the state that the run goes on from
        self.resumed_from: Companion | None = None
        self.before_test = BeforeTest()
        self._held: Held = {}  # the carried states before the iteration
        self._backward = Backward(self.module, self.processes)
        self.losses = Losses(p.average_loss, self.device)
        self._feed: Feed | None = None
        if p.weights:
            self.load_weights(path for path, _ in self.file.weights)

    def _make_updater(self) -> Updater:
        return Updater(self.param, *learnable(self.net, self.module))

    def _make_tester(self, nets: list[Net]) -> Tester:
        debug = self.listener.debugged if self.param.debug_info else None
        evaluation = evaluation_of(self.param)
        return Tester(nets, self.module, self.device, self.processes, debug, evaluation)

    @property
    def test_nets(self) -> list[Net]:
        return self.tester.nets

    @property
    def test_modules(self) -> list[NetModule]:
        """The compiled test nets; they hold the trained weights."""
        return self.tester.modules

    @property
    def lr(self) -> float:
        """The learning rate of the iteration that comes next, before any lr_mult."""
        return learning_rate(self.param, self.iter)

    @property
    def batch_size(self) -> int:
        """Items that this process reads in one forward pass."""
        return self.net.batch_size or 1

    @property
    def snapshot_prefix(self) -> str:
        """What the names of snapshots begin with."""
        return (
            self.file.prefix_of(self.overrides.snapshot_prefix)
            if self.overrides.snapshot_prefix
            else self.file.snapshot_prefix
        )

    def load_weights(self, paths: Iterable[str | Path]) -> list[LoadReport]:
        """Loads weight files one after the other, to fine-tune; rank 0 reads them for all.

        Raises: NetspecError where one does not fit, or has no layer of the net.
        """
        reports: list[LoadReport] = []
        if self.processes.is_root:
            for path in [resolve_path(str(path), self.file.path) for path in paths]:
                reports.append(load_weights(self.module, path).raise_mismatches())
                self.tester.load_weights(path)
        self.processes.copy_from_root([*self.updater.blobs, *self.tester.blobs])
        return reports

    def step(self, n: int) -> dict[str, Tensor]:
        """Trains n iterations, fewer where a signal stops it.

        Returns the outputs of the last forward pass.
        """
        outputs: dict[str, Tensor] = {}
        self.is_stopping = False
        for _ in range(n):
            if self._is_test_due():
                self.test()
                if self.is_stopping:
                    break
            outputs = self._iterate()
            self._heed_requests()
            if self.is_stopping:
                break
        return outputs

    def _iterate(self) -> dict[str, Tensor]:
        """One iteration: forward and backward iter_size times, display, update, snapshot."""
        p = self.param
        is_shown = bool(p.display) and self.iter % p.display == 0
        self._seed()
        self._held = self.carried.held()
        self.updater.zero_grad()
        outputs: dict[str, Tensor] = {}
        total = torch.zeros((), device=self.device)
        for part in range(p.iter_size):
            loss, outputs = self._forward_backward(
                is_last=part == p.iter_size - 1, with_info=is_shown and p.debug_info
            )
            total += loss
        self.losses.append(total / p.iter_size)
        self._require_finite(is_shown)
        if is_shown:
            self._display(outputs)
        self.updater.apply(self.lr, self.iter)
        self.iter += 1
        self.train_batches += p.iter_size
        self.listener.iterated(self.iter)
        if p.snapshot and self.iter % p.snapshot == 0:
            self._snapshot_in_passing()
        return {name: value.detach() for name, value in outputs.items()}

    def _forward_backward(self, is_last: bool, with_info: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Adds to the gradients.

        After the last part of an iteration they are the mean over the processes.
        """
        info = DebugInfo(self.net, self.module) if with_info else None
        outputs = self._train_feed().forward(info.forward if info else None)
        loss = self._backward.run(outputs, is_last)
        if info:
            info.add_backward()
            self.listener.debugged(info.lines)
        return loss, outputs

    def _require_finite(self, is_shown: bool) -> None:
        """Raises NetspecError where the loss is no finite number.

        On the CPU that is before it reaches the weights. A GPU's losses are looked at every
        LOOKS_ON_GPU iterations, when they are displayed, and before a snapshot: up to 15 updates
        may pass by then. Weights that are not finite are never saved.
        """
        p = self.param
        if self.device.type == "cuda" and not (
            is_shown
            or self.iter % LOOKS_ON_GPU == 0
            or (p.snapshot and (self.iter + 1) % p.snapshot == 0)
        ):
            return
        own = self.losses.last
        self.losses.agree(self.processes)
        if isfinite(self.losses.last):
            return
        if isfinite(own):
            raise OthersLostError(
                f"the loss of another process is not finite at iteration {self.iter}"
            )
        self._report_not_finite(own)

    def _report_not_finite(self, loss: float) -> NoReturn:
        """Makes the iteration's forward passes again, and looks at every layer.

        Batches and masks are the same.
        """
        self._close_feed()
        self._seed()
        self.carried.put_back(self._held)
        tell = partial(
            report_not_finite, self.net, self.module, loss, self.iter, self.file.spans.at("base_lr")
        )
        for _ in range(self.param.iter_size):
            self._train_feed().forward(tell)
        raise loss_fault(loss, self.iter, None, self.file.spans.at("base_lr"))

    def _display(self, outputs: dict[str, Tensor]) -> None:
        """Tells the smoothed loss and the outputs, as means over the processes."""
        values = numbers(outputs)
        flat = iter(self.processes.means([number for own in values.values() for number in own]))
        self.listener.displayed(
            self.iter,
            self.losses.smoothed,
            {name: [next(flat) for _ in own] for name, own in values.items()},
            self.lr,
        )

    def solve(self) -> None:
        """Trains up to max_iter, with the tests and snapshots that the solver file asks for."""
        p = self.param
        self.step(max(0, p.max_iter - self.iter))
        if p.snapshot_after_train and not self.processes.broadcast(self.snapshots.has(self.iter)):
            self.snapshot()
        if self.is_stopping:
            return
        loss = None
        # Caffe shows the loss of one more forward pass, without an update
        if p.display and self.iter % p.display == 0:
            self._seed()
            held = self.carried.held()
            with torch.no_grad():
                self.losses.append(self._forward_loss())
            self.losses.agree(self.processes)
            loss = self.losses.smoothed
            self._close_feed()  # further iterations begin with the batch that this pass has used
            self.carried.put_back(held)
        self.listener.finished(self.iter, loss)
        if p.test_interval and self.iter % p.test_interval == 0:
            self.test()

    def _forward_loss(self) -> Tensor:
        return self.module.loss(self._train_feed().forward())

    def _is_test_due(self) -> bool:
        p = self.param
        return (
            bool(p.test_interval)
            and self.iter % p.test_interval == 0
            and (self.iter > 0 or p.test_initialization)
        )

    def test(self) -> list[Values]:
        """Runs every test net for its test_iter; returns the mean of each output over the batches.

        A signal may end it early.
        """
        # BatchNorm's statistics are each process's own in training; carried states stay so
        self.processes.copy_from_root(
            [blob for blob in self.updater.blobs if not isinstance(blob, nn.Parameter)]
        )
        self.before_test = before_test(self)
        results: list[Values] = []
        told: set[str] = set()
        for index, count in enumerate(self.param.test_iter):
            if not count:  # the net is built, and that is all
                results.append({})
                continue
            means = self.tester.run(index, count, self.seed, partial(self._goes_on, index, count))
            if means is None:  # whoever goes on begins this test anew
                self.tester.batches = list(self.before_test.batches)
                self.carried.put_back(self.before_test.states)
                break
            results.append(means.outputs)
            self.listener.tested(
                self.iter,
                index,
                means.outputs,
                means.loss if self.param.test_compute_loss else None,
            )
            metric = self.snapshots.retention.keep_best
            if metric in means.outputs and metric not in told:
                companion = companion_of(self)
                if self.processes.is_root:
                    self.snapshots.keep_best(companion, means.outputs[metric][0])
            told.update(means.outputs)
        return results

    def _goes_on(self, index: int, count: int, batch: int) -> bool:
        self.listener.testing(self.iter, index, batch, count)
        self._heed_requests()
        return not self.is_stopping

    def snapshot(self) -> Path:
        """Writes weights and state; returns the path of the state.

        Raises: NetspecError where the weights are no longer finite or the files can't be written;
            earlier snapshots stand.
        """
        companion = companion_of(self)
        if self.processes.is_root:
            self.snapshots.write(companion)
        return self.snapshots.state_path(self.iter)

    def _snapshot_in_passing(self) -> None:
        companion = companion_of(self)
        if self.processes.is_root:
            self.snapshots.write_in_passing(companion)

    @property
    def records_a_batch(self) -> int:
        """Records that all processes together read in one forward pass."""
        return self.batch_size * self.processes.count

    def restore(self, path: str | Path) -> None:
        """Goes on from a .solverstate, with the companion beside it bit for bit.

        Rank 0 reads them for all.

        An original's state has no companion: its data goes on with the batch that the iteration
        would have read.

        Raises: NetspecError where a file is missing or damaged, or belongs to another net or
            solver.
        """
        self.iter, self.resumed_from = self.processes.broadcast(
            self.snapshots.read(path) if self.processes.is_root else None
        )
        self.processes.copy_from_root([*self.updater.blobs, *self.updater.history])
        self.close()
        go_on(self, self.resumed_from, path)
        self.listener.restored(self.iter, Path(path))

    def close(self) -> None:
        """Ends the reading of data."""
        self._close_feed()
        self.tester.close()

    def leave(self) -> None:
        """Ends the reading of data and the membership in the run's processes.

        What is of DistributedDataParallel goes first: freed after its group, it may never return.
        """
        self.close()
        members, self.processes = self.processes, Processes()
        self.requests = Requests(self.processes)
        self.tester.processes = self.processes
        self._backward = Backward(self.module, self.processes)
        members.leave()

    def _close_feed(self) -> None:
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def _train_feed(self) -> Feed:
        if self._feed is None:
            shard = Shard(self.processes.rank, self.processes.count)
            self._feed = Feed(
                self.net,
                self.module,
                self.device,
                mixed_seed(self.seed, "TRAIN"),
                self.train_batches,
                shard,
            )
        return self._feed

    def _heed_requests(self) -> None:
        """Does what a signal to any of the processes has asked for."""
        request, number = self.requests.agreed()
        if request == "snapshot":
            self._snapshot_in_passing()
        elif request == "stop":
            self.is_stopping, self.stopped_by = True, number

    def _seed(self) -> None:
        """Seeds all generators for this iteration and process."""
        seed_generators(
            mixed_seed(
                self.seed,
                "iteration",
                self.iter,
                *([self.processes.rank] if self.processes.rank else []),
            ),
            self.net,
        )
