"""Forward passes of whole nets in TEST against hand-written eager nets in eval().

netspec's side is what `netspec test` and `netspec classify` run: `optimized`.
`python -m benchmarks.inference ResNet-50` runs that net's rows alone.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

import torch

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


@torch.no_grad()
def main(names: Sequence[str] = ()) -> None:
    chosen = [row for row in ROWS if not names or row[0].name in names]
    for case, batch, bounds in chosen:
        data = torch.randn(batch, 3, case.side, case.side)
        by_hand = torch.nn.Sequential(case.by_hand(), torch.nn.Softmax(1)).eval()
        variants = {"hand-written": lambda by_hand=by_hand, data=data: by_hand(data)}
        for precision in bounds:
            module = optimized(compiled(case.net(batch, "TEST")), "cpu", precision)
            set_precision(module, precision, "cpu")
            variants[precision] = lambda module=module, data=data: module(data)
        gc.collect()
        seconds = interleaved(variants, rounds=9 if batch > 1 else 50, warm_up=1)
        for precision, bound in bounds.items():
            title = f"{case.name}, forward, batch {batch}, {precision}"
            both = {name: seconds[name] for name in (precision, "hand-written")}
            report(title, both, precision, "hand-written", bound)


if __name__ == "__main__":
    main(sys.argv[1:])
