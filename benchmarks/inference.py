"""Forward passes of whole nets in TEST against hand-written eager nets in eval().

netspec's side is what `netspec test` and `netspec classify` run: `optimized`. Each side runs in a
process of its own.
`python -m benchmarks.inference ResNet-50` runs that net's rows alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch

from benchmarks.apart import Step, apart
from benchmarks.net_case import ALEXNET, RESNET, NetCase, compiled
from benchmarks.side_by_side import interleaved, report
from netspec.pytorch.optimize import optimized
from netspec.pytorch.precision import set_precision

# net, batch, and for each precision the ratio that is asked for
ROWS: tuple[tuple[NetCase, int, dict[str, float]], ...] = (
    (ALEXNET, 1, {"fp32": 0.85}),
    (ALEXNET, 64, {"fp32": 0.55, "bf16": 0.35}),
    (RESNET, 8, {"fp32": 0.75}),
)


def make_hand_pass(case: NetCase, batch: int) -> Step:
    """A forward pass of the net that is written by hand, in eval()."""
    data = torch.randn(batch, 3, case.side, case.side)
    by_hand = torch.nn.Sequential(case.by_hand(), torch.nn.Softmax(1)).eval()
    return torch.no_grad()(lambda: by_hand(data))


def make_netspec_pass(case: NetCase, batch: int, precision: str) -> Step:
    """A forward pass as `netspec test` runs it."""
    data = torch.randn(batch, 3, case.side, case.side)
    net = case.net(batch, "TEST")
    module = optimized(compiled(net), "cpu", precision, freezes=True)
    set_precision(module, precision, "cpu")
    return torch.no_grad()(lambda: module(data))


def main(names: Sequence[str] = ()) -> None:
    chosen = [row for row in ROWS if not names or row[0].name in names]
    for case, batch, bounds in chosen:
        makers: dict[str, Callable[[], Step]] = {
            "hand-written": partial(make_hand_pass, case, batch)
        }
        for precision in bounds:
            makers[precision] = partial(make_netspec_pass, case, batch, precision)
        with apart(makers) as variants:
            seconds = interleaved(variants, rounds=9 if batch > 1 else 50, warm_up=1)
        for precision, bound in bounds.items():
            title = f"{case.name}, forward, batch {batch}, {precision}"
            both = {name: seconds[name] for name in (precision, "hand-written")}
            report(title, both, precision, "hand-written", bound)


if __name__ == "__main__":
    main(sys.argv[1:])
