"""How a training run is asked for: what `netspec train` has as options, as values. Torch-free."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from netspec.diagnostics import NetspecError
from netspec.schema import caffe_pb2
from netspec.signals import SIGNAL_EFFECTS, STOP
from netspec.solver.checkpoints import require_checkpoint
from netspec.weights.choice import WeightChoice

PRECISIONS = ("fp32", "bf16", "fp16", "tf32")


@dataclass(slots=True)
class Overrides:
    """What is set in place of the files' values, for a trial run.

    Args:
        max_iter, test_iter, test_interval, display, base_lr: as in the solver file.
        batch_size: of the train net and the test nets.
        snapshot_prefix: what the names of snapshots begin with, or a folder for them.
        level, stages: the train net's state.
        global_batch: the train net's batch_size is that of all processes together.
        skip_weights: do not load the file's `weights`: others, or a snapshot, come in their place.
        solver_type: the update rule, whatever `type` says.
        seed: the random_seed of a file that gives none.
    """

    max_iter: int | None = None
    batch_size: int | None = None
    test_iter: int | None = None
    test_interval: int | None = None
    display: int | None = None
    base_lr: float | None = None
    snapshot_prefix: str | None = None
    level: int = 0
    stages: list[str] = field(default_factory=list)
    global_batch: bool = False
    skip_weights: bool = False
    solver_type: str | None = None
    seed: int | None = None

    def applied_to(self, message: caffe_pb2.SolverParameter) -> caffe_pb2.SolverParameter:
        """The solver's settings with these in their place."""
        p = caffe_pb2.SolverParameter()
        p.CopyFrom(message)
        for name in ("max_iter", "display", "test_interval", "base_lr"):
            value = getattr(self, name)
            if value is not None:
                setattr(p, name, value)
        if self.test_iter is not None:
            p.test_iter[:] = [self.test_iter] * len(p.test_iter)
        if self.skip_weights:
            del p.weights[:]
        if self.solver_type is not None:
            p.type = self.solver_type
        if self.seed is not None and p.random_seed < 0:
            p.random_seed = self.seed
        return p


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where a run begins, what it writes, and what ends it.

    Args:
        snapshot: the .solverstate to continue from.
        resume: continue from the newest whole snapshot of the solver; begin where there is none.
        overwrite: begin anew where an earlier run has left a log or snapshots of the same name.
        weights: weight files to begin with, in place of the solver file's; a later one wins.
        choice: which layers of the weight files are taken, and for which layers of the net.
        device: where to compute; None takes a GPU where there is one and the file does not say CPU.
        precision: of convolutions and dense layers: fp32, bf16, fp16, or where a GPU has it tf32;
            params, updates and snapshots are fp32 in all of them. None is that of the snapshot that
            the run goes on from, else fp32.
        exact: without what changes the order of sums: BatchNorm and Scale as one, blobs that
            lie channels last on the CPU.
        checkpoint: "auto" computes segments of layers again in the backward pass instead of keeping
            their values, so that the step takes less memory and more time; "none" keeps them.
        compile: torch.compile compiles the nets when they first run.
        workers: threads that decode and transform the data in each process, as in `batches`.
        log: the file for JSON lines; a run that is continued appends to it.
        caffe_log: the file for the same in the form of Caffe's own log.
        tensorboard: the folder for TensorBoard's scalars.
        keep_last: how many snapshots stay; None keeps all.
        keep_best: the output of a test net whose best test's snapshot stays too: NAME, NAME:max or
            NAME:min.
        sigint_effect: what SIGINT and SIGTERM do: "stop", "snapshot" or "none".
        sighup_effect: what SIGHUP does.
        overrides: values in place of the files'.
        allow_python_layers: run the Python code that layers of type Python name; it can do
            anything.
        plugins: Python files that define layer types; they are run.
        dialect: the fork whose rules the nets follow, where a layer type has several.
        strict: warnings of the solver's and the nets' files are errors.

    Raises: NetspecError where two of them exclude each other.
    """

    snapshot: str | Path | None = None
    resume: bool = False
    overwrite: bool = False
    weights: tuple[str | Path, ...] = ()
    choice: WeightChoice = field(default_factory=WeightChoice)
    device: str | None = None
    precision: str | None = None
    exact: bool = False
    checkpoint: str = "none"
    compile: bool = False
    workers: int | None = None
    log: str | Path | None = None
    caffe_log: str | Path | None = None
    tensorboard: str | Path | None = None
    keep_last: int | None = None
    keep_best: str | None = None
    sigint_effect: str = "stop"
    sighup_effect: str = "snapshot"
    overrides: Overrides = field(default_factory=Overrides)
    allow_python_layers: bool = False
    plugins: tuple[str | Path, ...] = ()
    dialect: str | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if self.snapshot and (self.weights or self.resume):
            other = "--weights begins a run" if self.weights else "--resume looks for a state"
            raise NetspecError(f"--snapshot names a state to go on from, {other}; give one of them")
        if self.snapshot and self.choice.names:
            raise NetspecError(
                "--snapshot names a state to go on from, whose weights are taken as they are: "
                "--rename and --skip-layer go with --weights"
            )
        if self.resume and self.overwrite:
            raise NetspecError(
                "--resume goes on with the run before, --overwrite begins anew; give one of them"
            )
        if self.log and self.caffe_log and os.fspath(self.log) == os.fspath(self.caffe_log):
            raise NetspecError("--log and --caffe-log name the same file")
        require_checkpoint(self.checkpoint, self.compile)
        for name in ("sigint_effect", "sighup_effect"):
            if getattr(self, name) not in SIGNAL_EFFECTS:
                raise NetspecError(
                    f"'{name}' is {', '.join(SIGNAL_EFFECTS[:-1])} or {SIGNAL_EFFECTS[-1]}, "
                    f"got '{getattr(self, name)}'"
                )

    def effect_of(self, number: int) -> str:
        """What a signal does to the run: 'stop', 'snapshot' or 'none'."""
        return self.sigint_effect if number in STOP else self.sighup_effect
