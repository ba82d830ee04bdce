"""Whether the memory suffices for a net's params.

A lack is reported before they are made, for the system may end a process that tries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.weights.snapshot_size import size_text

_BYTES = 4  # of a value in single precision


def require_memory(layers: Iterable[Layer]) -> None:
    """Raises NetspecError where the params of the layers take more memory than there is.

    It stands at the layer with the most.
    """
    sizes = {
        layer: _BYTES * sum(param.count for param in layer.params if param.owner is None)
        for layer in layers
    }
    needed = sum(sizes.values())
    if needed < 2**28:  # anybody has this
        return
    free = free_memory()
    if free is not None and needed > free:
        largest = max(sizes, key=lambda layer: sizes[layer])
        message = f"{largest.label}: its params take {size_text(sizes[largest])}"
        message += (
            f", those of the net {size_text(needed)}, of which {size_text(free)} are free in memory"
        )
        raise NetspecError(message, largest.spans.at("type"))


def free_memory() -> int | None:
    """The bytes that this process can still take, as far as the system tells."""
    bounds = [bound for bound in (_available(), _left_of_limit()) if bound is not None]
    return min(bounds, default=None)


def _available() -> int | None:
    facts = _facts("/proc/meminfo")
    if "MemAvailable" in facts:
        return facts["MemAvailable"] + facts.get("SwapFree", 0)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _left_of_limit() -> int | None:
    """What a limit of the process (`ulimit -d`, `ulimit -v`) leaves."""
    try:
        import resource  # not on Windows
    except ModuleNotFoundError:
        return None
    held = _facts("/proc/self/status")
    left = []
    for limit, name in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
        soft = resource.getrlimit(limit)[0]
        if soft != resource.RLIM_INFINITY:
            left.append(max(0, soft - held.get(name, 0)))
    return min(left, default=None)


def _facts(path: str) -> dict[str, int]:
    """What the system tells in lines such as `MemAvailable: 123 kB`, in bytes."""
    facts = {}
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                words = value.split()
                if words[1:] == ["kB"] and words[0].isdigit():
                    facts[name] = int(words[0]) * 1024
    except OSError:
        pass
    return facts
