"""Several processes of one run on this machine, started and watched over by torch.multiprocessing.

On several machines torchrun does the same; to the processes the two look alike.
"""

from __future__ import annotations

import gc
import io
import logging
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any, NoReturn

import torch
from torch.multiprocessing.spawn import ProcessExitedException, start_processes

from netspec.diagnostics import NetspecError
from netspec.pytorch.processes import LOST_STATUS, OthersLostError
from netspec.signals import TwoStage, handling_signals

SAME_FAULT = 3.0  # seconds in which all processes meet a fault that lies in a file
LOST_PATIENCE = 10.0  # seconds that a process leaves to the one that has failed, to report why
# seconds in which a process without a launcher may stop and write its snapshot
ORPHAN_PATIENCE = 60.0
# a file in the folder of a meeting has this name and the exit status of a run that a signal has
# stopped
STOPPED = "stopped_"
INTERRUPTED = 130  # exit status after Ctrl-C before the training handles it
Run = Callable[[Any], int]
_orphaned = Event()  # the launcher or torchrun has been killed


def launch(run: Run, args: Any, count: int, effect_of: Callable[[int], str]) -> int:
    """Runs a command in `count` processes.

    Returns its exit status, 128 + the signal where a signal has stopped it or ended one of them.

    The processes know nothing of a second signal, which ends them: Ctrl-C may reach each of them
    twice.

    Args:
        run: the command; it and its args are pickled.
        effect_of: what a signal does to the run: 'stop', 'snapshot' or 'none'.
    """
    # it prints each process that it ends
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.CRITICAL)
    with TemporaryDirectory(prefix="netspec-") as folder, ExitStack() as stack:
        with _interrupts_held():
            context: Any = start_processes(
                _member,
                (run, args, count, f"file://{folder}/meeting"),
                count,
                join=False,
                start_method="spawn",
            )
            signals = _Signals(context.pids(), effect_of)
            stack.enter_context(handling_signals(signals.handle))
        try:
            while not context.join():
                pass
        except ProcessExitedException as error:
            if signals.ended_by:
                return 128 + signals.ended_by
            return _report_end(
                error.error_index,
                [process.exitcode for process in context.processes],
                error.exit_code,
                signals.stopped_by,
            )
        return max(
            (int(path.name.removeprefix(STOPPED)) for path in Path(folder).glob(f"{STOPPED}*")),
            default=0,
        )


def _report_end(first: int, statuses: list[int | None], status: int, stopped_by: int) -> int:
    """Reports which process has ended the run, and returns the exit status.

    A process that only lost the others, or was then asked to end, is not the one.
    """
    # before the training handles signals
    if INTERRUPTED in statuses or (stopped_by and status == -stopped_by):
        print("interrupted", file=sys.stderr, flush=True)
        return 128 + (stopped_by or signal.SIGINT)
    if status in (LOST_STATUS, -signal.SIGTERM):
        culprits = [
            i
            for i, other in enumerate(statuses)
            if other not in (0, None, LOST_STATUS, -signal.SIGTERM)
        ]
        first, status = (culprits[0], statuses[culprits[0]] or 1) if culprits else (first, status)
    who = f"process {first} of {len(statuses)}"
    what = (
        f"was ended by {signal.Signals(-status).name}"
        if status < 0
        else f"has ended with status {status}"
    )
    print(
        f"netspec train: {who} {what}, so the run ends; snapshots that it has written stand: "
        "--resume goes on from the newest",
        file=sys.stderr,
        flush=True,
    )
    return 128 - status if status < 0 else status


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keeps back Ctrl-C, for the processes that start here as well.

    Each takes it when it can end without a traceback.
    """
    resource_tracker.ensure_running()  # its own start would let the signal through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Signals:
    """Passes on to the processes the signals that this one gets.

    A second one that asks them to stop kills them.
    """

    def __init__(self, pids: list[int], effect_of: Callable[[int], str]) -> None:
        self.pids = pids
        self.stopped_by = self.ended_by = 0  # the signals that have asked for it
        self.handle = TwoStage(effect_of, self._pass_on, self._end)

    def _pass_on(self, effect: str, number: int) -> None:
        if effect == "stop":
            self.stopped_by = number
        self._send(number)

    def _end(self, number: int) -> bool:
        self.ended_by = number
        # snapshots that stand are whole, and one that is being written is none
        self._send(signal.SIGKILL)
        return False

    def _send(self, number: int) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _member(rank: int, run: Run, args: Any, count: int, meeting: str) -> None:
    """One of the processes: the environment that torchrun would give it, then the command."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(count),
        LOCAL_WORLD_SIZE=str(count),
        NETSPEC_MEETING=meeting,
    )
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // count))
    guarded_member(run, args)


def is_orphaned() -> bool:
    """Whether the launcher or torchrun has been killed: signals then stop this process."""
    return _orphaned.is_set()


def _end_as_orphan(started_by: int) -> None:
    """Stops the process after its launcher or torchrun has been killed.

    It stops whatever effect signals have; what the process leaves is cleared away.
    """
    _wait_for_launcher(started_by)
    if parent_process() is not None:
        shutil.rmtree(_folder(os.environ["NETSPEC_MEETING"]), ignore_errors=True)
    _orphaned.set()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(ORPHAN_PATIENCE)
    os._exit(1)


def _wait_for_launcher(started_by: int) -> None:
    """Returns when the process that has started this one has ended.

    PR_SET_PDEATHSIG does not serve: it reports the end of the thread that has started this process,
    and its signal would need a handler, which waits for the main thread.
    """
    launcher = parent_process()
    if launcher is not None:
        wait([launcher.sentinel])
        return
    try:
        descriptor = os.pidfd_open(started_by)
    except (AttributeError, OSError):  # no Linux, or a kernel or container without it
        while os.getppid() == started_by:
            time.sleep(1)
        return
    if os.getppid() == started_by:  # else it has ended, and its number may be another's
        wait([descriptor])
    os.close(descriptor)


def guarded_member(run: Run, args: Any) -> NoReturn:
    """Runs a command as one process of several and ends it.

    It reports its fault where no other process is likely to report the same.

    Rank 0 reports what it meets. Another waits a moment first: a wrong file is met by all, and the
    end of rank 0 ends it. On a busy machine a moment may not be enough: what is reported leaves
    a mark where they have met. One that has only lost the others leaves the report to them.
    """
    if parent_process() or "TORCHELASTIC_RUN_ID" in os.environ:
        Thread(
            target=_end_as_orphan, args=(os.getppid(),), name="netspec-orphan", daemon=True
        ).start()
    try:
        # a Ctrl-C that the launcher has kept back comes here
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        status = run(args)
        # a signal has stopped the run; whoever watches over the processes takes any status but 0
        # for a fault
        if status > 128:
            _note_stop(status)
            status = 0
        _leave(status)
    except NetspecError as error:
        fault = error
    except KeyboardInterrupt:
        _leave(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone
        _leave(1)
    except Exception:  # a bug of ours: the others must learn of the end at once
        traceback.print_exc()
        _leave(1)
    status = LOST_STATUS if isinstance(fault, OthersLostError) else 1
    rank = int(os.environ["RANK"])
    # whoever watches over the processes may end this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if isinstance(fault, OthersLostError):
        time.sleep(0 if fault.is_asked_to_end else LOST_PATIENCE)
        # whoever watches over the processes reports which has failed
        if fault.is_asked_to_end or "NETSPEC_MEETING" in os.environ:
            _leave(status)
    elif rank:
        time.sleep(SAME_FAULT)
    if not _is_reported(str(fault)):
        print(f"process {rank}: {fault}" if rank else fault, file=sys.stderr, flush=True)
    _leave(status)


def _note_stop(status: int) -> None:
    """Leaves the exit status of a stopped run to the launcher. torchrun has none for it."""
    meeting = os.environ.get("NETSPEC_MEETING")
    if meeting is not None:
        with suppress(OSError):
            (_folder(meeting) / f"{STOPPED}{status}").touch()


def _is_reported(fault: str) -> bool:
    """Whether another process has reported a fault; who asks first is to report it."""
    meeting = os.environ.get("NETSPEC_MEETING")
    if meeting is None:  # torchrun's processes have no folder in common
        return False
    try:
        (
            _folder(meeting) / f"reported_{blake2b(fault.encode(), digest_size=16).hexdigest()}"
        ).touch(exist_ok=False)
    except FileExistsError:
        return True
    except OSError:  # a full disk: rather twice than never
        return False
    return False


def _folder(meeting: str) -> Path:
    """The folder of a meeting, which the launcher has made."""
    return Path(meeting.removeprefix("file://")).parent


def _leave(status: int) -> NoReturn:
    """Ends the process without taking down the threads of torch.distributed.

    To take them down now and then ends in an abort.

    Files that a user's Python layer has left open are flushed, as at the end of any Python.
    """
    for file in gc.get_objects():
        # isinstance would wake what only stands in for a class
        if issubclass(type(file), (io.TextIOWrapper, io.BufferedWriter)):
            # a pipe without a reader, a full disk; a closed file
            with suppress(OSError, ValueError):
                file.flush()
    os._exit(status)
