"""Times variants in turn, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median


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
    wanted = f"   (at most {bound:g} is asked for)" if bound else ""
    print(f"  ratio of medians {ratio:.3f}, of minima {best:.3f}{wanted}\n")
    return ratio
