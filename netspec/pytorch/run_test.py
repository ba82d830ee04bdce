"""A trained net on its test data, outside a run: the mean of each output over the batches.

Source: `test` in Caffe's tools/caffe.cpp. The tests in the course of a run are in tester.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch

from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.listener import Values
from netspec.pytorch.compiled_pass import CompiledPass
from netspec.pytorch.detection_eval import (
    Rows,
    detection_rows,
    evaluated_outputs,
    mean_average_precision,
)
from netspec.pytorch.feed import Feed
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.module import NetModule
from netspec.pytorch.ten_crops import TenCrops
from netspec.pytorch.tester import numbers
from netspec.pytorch.weights import LoadReport, load_part, require_choice
from netspec.solver.evaluation import Evaluation
from netspec.weights.choice import WeightChoice

SEED = 1  # of shuffled data and of fillers: a test gives the same numbers each time
# called after each batch: its index, its loss, its outputs
OnBatch = Callable[[int, float, Values], None]


@dataclass(slots=True)
class Scores:
    """What a test has found. Means are over batches, as in Caffe: every batch counts alike."""

    batch_size: int | None  # None where no data layer feeds the net
    dataset_size: int | None  # records in one pass over the data, where that is known
    iterations: int = 0
    seconds: float = 0.0
    total_loss: float = 0.0
    totals: Values = field(default_factory=dict)
    detections: dict[str, list[Rows]] = field(default_factory=dict)  # each batch's, by output
    evaluation: Evaluation = field(default_factory=Evaluation)

    def add(self, loss: float, outputs: Values) -> None:
        """Counts a batch. Raises: NetspecError where an output has another size than before."""
        for name, values in outputs.items():
            before = self.totals.get(name, [0.0] * len(values))
            if len(before) != len(values):
                sizes = (
                    f"{len(before)} values in the first batch, {len(values)} in batch "
                    f"{self.iterations}"
                )
                raise NetspecError(f"output '{name}' holds {sizes}: there is no mean of it")
            self.totals[name] = [total + value for total, value in zip(before, values, strict=True)]
        self.total_loss += loss
        self.iterations += 1

    @property
    def loss(self) -> float:
        return self.total_loss / self.iterations

    @property
    def means(self) -> Values:
        """Of each output the mean over the batches, of detections the mean average precision."""
        values = {
            name: [total / self.iterations for total in totals]
            for name, totals in self.totals.items()
        }
        for name, rows in self.detections.items():
            values |= mean_average_precision(name, rows, self.evaluation)
        return values

    @property
    def records(self) -> int | None:
        """How many records were read, one that was read twice counted twice."""
        return None if self.batch_size is None else self.iterations * self.batch_size

    def coverage(self) -> str:
        """How much of the data this was: 50 batches of 100: 5,000 of 10,000 records."""
        batches = "1 batch" if self.iterations == 1 else f"{self.iterations} batches"
        if self.records is None:
            return batches
        text, size = f"{batches} of {self.batch_size}: {self.records:,}", self.dataset_size
        if not size:
            return f"{text} records"
        if self.records < size:
            return f"{text} of {size:,} records"
        rounds, rest = divmod(self.records, size)
        if self.records == size:
            return f"{text} records, every record of the data set once"
        times = (
            f"every record of the data set ({size:,}) "
            f"{'once' if rounds == 1 else f'{rounds} times'}"
        )
        more = f", {rest:,} of them once more: the data wrapped around" if rest else ""
        return f"{text} records, {times}{more}"


def load_trained(
    net: Net, paths: Iterable[str], choice: WeightChoice | None = None
) -> tuple[NetModule, list[LoadReport]]:
    """The module of a net with the weights of files, a later one winning.

    Args: choice: which layers of the files are taken, and for which layers of the net.

    Raises: NetspecError where a file does not fit the net, or none of them has a layer of it.
    """
    module = lower(net)
    fill_params(module, net, SEED)
    choice = choice or WeightChoice()
    reports = [load_part(module, path, choice) for path in paths]
    require_choice(choice, module, reports)
    for report in reports:
        if report.mismatched:
            faults = "; ".join(f"layer '{name}': {why}" for name, why in report.mismatched.items())
            raise NetspecError(f"'{report.path}' does not fit the net: {faults}")
    if module.params and not any(report.loaded for report in reports):
        names = ", ".join(f"'{report.path}'" for report in reports)
        hint = (
            f"the net's layers with params are {_some(module.params)}; the file's are "
            f"{_some(reports[0].unused)}"
        )
        raise NetspecError(f"no layer of the net '{net.name}' is in {names}", None, hint)
    return module, reports


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return (", ".join(names[:6]) + (", …" if len(names) > 6 else "")) or "none"


def untrained_layers(net: Net, reports: Iterable[LoadReport]) -> list[str]:
    """The layers that no file has filled.

    One all of whose params are a loaded layer's is none of them.
    """
    loaded = {name for report in reports for name in report.loaded}
    found = []
    for layer in net.layers:
        owners = {layer.name if param.owner is None else param.owner[0] for param in layer.params}
        if layer.name not in loaded and owners - loaded:
            found.append(layer.name)
    return found


def run_test(
    net: Net,
    module: NetModule,
    device: str,
    iterations: int | None,
    dataset_size: int | None,
    on_batch: OnBatch,
    evaluation: Evaluation | None = None,
    crops: TenCrops | None = None,
    compile: bool = False,
    workers: int | None = None,
) -> Scores:
    """Runs batches of the net's data layers through it, from the first record on.

    Args:
        iterations: how many batches; None for as many as hold each record at least once.
        dataset_size: records in one pass over the data, where that is known.
        evaluation: how the average precision of detections is computed.
        crops: tests on ten crops of each record.
        compile: torch.compile compiles the net; not with crops, which follow it layer by layer.
        workers: threads that decode and transform the data, as in `batches`.

    Raises: NetspecError where data is missing or wrong, or where no data layer feeds an input.
    """
    is_oversampled, place = crops is not None, torch.device(device)
    compiled = CompiledPass(module.to(place), place) if compile else None
    feed = Feed(net, module.to(place), place, SEED, oversample=is_oversampled, workers=workers)
    try:
        scores = Scores(net.batch_size, dataset_size, evaluation=evaluation or Evaluation())
        scores.detections = {name: [] for name in evaluated_outputs(net)}
        if iterations is None:
            iterations = _one_pass(scores)
        began = time.perf_counter()
        with torch.no_grad():
            for index in range(iterations):
                outputs = feed.forward(crops or compiled)
                loss = float(module.loss(outputs))
                for name, found in scores.detections.items():
                    found.append(detection_rows(outputs.pop(name)))
                values = numbers(outputs)
                scores.add(loss, values)
                on_batch(index, loss, values)
        scores.seconds = time.perf_counter() - began
    finally:
        feed.close()
    return scores


def _one_pass(scores: Scores) -> int:
    if not scores.batch_size or not scores.dataset_size:
        message = (
            "--iterations all asks for one pass over the data, but the net's data has no known end"
        )
        raise NetspecError(message, None, "say how many batches, as in --iterations 50")
    return -(-scores.dataset_size // scores.batch_size)
