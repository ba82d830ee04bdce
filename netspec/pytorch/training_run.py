"""A training run between two iterations: nets, weights, data, tests and snapshots.

Source: Caffe's Solver::Init, Test, Snapshot, Restore.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from netspec.files.paths import resolve_path
from netspec.graph import Net
from netspec.listener import Listener, Values
from netspec.options import net_options
from netspec.pytorch.allocator import keep_freed_memory
from netspec.pytorch.backward import Backward
from netspec.pytorch.carried import Carried, Held
from netspec.pytorch.compiled_pass import CompiledPass
from netspec.pytorch.device import default_device
from netspec.pytorch.feed import Feed
from netspec.pytorch.loss_scale import loss_scale_of
from netspec.pytorch.losses import Losses
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.module import NetModule
from netspec.pytorch.optimize import lay_channels_last
from netspec.pytorch.place import BeforeTest, before_test, companion_of, go_on
from netspec.pytorch.precision import require_precision, set_precision
from netspec.pytorch.processes import Processes
from netspec.pytorch.requests import Requests
from netspec.pytorch.seeds import draw_seed, mixed_seed, seed_generators
from netspec.pytorch.snapshot import Snapshots
from netspec.pytorch.solver_nets import (
    aim_retention,
    learnable,
    load_test_nets,
    load_train_net,
)
from netspec.pytorch.tester import Tester
from netspec.pytorch.training_forward import TrainingForward
from netspec.pytorch.updates import Updater
from netspec.pytorch.weights import LoadReport, load_part, require_choice
from netspec.readers.crew import default_workers
from netspec.readers.reader import Shard
from netspec.schema import caffe_pb2
from netspec.solver.checkpoints import require_checkpoint
from netspec.solver.evaluation import evaluation_of
from netspec.solver.fork_settings import require_carried_out
from netspec.solver.learning_rate import learning_rate
from netspec.solver.run_options import PRECISIONS, Overrides
from netspec.solver.solver_file import load_solver
from netspec.weights.choice import WeightChoice
from netspec.weights.companion import Companion
from netspec.weights.retention import Retention


class TrainingRun:
    """What a training run holds, and what it does beside its iterations.

    Args: those of `Solver`, which adds the loop.
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
        precision: str | None = None,
        exact: bool = False,
        checkpoint: str = "none",
        compile: bool = False,
        workers: int | None = None,
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
        self.asked_precision = precision  # None: that of the snapshot it goes on from, or fp32
        self.precision = precision or PRECISIONS[0]
        require_precision(self.precision, self.device)
        require_checkpoint(checkpoint, compile)
        self.iter = 0
        self.workers = default_workers(self.processes.local_count) if workers is None else workers
        self.train_batches = 0  # that have been read of the training data
        self.requests = Requests(self.processes)
        self.is_stopping = False
        self.stopped_by = 0  # the signal that has stopped the run
        options = net_options(
            allow_python_layers=allow_python_layers, dialect=dialect, strict=strict
        )
        self.net: Net = load_train_net(self.file, self.overrides, self.processes.count, options)
        self.loss_scale = loss_scale_of(self.net, self.precision)
        keep_freed_memory(self.device)
        self.module: NetModule = lower(self.net)
        set_precision(self.module, self.precision, self.device)
        fill_params(self.module, self.net, mixed_seed(self.seed, "fillers"))
        self.module.to(self.device)
        test_nets = load_test_nets(self.file, self.overrides, self.processes.count, options)
        if not exact:
            lay_channels_last(self.module, self.device, test_nets)
        self.updater = self._make_updater()
        self.processes.copy_from_root(self.updater.blobs)
        self.listener = listener or Listener()
        # how a batch goes through the train net: as torch compiles it, or as it is
        self.forward_pass: CompiledPass | TrainingForward = (
            CompiledPass(self.module, self.device, learns=True, adds_up=p.iter_size > 1)
            if compile
            else TrainingForward(self.module, exact, checkpoint == "auto")
        )
        self.tester = self._make_tester(test_nets)
        self.tester.workers = self.workers
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
        return Tester(
            nets,
            self.module,
            self.device,
            self.processes,
            debug,
            evaluation,
            self.precision,
            isinstance(self.forward_pass, CompiledPass),
        )

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

    def load_weights(
        self, paths: Iterable[str | Path], choice: WeightChoice | None = None
    ) -> list[LoadReport]:
        """Loads weight files one after the other, to fine-tune; rank 0 reads them for all.

        Args: choice: which layers of the files are taken, and for which layers of the net.
        Raises: NetspecError where one does not fit, or has no layer of the net.
        """
        choice = choice or WeightChoice()
        reports: list[LoadReport] = []
        if self.processes.is_root:
            for path in [resolve_path(str(path), self.file.path) for path in paths]:
                reports.append(load_part(self.module, path, choice))
                self.tester.load_weights(path, choice)
            if reports or choice.names:
                require_choice(choice, self.module, reports)
            for report in reports:
                report.raise_mismatches()
        self.processes.copy_from_root([*self.updater.blobs, *self.tester.blobs])
        return reports

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
        seen: set[str] = set()
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
            if metric in means.outputs and metric not in seen:
                companion = companion_of(self)
                if self.processes.is_root:
                    self.snapshots.keep_best(companion, means.outputs[metric][0])
            seen.update(means.outputs)
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

        Rank 0 reads the files for all.

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
                workers=self.workers,
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
            self.device,
        )
