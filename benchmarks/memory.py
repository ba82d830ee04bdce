"""The peak memory of a training step against the hand-written net's, each in a process of its own.

Counted are the bytes that PyTorch's allocator holds for tensors at one time, params, gradients and
momentum among them, the batch not; beside it, by how much the process's own peak has grown, which
has the libraries' scratch too. `python -m benchmarks.memory ResNet-50` runs that row alone.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.net_case import ALEXNET, CAFFENET, GOOGLENET, RESNET
from benchmarks.side_by_side import PEAKS
from benchmarks.training import hand_step, netspec_step

ROWS = ((ALEXNET, 16), (CAFFENET, 16), (GOOGLENET, 16), (RESNET, 16))
AUTO = "netspec, --checkpoint auto"
SIDES = ("hand-written", "netspec", AUTO)
STEPS = 2  # momentum comes with the first


def measured(name: str, side: str) -> tuple[int, int]:
    """The peak of the tensors and the growth of this process's peak, in bytes."""
    case, batch = next(row for row in ROWS if row[0].name == name)
    data = torch.randn(batch, 3, case.side, case.side)
    if side != "hand-written":  # as the feed hands them over
        data = data.contiguous(memory_format=torch.channels_last)
    label = torch.randint(0, 1000, (batch,))
    before = _peak_of_process()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        if side == "hand-written":
            step = hand_step(case, data, label)
        else:
            step = netspec_step(case, data, label, "fp32", checkpoint=side == AUTO)
        for _ in range(STEPS):
            step()
    grown = _peak_of_process() - before
    results = profiler.profiler
    assert results is not None
    events = [event for event in results.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak, grown


def _peak_of_process() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def apart(name: str, side: str) -> tuple[int, int]:
    """`measured` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--measure", name, side]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, grown = map(int, done.stdout.split()[-2:])
    return peak, grown


def main(names: Sequence[str] = ()) -> None:
    for case, batch in ROWS:
        if names and case.name not in names:
            continue
        title = f"{case.name}, training step, batch {batch}"
        print(title)
        peaks = {}
        for side in SIDES:
            peaks[side], grown = apart(case.name, side)
            sizes = [f"{size / 2**20:8,.0f} MiB" for size in (peaks[side], grown)]
            print(f"  {side:<40} tensors {sizes[0]}   the process has grown by {sizes[1]}")
        other = peaks["hand-written"]
        PEAKS.append((title, peaks["netspec"], other, 1))
        PEAKS.append((f"{title}, --checkpoint auto", peaks[AUTO], other, None))
        ratios = [f"{peaks[side] / other:.3f}" for side in SIDES[1:]]
        print(f"  ratio {ratios[0]} (at most 1 is asked for), --checkpoint auto {ratios[1]}\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(*measured(*sys.argv[2:]))
    else:
        main(sys.argv[1:])
