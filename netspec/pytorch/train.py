"""The training loop, as Caffe runs it. Source: Caffe's Solver::Step, Solve, Test."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from netspec.data.paths import resolve_path
from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from netspec.pipeline import assemble, read_net
from netspec.pytorch.feed import Feed
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.module import NetModule
from netspec.pytorch.seeds import draw_seed, mixed_seed
from netspec.pytorch.sharing import tie_params
from netspec.pytorch.snapshot import read_snapshot, write_snapshot
from netspec.pytorch.updates import Updater
from netspec.pytorch.weights import LoadReport, load_weights
from netspec.schema import caffe_pb2
from netspec.solver import NET_PATH_HINT, Listener, NetSource, find_net, learning_rate, load_solver
from netspec.syntax.read import read_source


@dataclass(slots=True)
class Overrides:
    """What the command line sets in place of the files' values, for a trial run."""

    max_iter: int | None = None
    batch_size: int | None = None
    test_iter: int | None = None
    test_interval: int | None = None
    display: int | None = None
    base_lr: float | None = None
    snapshot_prefix: str | None = None
    level: int = 0
    stages: list[str] = field(default_factory=list)


class Solver:
    """A training run: `step(n)`, `solve()`, `snapshot()`, `restore(path)`.

    Args:
        path: the solver file.
        device: where to compute; None takes a GPU where there is one and the file does not say CPU.
        allow_python_layers: run the Python code that layers of type Python name; it can do anything.

    Raises: NetspecError where the solver, one of its nets, or the data is wrong.
    """

    def __init__(
        self,
        path: str | Path,
        overrides: Overrides | None = None,
        device: str | None = None,
        listener: Listener | None = None,
        allow_python_layers: bool = False,
    ) -> None:
        self.overrides = overrides or Overrides()
        self.allow_python_layers = allow_python_layers
        self.file = load_solver(path)
        self.param = _overridden(self.file.message, self.overrides)
        self.listener = listener or Listener()
        self.seed = self.param.random_seed if self.param.random_seed >= 0 else draw_seed()
        self.device = torch.device(device or _default_device(self.param))
        self.iter = 0
        self.request: str | None = None  # "stop" or "snapshot", set by a signal; heeded after the iteration
        train_source, test_sources = self.file.train_net, self.file.test_nets
        self.net = self._load_net(train_source, self.overrides.level, self.overrides.stages)
        self.module: NetModule = lower(self.net)
        fill_params(self.module, self.net, mixed_seed(self.seed, "fillers"))
        self.module.to(self.device)
        self.test_nets: list[Net] = [self._load_net(source) for source in test_sources]
        self.test_modules: list[NetModule] = [self._test_module(net) for net in self.test_nets]
        self.updater = Updater(self.param, *learnable(self.net, self.module))
        self._losses: deque[Tensor] = deque(maxlen=self.param.average_loss)
        self._feed: Feed | None = None
        self._test_feeds: dict[int, Feed] = {}
        for weights in self.param.weights:
            self.load_weights([name for name in weights.split(",") if name])

    @property
    def lr(self) -> float:
        """The learning rate of the iteration that comes next, before any lr_mult."""
        return learning_rate(self.param, self.iter)

    @property
    def batch_size(self) -> int:
        """Items in one forward pass: the first axis of the first data top."""
        for name in [*self.net.sources, *self.net.inputs]:
            shape = self.net.blobs[name].shape
            if shape:
                return shape[0]
        return 1

    def load_weights(self, paths: Iterable[str | Path]) -> list[LoadReport]:
        """Loads weight files one after the other, to fine-tune. Raises: NetspecError where one does not fit."""
        return [load_weights(self.module, resolve_path(str(path), self.file.path)).raise_mismatches() for path in paths]

    def step(self, n: int) -> dict[str, Tensor]:
        """Trains n iterations; returns the outputs of the last forward pass."""
        outputs: dict[str, Tensor] = {}
        for _ in range(n):
            if self._is_test_due():
                self.test()
            outputs = self._iterate()
            if self.request == "snapshot":
                self.request = None
                self.snapshot()
            if self.request == "stop":
                break
        return outputs

    def _iterate(self) -> dict[str, Tensor]:
        """One iteration: forward and backward iter_size times, display, update, snapshot."""
        p = self.param
        if self._feed is None:
            self._feed = Feed(self.net, self.module, self.device, mixed_seed(self.seed, "TRAIN"), self.iter * p.iter_size)
        torch.manual_seed(mixed_seed(self.seed, "iteration", self.iter))  # a resumed run draws what this one would have drawn
        self.updater.zero_grad()
        outputs: dict[str, Tensor] = {}
        total: Tensor | None = None
        for _ in range(p.iter_size):
            outputs = self._feed.forward()
            loss = self.module.loss(outputs)
            if loss.requires_grad:
                loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        self._losses.append(total / p.iter_size)
        if p.display and self.iter % p.display == 0:
            smoothed = float(torch.stack(list(self._losses)).mean())
            self.listener.displayed(self.iter, smoothed, _numbers(outputs), self.lr)
            if not isfinite(smoothed):
                message = f"the loss is {smoothed} at iteration {self.iter}; the run stops and writes no snapshot of it"
                raise NetspecError(message, self.file.spans.at("base_lr"), "a lower base_lr, clip_gradients, or another filler may help")
        self.updater.apply(self.lr, self.iter)
        self.iter += 1
        self.listener.iterated(self)
        if p.snapshot and self.iter % p.snapshot == 0:
            self.snapshot()
        return {name: value.detach() for name, value in outputs.items()}

    def solve(self) -> None:
        """Trains up to max_iter, with the tests and snapshots that the solver file asks for."""
        p = self.param
        self.step(max(0, p.max_iter - self.iter))
        if p.snapshot_after_train and not (p.snapshot and self.iter % p.snapshot == 0):
            self.snapshot()
        if self.request == "stop":
            return
        if self._is_test_due():
            self.test()

    def _is_test_due(self) -> bool:
        p = self.param
        return bool(p.test_interval) and self.iter % p.test_interval == 0 and (self.iter > 0 or p.test_initialization)

    def test(self) -> list[dict[str, list[float]]]:
        """Runs every test net for its test_iter; returns the mean of each output over the batches.

        The mean is over batches, not over records: where the data wraps around, some records count twice.
        """
        results = []
        for index, (net, module) in enumerate(zip(self.test_nets, self.test_modules, strict=True)):
            if index not in self._test_feeds:
                start = self._tests_done() * self.param.test_iter[index]
                self._test_feeds[index] = Feed(net, module, self.device, mixed_seed(self.seed, "TEST", index), start)
            sums: dict[str, Tensor] = {}
            with torch.no_grad():
                for batch in range(self.param.test_iter[index]):
                    self.listener.testing(index, batch, self.param.test_iter[index])
                    for name, value in self._test_feeds[index].forward().items():
                        sums[name] = sums[name] + value if name in sums else value.clone()
            means = {name: value / self.param.test_iter[index] for name, value in sums.items()}
            results.append(_numbers(means))
            self.listener.tested(self.iter, index, results[-1])
        return results

    def _tests_done(self) -> int:
        """How many tests come before this iteration's: where a resumed run takes up the test data."""
        p = self.param
        if not p.test_interval:
            return 0
        return (self.iter + p.test_interval - 1) // p.test_interval - (0 if p.test_initialization or self.iter == 0 else 1)

    def snapshot(self) -> Path:
        """Writes weights and state; returns the path of the state."""
        hdf5 = self.param.snapshot_format == caffe_pb2.SolverParameter.HDF5
        path = write_snapshot(self.snapshot_prefix, self.iter, self.module, self.updater, hdf5)
        self.listener.saved(path)
        return path

    @property
    def snapshot_prefix(self) -> str:
        """What the names of snapshots begin with; in a folder, the solver file's name is added."""
        prefix = self.overrides.snapshot_prefix or self.file.snapshot_prefix
        return str(Path(prefix) / Path(self.file.path).stem) if Path(prefix).is_dir() else prefix

    def restore(self, path: str | Path) -> None:
        """Goes on from a .solverstate; the data goes on where that iteration would have read."""
        self.iter = read_snapshot(path, self.module, self.updater)
        self.close()
        self._losses.clear()

    def close(self) -> None:
        """Ends the reading of data."""
        for feed in [self._feed, *self._test_feeds.values()]:
            if feed is not None:
                feed.close()
        self._feed, self._test_feeds = None, {}

    def _load_net(self, source: NetSource, level: int = 0, stages: Iterable[str] = ()) -> Net:
        """One of the solver's nets, for the state that the solver gives it."""
        report = Report()
        if source.path is not None:
            path = find_net(source, self.file)
            if path is None:
                raise NetspecError(f"the net '{source.path}' is not there", source.span, NET_PATH_HINT)
            message, spans = read_net(read_source(path), report)
        else:
            assert source.message is not None
            assert source.spans is not None
            path, message, spans = self.file.path, caffe_pb2.NetParameter(), source.spans
            message.CopyFrom(source.message)
        state = caffe_pb2.NetState(phase=source.state.phase)
        state.MergeFrom(message.state)
        state.MergeFrom(source.state)
        state.level = level or state.level
        state.stage.extend(stages)
        if self.overrides.batch_size:
            _set_batch_size(message, self.overrides.batch_size)
        net = assemble(message, spans, state, report, allow_python_layers=self.allow_python_layers)
        net.path = path
        report.raise_errors()
        return net

    def _test_module(self, net: Net) -> NetModule:
        module = lower(net).to(self.device)
        fill_params(module, net, mixed_seed(self.seed, "test fillers"))
        tie_params(module, self.module)
        return module


def _overridden(message: caffe_pb2.SolverParameter, overrides: Overrides) -> caffe_pb2.SolverParameter:
    p = caffe_pb2.SolverParameter()
    p.CopyFrom(message)
    for name in ("max_iter", "display", "test_interval", "base_lr"):
        value = getattr(overrides, name)
        if value is not None:
            setattr(p, name, value)
    if overrides.test_iter is not None:
        p.test_iter[:] = [overrides.test_iter] * len(p.test_iter)
    return p


def _set_batch_size(message: caffe_pb2.NetParameter, size: int) -> None:
    for layer in message.layer:
        for name in ("data_param", "image_data_param", "hdf5_data_param", "window_data_param", "memory_data_param"):
            if layer.HasField(name):
                getattr(layer, name).batch_size = size


def _default_device(p: caffe_pb2.SolverParameter) -> str:
    says_cpu = p.HasField("solver_mode") and p.solver_mode == caffe_pb2.SolverParameter.CPU
    return f"cuda:{p.device_id}" if torch.cuda.is_available() and not says_cpu else "cpu"


def learnable(net: Net, module: NetModule) -> tuple[list[Tensor], list[tuple[float, float]]]:
    """Every owned blob in Caffe's order, with its multipliers."""
    blobs, multipliers = [], []
    for layer, layer_blobs in zip(net.layers, module.layer_params, strict=True):
        for param, blob in zip(layer.params, layer_blobs, strict=True):
            if param.owner is None:
                blobs.append(blob)
                multipliers.append((param.lr_mult, param.decay_mult))
    return blobs, multipliers


def _numbers(outputs: dict[str, Tensor]) -> dict[str, list[float]]:
    return {name: value.detach().float().reshape(-1).tolist() for name, value in outputs.items()}
