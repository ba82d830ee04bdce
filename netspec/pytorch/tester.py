"""The test nets of a run.

Their modules share the trained weights, their data goes on from test to test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from netspec.graph import Net
from netspec.listener import Values
from netspec.pytorch.carried import Carried
from netspec.pytorch.compiled_pass import CompiledPass
from netspec.pytorch.debug_info import DebugInfo
from netspec.pytorch.detection_eval import (
    Rows,
    detection_rows,
    evaluated_outputs,
    mean_average_precision,
)
from netspec.pytorch.feed import Feed
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.module import NetModule
from netspec.pytorch.precision import set_precision
from netspec.pytorch.processes import Processes
from netspec.pytorch.seeds import mixed_seed, seed_generators
from netspec.pytorch.sharing import tie_params
from netspec.pytorch.weights import load_part
from netspec.solver.evaluation import Evaluation
from netspec.weights.choice import WeightChoice

Found = list[tuple[int, Rows]]  # the rows of an output, by the number of the batch
OnLines = Callable[[Sequence[str]], None]  # receives the lines of debug_info


@dataclass(frozen=True, slots=True)
class Means:
    """The mean of each output over the batches of a test, and of the loss."""

    outputs: Values
    loss: float


class Tester:
    """Runs test nets.

    Several processes take turns at the batches, and all of them learn the means. Where states carry
    over from batch to batch, each process runs all of them. The mean is over batches, not over
    records: where the data wraps around, some records count twice.
    """

    def __init__(
        self,
        nets: list[Net],
        trained: NetModule,
        device: torch.device,
        processes: Processes,
        debug: OnLines | None,
        evaluation: Evaluation | None = None,
        precision: str = "fp32",
        compile: bool = False,
    ) -> None:
        self.nets, self.device, self.processes, self.debug = nets, device, processes, debug
        self.evaluation, self.precision = evaluation or Evaluation(), precision
        self.modules = [self._module(net, trained) for net in nets]
        self.compiled = [
            CompiledPass(module, device) if compile else None for module in self.modules
        ]
        self.with_own = [
            module for module in self.modules if not module.params.keys() <= trained.params.keys()
        ]
        # each process runs every batch
        self.alone = [
            bool(processes.count == 1 or Carried({"": module})) for module in self.modules
        ]
        self.batches = [0] * len(nets)  # that have been read of each net's data
        self.workers: int | None = None  # as in Feed
        self._feeds: dict[int, Feed] = {}

    def _module(self, net: Net, trained: NetModule) -> NetModule:
        module = lower(net).to(self.device)
        set_precision(module, self.precision, self.device)
        fill_params(module, net, 0)  # of layers that the train net lacks
        tie_params(module, trained)
        return module

    @property
    def blobs(self) -> list[Tensor]:
        """The params of the test nets that have layers of their own, which the train net lacks."""
        return [blob for module in self.with_own for blobs in module.layer_params for blob in blobs]

    def load_weights(self, path: str | Path, choice: WeightChoice) -> None:
        """Loads a weight file into those nets, too, as Caffe does.

        What the choice names, the train net has been asked for.

        Raises: NetspecError where it does not fit.
        """
        for module in self.with_own:
            load_part(module, path, choice).raise_mismatches()

    def run(
        self, index: int, count: int, seed: int, goes_on: Callable[[int], bool]
    ) -> Means | None:
        """Tests one net on its next batches.

        `goes_on` is called before each batch. Returns None where it says that the run stops.
        """
        start = self.batches[index]
        rank, every = (0, 1) if self.alone[index] else (self.processes.rank, self.processes.count)
        feed = self._feed(index, start + rank, every, seed)
        sums: dict[str, Tensor] = {}
        detections: dict[str, Found] = {name: [] for name in evaluated_outputs(self.nets[index])}
        loss = 0.0
        for first in range(0, count, every):
            if not goes_on(first):
                return None
            if first + rank >= count:  # the last ones are others'
                continue
            drawn = mixed_seed(seed, index, start + first + rank)
            seed_generators(drawn, self.nets[index], self.device)
            outputs = self._forward(feed, self.compiled[index])
            loss += self._loss(index, outputs)
            for name, value in outputs.items():
                if name in detections:
                    detections[name].append((first + rank, detection_rows(value)))
                    continue
                sums[name] = sums[name] + value if name in sums else value.clone()
        self.batches[index] = start + count
        means = self._means(sums, loss, count, self.alone[index])
        return Means(means.outputs | self._evaluated(detections, self.alone[index]), means.loss)

    def _evaluated(self, detections: dict[str, Found], alone: bool) -> Values:
        """The mean average precision of each list of detections, of all processes' batches."""
        values: Values = {}
        for name, own in detections.items():
            parts = [own] if alone else self.processes.gathered(own)
            batches = sorted((each for part in parts for each in part), key=lambda each: each[0])
            values |= mean_average_precision(name, (rows for _, rows in batches), self.evaluation)
        return values if alone else self.processes.broadcast(values)

    def _loss(self, index: int, outputs: dict[str, Tensor]) -> float:
        """The objective of the last forward pass of a net."""
        return float(self.modules[index].loss(outputs))

    @torch.no_grad()
    def _forward(self, feed: Feed, compiled: CompiledPass | None) -> dict[str, Tensor]:
        if self.debug is None:
            return feed.forward(compiled)
        info = DebugInfo(feed.net, feed.module)
        outputs = feed.forward(info.forward)
        self.debug(info.lines)
        return outputs

    def _means(self, sums: dict[str, Tensor], loss: float, count: int, alone: bool) -> Means:
        processes = self.processes
        if alone:
            return Means(
                numbers({name: value / count for name, value in sums.items()}), loss / count
            )
        values = numbers(sums)
        # another may have had no batch
        sizes: dict[str, int] = processes.broadcast(
            {name: len(own) for name, own in values.items()}
        )
        flat = [number for name, size in sizes.items() for number in values.get(name, [0.0] * size)]
        totals = iter(processes.all_reduce_sum([loss, *flat]))
        loss = next(totals) / count
        return Means(
            {name: [next(totals) / count for _ in range(size)] for name, size in sizes.items()},
            loss,
        )

    def _feed(self, index: int, start: int, every: int, seed: int) -> Feed:
        feed = self._feeds.get(index)
        if feed is None or feed.index != start:
            if feed is not None:
                feed.close()
            feed = Feed(
                self.nets[index],
                self.modules[index],
                self.device,
                mixed_seed(seed, "TEST", index),
                start,
                every=every,
                workers=self.workers,
            )
            self._feeds[index] = feed
        return feed

    def close(self) -> None:
        """Ends the reading of data."""
        for feed in self._feeds.values():
            feed.close()
        self._feeds = {}


def numbers(outputs: dict[str, Tensor]) -> Values:
    """The elements of each output, in C order."""
    return {name: value.detach().float().reshape(-1).tolist() for name, value in outputs.items()}
