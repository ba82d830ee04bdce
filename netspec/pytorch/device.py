"""The device to compute on: what there is, what it is called, and how its faults are reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from netspec.diagnostics import NetspecError, counted
from netspec.schema.caffe_pb2 import SolverParameter

# What torch says in a plain RuntimeError: its allocator of the host's memory, and CUDA where no
# allocator of torch's is between.
_OUT_OF_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUDA error: out of memory",
)


def gpu_count() -> int:
    """How many GPUs this process sees."""
    return torch.cuda.device_count()


def default_device(p: SolverParameter | None = None) -> str:
    """A GPU where there is one and the solver does not say CPU.

    It is the one of the solver's device_id, or the first.

    Raises: NetspecError.
    """
    says_cpu = p is not None and p.HasField("solver_mode") and p.solver_mode == SolverParameter.CPU
    if says_cpu or not torch.cuda.is_available():
        return "cpu"
    number = p.device_id if p is not None else 0
    if number >= gpu_count():
        hint = "--gpu names another; they are counted from 0"
        raise NetspecError(
            f"the solver file's device_id is {number}, but this machine shows "
            f"{counted(gpu_count(), 'GPU')}",
            None,
            hint,
        )
    return f"cuda:{number}"


def device_text(device: str, precision: str = "fp32") -> str:
    """A device for people, and a precision: cpu (2 threads), bf16; cuda:0 (NVIDIA H200)."""
    narrow = "" if precision == "fp32" else f", {precision}"
    if device == "cpu":
        return f"cpu ({counted(torch.get_num_threads(), 'thread')}){narrow}"
    return f"{device} ({torch.cuda.get_device_name(device)}){narrow}"


def torch_facts() -> dict[str, int | str]:
    """What times depend on beside the device: the number of threads and torch's version."""
    return {"threads": torch.get_num_threads(), "torch": torch.__version__}


def device_lines(which: str) -> list[str]:
    """The properties of GPUs, as Caffe's device_query lists them.

    Args: which: numbers with commas between them, or all; "" is the first.
    Raises: NetspecError where a GPU is not there.
    """
    count = gpu_count()
    words = [str(i) for i in range(count)] if which == "all" else (which or "0").split(",")
    lines = []
    for word in words or ["0"]:
        if not (word.isascii() and word.isdecimal()) or int(word) >= count:
            raise NetspecError(
                f"there is no GPU '{word}'; this machine shows {counted(count, 'GPU')}",
                None,
                "they are counted from 0" if count else None,
            )
        p = torch.cuda.get_device_properties(int(word))
        facts = {
            "Device id": word,
            "Major revision number": p.major,
            "Minor revision number": p.minor,
            "Name": p.name,
            "Total global memory": p.total_memory,
            "Number of multiprocessors": p.multi_processor_count,
        }
        lines += [f"{name + ':':<30} {value}" for name, value in facts.items()]
    return lines


@contextmanager
def faults_reported(device: str, batch_size: int | None, hint: str) -> Iterator[None]:
    """Reports what a device refuses as a diagnostic.

    Args:
        hint: what to do where its memory does not suffice.

    Raises: NetspecError where memory does not suffice, or a GPU has found a label or an index that
        is none.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        place = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
        if "device-side assert" in str(error):
            message = (
                f"{device} has stopped: a label or an index lies outside what it counts{place}"
            )
            raise NetspecError(
                message, None, "with --cpu the same run names the layer and the record"
            ) from None
        if not _is_out_of_memory(error):
            raise
        # numpy's arrays are the host's
        holder = "this machine" if isinstance(error, MemoryError) else device
        batch = "this net" if batch_size is None else f"a batch of {batch_size}"
        raise NetspecError(
            f"the memory of {holder} does not suffice for {batch}{place}", None, hint
        ) from None


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        words in str(error) for words in _OUT_OF_MEMORY
    )
