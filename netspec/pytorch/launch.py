"""Several processes of one run on this machine, started and watched over by torch.multiprocessing.

On several machines torchrun does the same; to the processes the two look alike.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NoReturn

import torch
from torch.multiprocessing.spawn import ProcessExitedException, start_processes

from netspec.diagnostics import NetspecError
from netspec.pytorch.processes import LOST_STATUS, OthersLostError

SAME_FAULT = 3.0  # seconds in which all processes meet a fault that lies in a file
LOST_PATIENCE = 10.0  # seconds that a process leaves to the one that has failed, to tell why
Run = Callable[[Namespace], int]


def launch(run: Run, args: Namespace, count: int) -> int:
    """Runs a command in `count` processes; returns its exit status, 128 + the signal where a signal has ended one of them."""
    with TemporaryDirectory(prefix="netspec-") as folder:
        context: Any = start_processes(_member, (run, args, count, f"file://{folder}/meeting"), count, join=False, start_method="spawn")
        with _signals_to(context.pids()):
            try:
                while not context.join():
                    pass
            except ProcessExitedException as error:
                return _tell(error.error_index, [process.exitcode for process in context.processes], error.exit_code)
    return 0


def _tell(first: int, statuses: list[int | None], status: int) -> int:
    """Says which process has ended the run; one that only lost the others, or was then told to end, is not it."""
    if status in (LOST_STATUS, -signal.SIGTERM):
        culprits = [i for i, other in enumerate(statuses) if other not in (0, None, LOST_STATUS, -signal.SIGTERM)]
        first, status = (culprits[0], statuses[culprits[0]] or 1) if culprits else (first, status)
    who = f"process {first} of {len(statuses)}"
    what = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"has ended with status {status}"
    print(f"netspec train: {who} {what}, so the run ends; its snapshots stand: --resume goes on from the newest", file=sys.stderr, flush=True)
    return 128 - status if status < 0 else status


@contextmanager
def _signals_to(pids: list[int]) -> Iterator[None]:
    """Passes on to the processes the signals that this one gets."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = [signal.signal(number, pass_on) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _member(rank: int, run: Run, args: Namespace, count: int, meeting: str) -> None:
    """One of the processes: the environment that torchrun would give it, then the command."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count), LOCAL_WORLD_SIZE=str(count), NETSPEC_MEETING=meeting)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // count))
    guarded_member(run, args)


def guarded_member(run: Run, args: Namespace) -> NoReturn:
    """Runs a command as one process of several and ends it; tells its fault where no other process is likely to tell the same.

    Rank 0 tells what it meets. Another waits a moment first: a wrong file is met by all, and the end of rank 0 ends it.
    One that has only lost the others leaves the telling to them.
    """
    try:
        _leave(run(args))
    except NetspecError as error:
        fault = error
    status = LOST_STATUS if isinstance(fault, OthersLostError) else 1
    rank = int(os.environ["RANK"])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever watches over the processes may end this one
    if isinstance(fault, OthersLostError):
        time.sleep(0 if fault.is_told_to_end else LOST_PATIENCE)
    elif rank:
        time.sleep(SAME_FAULT)
    print(f"process {rank}: {fault}" if rank else fault, file=sys.stderr, flush=True)
    _leave(status)


def _leave(status: int) -> NoReturn:
    """Ends the process without taking down the threads of torch.distributed, which now and then ends in an abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
