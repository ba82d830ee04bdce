"""What a solver file will do, before it does it: rates, data, tests, snapshots. Torch-free.

Source: Caffe's Solver::Step, Solve; SGDSolver::GetLearningRate.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from math import isfinite

from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.layers import batched_param
from netspec.passes.count_cost import param_count
from netspec.schema import caffe_pb2
from netspec.schema.forks import stated
from netspec.solver.learning_rate import learning_rate, step_iterations
from netspec.solver.solver_file import SolverFile
from netspec.weights.read_bytes import PROTOBUF_LIMIT
from netspec.weights.snapshot_size import size_text, state_bytes, weights_bytes

# policies whose rate changes at some iterations only
CONSTANT_PIECES = ("fixed", "step", "multistep")
MAX_PIECES, SAMPLES = 24, 10  # rows of the rates, by the kind of policy
_SMALLEST, _LARGEST = 2.0**-149, 3.4028235e38  # of Caffe's floats


@dataclass(frozen=True, slots=True)
class RateRow:
    """A row of the rates: iterations, both inclusive, and their rate.

    In a sample first and last are the same.
    """

    first: int
    last: int
    rate: float


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of a run: its constant pieces, or a sample of its iterations."""

    rows: list[RateRow]
    is_sample: bool
    omitted: int = 0  # pieces left out before the last row


@dataclass(frozen=True, slots=True)
class Reading:
    """What a net reads.

    Items in a forward pass, records in one pass over its data, each None where it is not known.
    """

    batch: int | None = None
    size: int | None = None
    why: str = ""  # why the size is not known


@dataclass(frozen=True, slots=True)
class PlannedTest:
    """What one of the tests reads."""

    net: str
    stages: list[str]
    batches: int
    reading: Reading

    @property
    def images(self) -> int | None:
        """That one test reads."""
        return None if self.reading.batch is None else self.batches * self.reading.batch


@dataclass(frozen=True, slots=True)
class SnapshotPlan:
    """When snapshots are written and how many bytes one takes.

    The size is None where the net's params are not known.
    """

    iterations: int  # from one to the next; 0: at the end only
    count: int
    prefix: str
    weights: int | None = None
    state: int | None = None

    @property
    def each(self) -> int | None:
        return None if self.weights is None or self.state is None else self.weights + self.state

    @property
    def total(self) -> int | None:
        return None if self.each is None else self.count * self.each


@dataclass(slots=True)
class Schedule:
    """All that is known of a run before it begins."""

    path: str
    param: caffe_pb2.SolverParameter
    rates: Rates
    train: Reading
    tests: list[PlannedTest]
    test_count: int
    snapshots: SnapshotPlan
    net: str | None = None  # its name; None where it can't be read
    param_count: int | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def images_per_iteration(self) -> int | None:
        return None if self.train.batch is None else self.train.batch * self.param.iter_size

    def images(self, iterations: int) -> int | None:
        """Images that so many iterations read."""
        return None if self.images_per_iteration is None else iterations * self.images_per_iteration

    def epochs(self, iterations: int) -> float | None:
        """Passes over the train data that so many iterations make."""
        images = self.images(iterations)
        return None if images is None or not self.train.size else images / self.train.size


def make_schedule(
    file: SolverFile,
    param: caffe_pb2.SolverParameter,
    nets: list[Net | None],
    points: int | None = None,
) -> Schedule:
    """What the solver will do.

    Args:
        param: the file's settings, or those with the command line's in their place.
        nets: the train net, then the test nets; None where one can't be read.
        points: rows of the rates at most.
    """
    train, tests = nets[0], nets[1:]
    schedule = Schedule(
        path=file.path,
        param=param,
        rates=make_rates(param, points),
        train=data_of(train),
        tests=[
            PlannedTest(
                source.path or (net.name if net else "") or file.path,
                list(source.given.stage),
                iterations,
                data_of(net),
            )
            for source, net, iterations in zip(file.test_nets, tests, param.test_iter, strict=True)
        ],
        test_count=count_tests(param),
        snapshots=plan_snapshots(param, file.snapshot_prefix, train),
        net=train.name if train else None,
        param_count=param_count(train) if train and has_all_params(train) else None,
    )
    schedule.warnings = [*_rate_warnings(param), *_snapshot_warnings(schedule.snapshots, param)]
    return schedule


def make_rates(p: caffe_pb2.SolverParameter, points: int | None = None) -> Rates:
    """The rows of the rates.

    There is a row for each constant piece, or so many samples and the last iteration.
    """
    if p.lr_policy not in CONSTANT_PIECES or stated(p, "warmup_iter"):
        count = min(points or SAMPLES, p.max_iter)
        iterations = (
            sorted({i * p.max_iter // count for i in range(count)} | {p.max_iter - 1})
            if count
            else []
        )
        return Rates([RateRow(i, i, learning_rate(p, i)) for i in iterations], is_sample=True)
    most = max(2, points or MAX_PIECES)
    starts = piece_starts(p)
    omitted = max(0, len(starts) - most)
    kept = range(len(starts)) if not omitted else [*range(most - 1), len(starts) - 1]
    rows = []
    for i in kept:
        end = starts[i + 1] if i + 1 < len(starts) else p.max_iter
        rows.append(RateRow(starts[i], end - 1, learning_rate(p, starts[i])))
    return Rates(rows, is_sample=False, omitted=omitted)


def piece_starts(p: caffe_pb2.SolverParameter) -> range | list[int]:
    """The iterations of the run at which a rate begins."""
    if p.lr_policy == "step":
        return range(0, p.max_iter, p.stepsize)
    steps = step_iterations(p) if p.lr_policy == "multistep" else []
    return sorted({0, *(at for at in steps if 0 < at < p.max_iter)}) if p.max_iter else []


def data_of(net: Net | None) -> Reading:
    """What a net's first data layer feeds."""
    layer = (
        next((layer for layer in net.layers if layer.top_blobs and not layer.bottom_blobs), None)
        if net
        else None
    )
    if net is None or layer is None:
        return Reading()
    shape = layer.top_blobs[0].shape
    batched = batched_param(layer.message)
    batch = (batched[1].batch_size if batched else 0) or (shape[0] if shape else None)
    from netspec.readers.batches import dataset_size  # numpy comes with it

    try:
        size = dataset_size(net)
    except NetspecError as error:
        return Reading(batch, None, error.diagnostics[0].message)
    return Reading(
        batch,
        size,
        "" if size else f"a layer of type {layer.type} does not say how many records it has",
    )


def count_tests(p: caffe_pb2.SolverParameter) -> int:
    """How often all test nets are tested: at every multiple of test_interval, the last included."""
    if not p.test_interval or not p.test_iter:
        return 0
    return p.max_iter // p.test_interval + p.test_initialization if p.max_iter else 1


def plan_snapshots(p: caffe_pb2.SolverParameter, prefix: str, net: Net | None) -> SnapshotPlan:
    """How many snapshots there will be, the final one included, and how large."""
    count = p.max_iter // p.snapshot if p.snapshot else 0
    if p.snapshot_after_train and (not p.snapshot or p.max_iter % p.snapshot):
        count += 1
    if net is None or not has_all_params(net):
        return SnapshotPlan(p.snapshot, count, prefix)
    hdf5 = p.snapshot_format == caffe_pb2.SolverParameter.HDF5
    weights = weights_bytes(net, hdf5, p.snapshot_diff)
    state = state_bytes(net, p.type, p.max_iter, f"{prefix}_iter_{p.max_iter}.caffemodel", hdf5)
    return SnapshotPlan(p.snapshot, count, prefix, weights, state)


def has_all_params(net: Net) -> bool:
    """Whether the shapes of all params are known: not below data whose size is not."""
    return all(blob.shape is not None for layer in net.layers for blob in layer.top_blobs)


def first_bad_iteration(p: caffe_pb2.SolverParameter) -> int | None:
    """The first iteration of the run whose rate is 0, negative or no number, in Caffe's floats.

    Returns None where there is none.

    Every policy moves in one direction, so once it has come to that it stays so. A bad start is the
    solver check's to tell.
    """
    last = p.max_iter - 1
    if last < 0 or _is_bad(learning_rate(p, 0)) or not _is_bad(learning_rate(p, last)):
        return None
    good, bad = 0, last
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if _is_bad(learning_rate(p, middle)) else (middle, bad)
    return bad


def _is_bad(rate: float) -> bool:
    return not isfinite(rate) or not _SMALLEST <= rate <= _LARGEST


def _rate_warnings(p: caffe_pb2.SolverParameter) -> list[str]:
    bad = first_bad_iteration(p)
    if bad is None:
        return []
    rate = learning_rate(p, bad)
    what = (
        "is 0: nothing more is learned"
        if abs(rate) < _SMALLEST
        else f"is {'inf' if rate > _LARGEST else f'{rate:g}'}"
    )
    return [f"from iteration {bad:,} on the learning rate {what}"]


def _snapshot_warnings(plan: SnapshotPlan, p: caffe_pb2.SolverParameter) -> list[str]:
    found = []
    folder = os.path.dirname(plan.prefix) or "."
    while not os.path.isdir(folder):  # a run makes it
        folder = os.path.dirname(folder) or "."
    if plan.total is not None and plan.total > (free := shutil.disk_usage(folder).free):
        found.append(
            f"the snapshots take {size_text(plan.total)}, of which {size_text(free)} "
            f"are free in '{folder}'"
        )
    largest = max(plan.weights or 0, plan.state or 0)
    if (
        plan.count
        and largest > PROTOBUF_LIMIT
        and p.snapshot_format != caffe_pb2.SolverParameter.HDF5
    ):
        limit = "more than the 2 GiB of protobuf's format; 'snapshot_format: HDF5' has no limit"
        found.append(f"a snapshot's file would take {size_text(largest)}, {limit}")
    return found
