"""The allocator in training: pages that were faulted in once stay."""

import os
import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys, torch
from netspec.pytorch.allocator import keep_freed_memory
is_set = keep_freed_memory("cpu")
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(16):
        torch.ones(4 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(is_set, faults())
"""


def _run(**variables: str) -> tuple[bool, int]:
    """Whether the allocator was set, and the faults of the second time."""
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    is_set, faults = done.stdout.split()
    return is_set == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_tensors_leave_their_pages_to_the_next_ones() -> None:
    is_set, faults = _run()
    assert is_set
    assert faults < 1_000  # of the 65,536 pages of 16 tensors of 16 MiB


@pytest.mark.parametrize(
    "variable",
    [
        {"MALLOC_TRIM_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"},
    ],
)
def test_a_users_own_setting_stands(variable: dict[str, str]) -> None:
    assert _run(**variable)[0] is False


def test_another_device_changes_nothing() -> None:
    from netspec.pytorch.allocator import keep_freed_memory

    assert keep_freed_memory("cuda") is False
