"""The processor's cores that this process may take."""

from __future__ import annotations

import os


def cores() -> int:
    """Those that the system leaves it."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def torch_threads() -> int:
    """The threads that torch computes a layer with, unless a script sets them: OMP_NUM_THREADS."""
    stated = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(stated) if stated.isdecimal() and int(stated) else cores()
