"""Every layer type's forward and backward against the plain torch counterpart, in one run.

The slowest ratios come first. netspec's side is what a training step runs.

Both sides get the same inputs, weights and gradient, and must give the same values and gradients
before they are timed. Data layers are no part of a module; Split, Silence and Parameter compute
nothing; HDF5Output's time is the disk's, Python's the user's.

`python -m benchmarks.layers Clip LRN` times these types alone. Where others use the cores,
OMP_NUM_THREADS=1 gives the steadier ratios: two threads that wait for each other show the
scheduler's slices.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn

import netspec
from benchmarks.layer_case import Case, Plain
from benchmarks.layer_cases import CASES
from benchmarks.side_by_side import TABLE, interleaved
from netspec.graph import Shape
from netspec.layers import SPECS
from netspec.pytorch.training_forward import TrainingForward

SECONDS_A_CASE = 1.8
BOUND = 1.05
INDICES = ("label", "words", "order")


class Timing(NamedTuple):
    """The seconds that each side took for a layer, round by round."""

    name: str
    seconds: dict[str, list[float]]

    def ratio(self, statistic: Callable[[list[float]], float]) -> float:
        return statistic(self.seconds["netspec"]) / statistic(self.seconds["torch"])

    def is_above(self, bound: float) -> bool:
        """Whether both ratios are: what disturbs a row moves them apart."""
        return min(self.ratio(median), self.ratio(min)) > bound


def main(chosen: Sequence[str] = ()) -> None:
    against: list[Timing] = []
    alone: list[Timing] = []
    for case in CASES:
        if not chosen or case.type in chosen:
            timing = time_case(case)
            (against if case.plain else alone).append(timing)
    against.sort(key=lambda timing: -timing.ratio(median))
    alone.sort(key=lambda timing: -median(timing.seconds["netspec"]))
    print(
        f"forward and backward of each layer, fp32, threads: {torch.get_num_threads()} "
        f"(a ratio of at most {BOUND:g} is asked for)"
    )
    print("  * by the medians and by the minima it is above that")
    print(
        f"  {'layer':<34}{'netspec ms':>11}{'torch ms':>10}"
        f"{'ratio':>8}{'of minima':>11}{'rounds':>8}"
    )
    for timing in against:
        ours, plain = (median(timing.seconds[side]) * 1e3 for side in ("netspec", "torch"))
        ratios = f"{timing.ratio(median):8.3f}{timing.ratio(min):11.3f}"
        mark = " *" if timing.is_above(BOUND) else ""
        rounds = f"{len(timing.seconds['torch']):8}"
        print(f"  {timing.name:<34}{ours:11.2f}{plain:10.2f}{ratios}{rounds}{mark}")
        TABLE.append(
            (
                f"{timing.name}, forward and backward{mark.replace('*', '(above)')}",
                ours / 1e3,
                plain / 1e3,
                timing.ratio(median),
                timing.ratio(min),
                BOUND,
            )
        )
    print("  without a counterpart in torch")
    for timing in alone:
        print(f"  {timing.name:<34}{median(timing.seconds['netspec']) * 1e3:11.2f}")
    if not chosen:
        print(f"  not timed: {', '.join(sorted(SPECS.keys() - {case.type for case in CASES}))}")
    print()


def time_case(case: Case) -> Timing:
    torch.manual_seed(1)  # of its own: the values do not depend on which cases are chosen
    inputs = [values(name, shape, case) for name, shape in case.bottoms.items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.prototxt"
        path.write_text(case.text())
        module = netspec.compile(netspec.load(path, "TRAIN"), seed=1)
    forward = TrainingForward(module)
    grads = [
        torch.randn_like(top) if top.dim() else torch.ones(()) for top in forward(inputs).values()
    ]
    sides = {
        "netspec": step(
            lambda *bottoms: tuple(forward(bottoms).values()),
            inputs,
            list(module.parameters()),
            grads,
        )
    }
    if case.plain is not None:
        plain, whole = (
            case.plain(),
            [
                x.long() if name in INDICES else x
                for name, x in zip(case.bottoms, inputs, strict=True)
            ],
        )
        params = list(plain.parameters()) if isinstance(plain, nn.Module) else []
        for param, blob in zip(params, case.weights(*module.parameters()), strict=True):
            param.data.copy_(blob.detach())
        sides["torch"] = step(plain, whole, params, grads)
        if not case.is_random:
            _check(case, sides, inputs)
    spent = sum(median(seconds) for seconds in interleaved(sides, rounds=3).values())
    gc.collect()
    gc.disable()
    seconds = interleaved(sides, rounds=min(200, max(8, round(SECONDS_A_CASE / spent))))
    gc.enable()
    return Timing(case.name, seconds)


def values(name: str, shape: Shape, case: Case) -> Tensor:
    """What a bottom of that name holds; float labels, as data layers give them."""
    if name == "cont":  # all streams begin at the first step
        return torch.cat((torch.zeros(1, *shape[1:]), torch.ones(shape[0] - 1, *shape[1:])))
    if name == "restarts":  # a state of the pass before would be in none of torch's
        return torch.cat(
            (torch.zeros(1, *shape[1:]), torch.randint(0, 2, (shape[0] - 1, *shape[1:])))
        )
    if name in ("selector", "similar"):
        return torch.randint(0, 2, shape).float()
    if name in INDICES:
        first = next(iter(case.bottoms.values()))
        return torch.randint(
            0,
            {"label": first[1] if len(first) > 1 else 1, "words": 8000, "order": first[0]}[name],
            shape,
        ).float()
    if name in ("targets", "positive"):
        return (torch.rand(shape) * 0.9 + 0.1).requires_grad_(
            name == "positive" or case.type == "EuclideanLoss"
        )
    return torch.randn(shape, requires_grad=name not in ("H", "like"))


def step(
    function: Plain, inputs: Sequence[Tensor], params: Sequence[Tensor], grads: list[Tensor]
) -> Callable[[], list[Tensor]]:
    """One forward and backward pass; it gives the tops."""
    leaves = [x for x in [*inputs, *params] if x.requires_grad]

    def run() -> list[Tensor]:
        for leaf in leaves:
            leaf.grad = None
        result = function(*inputs)
        tops = list(result) if isinstance(result, tuple) else [result]
        if tops[0].requires_grad:
            torch.autograd.backward(tops, grads)
        return tops

    return run


def _check(case: Case, sides: dict[str, Callable[[], list[Tensor]]], inputs: list[Tensor]) -> None:
    found = []
    for side in sides.values():
        tops = side()
        found.append(
            [*(top.detach() for top in tops), *(x.grad for x in inputs if x.grad is not None)]
        )
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(
            ours,
            plain,
            rtol=1e-3,
            atol=1e-4,
            msg=lambda text: f"{case.name} computes something else than torch: {text}",
        )


if __name__ == "__main__":
    main(sys.argv[1:])
