"""Times variants in turn, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import torch

# of each report: title, the two medians, the ratio of the medians and of the minima, the goal
TABLE: list[tuple[str, float, float, float, float, float | None]] = []
# of each report of memory: title, the peaks of netspec and of the other in bytes, the goal
PEAKS: list[tuple[str, float, float, float | None]] = []


def table() -> str:
    """What was reported, as tables in Markdown, with the machine and its load."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    units = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    lines = [
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {', '.join(units)}; "
        f"load of the last 1, 5 and 15 minutes at the end: {load}.",
        "",
        "| work | netspec ms | the other ms | ratio | of minima | at most |",
        "|---|---|---|---|---|---|",
    ]
    for title, own, other, ratio, best, bound in TABLE:
        digits = 1 if own > 1e-3 else 3  # a layer may take some µs
        numbers = f"{own * 1e3:,.{digits}f} | {other * 1e3:,.{digits}f} | {ratio:.2f} | {best:.2f}"
        lines.append(f"| {title} | {numbers} | {'' if bound is None else f'{bound:g}'} |")
    if PEAKS:
        lines += [
            "",
            "| peak | netspec MiB | the other MiB | ratio | at most |",
            "|---|---|---|---|---|",
        ]
    for title, own, other, bound in PEAKS:
        numbers = f"{own / 2**20:,.0f} | {other / 2**20:,.0f} | {own / other:.2f}"
        lines.append(f"| {title} | {numbers} | {'' if bound is None else f'{bound:g}'} |")
    return "\n".join(lines)


def interleaved(
    variants: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of each round for each variant; the order turns with every round."""
    names = list(variants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for i in range(-warm_up, rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            begin = time.perf_counter()
            variants[name]()
            if i >= 0:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def report(
    title: str, seconds: dict[str, list[float]], of: str, to: str, bound: float | None = None
) -> float:
    """Prints medians, minima and the ratio of two variants by each.

    Returns the ratio of the medians.
    """
    print(title)
    for name, values in seconds.items():
        print(
            f"  {name:<40} median {median(values) * 1e3:10.1f} ms   min {min(values) * 1e3:10.1f} "
            f"ms   ({len(values)} rounds)"
        )
    ratio = median(seconds[of]) / median(seconds[to])
    best = min(seconds[of]) / min(seconds[to])
    TABLE.append((title, median(seconds[of]), median(seconds[to]), ratio, best, bound))
    wanted = f"   (at most {bound:g} is asked for)" if bound else ""
    print(f"  ratio of medians {ratio:.3f}, of minima {best:.3f}{wanted}\n")
    return ratio
