"""The processes of one training run, over torch.distributed.

They know their ranks, and agree on what all of them must do alike.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from netspec.diagnostics import NetspecError
from netspec.pytorch.device import default_device
from netspec.pytorch.module import NetModule
from netspec.solver.solver_file import load_solver

# How long a process waits for the others before it gives up: rank 0 may be writing a large snapshot
# to a slow disk.
PATIENCE = timedelta(minutes=30)
# exit status of a process that stopped only because another one did (EX_TEMPFAIL of sysexits.h)
LOST_STATUS = 75


class OthersLostError(NetspecError):
    """Another process of the run has ended, so this one can't go on."""

    is_asked_to_end = False  # a signal had come before


@dataclass(slots=True)
class Processes:
    """This process among those of a run; alone, every method is its trivial case.

    `control` is the group over gloo by which the processes agree on what is not on the GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    control: Any = None
    local_count: int = 1  # of this machine

    @property
    def is_root(self) -> bool:
        """Whether this one reports the run, logs it, and writes its snapshots."""
        return self.rank == 0

    def all_reduce_max(self, *values: int) -> list[int]:
        """Of each value the greatest of all processes."""
        return self._reduced(values, torch.int64, dist.ReduceOp.MAX)

    def all_reduce_sum(self, values: Sequence[float]) -> list[float]:
        """Of each value the sum over all processes."""
        return self._reduced(values, torch.float64, dist.ReduceOp.SUM)

    def means(self, values: Sequence[float]) -> list[float]:
        """Of each value the mean over all processes."""
        return [value / self.count for value in self.all_reduce_sum(values)]

    def _reduced(self, values: Sequence[float], kind: torch.dtype, operation: Any) -> list[Any]:
        if self.count == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=kind)
        self._run(lambda: dist.all_reduce(tensor, operation, group=self.control))
        return tensor.tolist()

    def broadcast(self, value: Any) -> Any:
        """What rank 0 has, such as a drawn seed."""
        if self.count == 1:
            return value
        values = [value]
        self._run(lambda: dist.broadcast_object_list(values, 0, group=self.control))
        return values[0]

    def gathered(self, value: Any) -> list[Any]:
        """On rank 0 what each process has, by rank; empty on the others."""
        if self.count == 1:
            return [value]
        values: list[Any] | None = [None] * self.count if self.is_root else None
        self._run(lambda: dist.gather_object(value, values, 0, group=self.control))
        return values or []

    def copy_from_root(self, tensors: Sequence[Tensor]) -> None:
        """Overwrites tensors with those of rank 0."""
        if self.count > 1:
            for tensor in tensors:
                self._run(partial(dist.broadcast, tensor.detach(), 0))

    def _run(self, collective: Callable[[], object]) -> None:
        try:
            collective()
        except RuntimeError as error:
            raise lost(error) from None

    def leave(self) -> None:
        """Ends the membership."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()


def lost(error: Exception) -> OthersLostError:
    """What a failed collective means: its message is of sockets, not of the run."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    # without the place in gloo's sources, and its advice
    reason = re.sub(r"^\[\S+:\d+\] ", "", line).split(". ")[0].rstrip(".")
    return OthersLostError(f"another process of the run has ended, so this one stops ({reason})")


def is_loss_of_others(error: Exception) -> bool:
    """Whether an exception of the backward pass is one of the connection between processes."""
    return isinstance(error, dist.DistError) or any(
        word in str(error) for word in ("gloo", "Gloo", "NCCL", "Connection closed by peer")
    )


def is_member() -> bool:
    """Whether torchrun, or `netspec train` itself, has started this process as one of several.

    Raises: NetspecError.
    """
    for name in ("RANK", "LOCAL_RANK"):  # a wrong one is reported here, once
        _environment_number(name, 0)
    return _environment_number("WORLD_SIZE", 1) > 1 and "RANK" in os.environ


def _environment_number(name: str, default: int) -> int:
    """A number that the environment holds. Raises: NetspecError where it is none."""
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise NetspecError(
            f"the environment's {name} is '{text}', expected a number",
            None,
            "torchrun sets it; without it the run has one process",
        )
    return int(text)


def join(device: torch.device) -> Processes:
    """Joins the run that the environment describes (torchrun's variables).

    Raises: NetspecError where the others are not met.
    """
    rank, count = _environment_number("RANK", 0), _environment_number("WORLD_SIZE", 1)
    local_rank = _environment_number("LOCAL_RANK", rank)
    meeting = os.environ.get("NETSPEC_MEETING", "env://")
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        store = next(rendezvous(meeting, rank, count, timeout=PATIENCE))[0]
        name = _agreed_name(store, rank, count)
        own_store = dist.PrefixStore(name, store)  # type: ignore[attr-defined]
        dist.init_process_group(
            backend, store=own_store, rank=rank, world_size=count, timeout=PATIENCE
        )
        control = (
            dist.group.WORLD
            if backend == "gloo"
            else dist.new_group(backend="gloo", timeout=PATIENCE)
        )
    except (RuntimeError, ValueError) as error:
        hint = (
            "torchrun sets MASTER_ADDR and MASTER_PORT; GLOO_SOCKET_IFNAME names the network "
            "interface where there are several"
        )
        raise NetspecError(
            f"process {rank} of {count} can't meet the others: {str(error).splitlines()[0]}",
            None,
            hint,
        ) from None
    local_count = max(1, _environment_number("LOCAL_WORLD_SIZE", count))
    return Processes(rank, count, local_rank, control, local_count)


def _agreed_name(store: Any, rank: int, count: int) -> str:
    """A name of this meeting, which only the processes that are here now can know.

    torchrun keeps one store for all its restarts: without a name of their own the processes would
    take the addresses that the dead have left there for those of the living.

    Raises: RuntimeError where the others do not come.
    """
    own = uuid4().hex
    if rank == 0:
        store.set("netspec", own)
        # waits for each
        present = [store.get(f"{own}/{other}").decode() for other in range(1, count)]
        store.set(f"{own}/present", " ".join(present))
        return own
    begin = time.monotonic()
    while time.monotonic() - begin < PATIENCE.total_seconds():
        name: str = store.get("netspec").decode()  # it may be that of a meeting before
        store.set(f"{name}/{rank}", own)
        if (
            store.check([f"{name}/present"])
            and own in store.get(f"{name}/present").decode().split()
        ):
            return name
        time.sleep(0.02)
    raise RuntimeError("process 0 has not come")


class Objective(nn.Module):
    """The objective of a net as a module of its own, as DistributedDataParallel has to see it."""

    def __init__(self, module: NetModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, outputs: dict[str, Tensor]) -> Tensor:
        return self.module.loss(outputs)


def data_parallel(module: NetModule, outputs: dict[str, Tensor], processes: Processes) -> nn.Module:
    """The objective of a net as a function of its outputs.

    With several processes, params get the mean of their gradients.

    BatchNorm's statistics stay each process's own, as in Caffe: rank 0's are those that are tested
    and saved.

    Args: outputs: of a first forward pass, from which is seen whether a backward pass reaches every
        param.
    """
    objective = Objective(module)
    learned = [param for param in module.parameters() if param.requires_grad]
    if processes.count == 1 or not learned:
        return objective
    (some_unreached,) = processes.all_reduce_max(
        int(len(_reached(module.loss(outputs))) < len(learned))
    )
    with warnings.catch_warnings():
        # broadcast_buffers has a successor that older torch lacks
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(
            objective,
            broadcast_buffers=False,
            init_sync=False,
            gradient_as_bucket_view=True,
            find_unused_parameters=bool(some_unreached),
        )


def _reached(loss: Tensor) -> set[int]:
    """The params (by id) that a backward pass from a loss reaches."""
    nodes, seen, leaves = [loss.grad_fn], set(), set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.add(id(node.variable))
        nodes += [following for following, _ in node.next_functions]
    return leaves


def local_device(devices: list[str] | None, solver: str) -> torch.device:
    """The device of this process among those of its machine.

    Without `devices` the solver file says whether it is a GPU.

    Raises: NetspecError where the machine has fewer GPUs than processes.
    """
    local_rank = _environment_number("LOCAL_RANK", 0)
    if devices is None and default_device(load_solver(solver).message) != "cpu":
        devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if devices is None or devices == ["cpu"]:
        return torch.device("cpu")
    if local_rank >= len(devices):
        hint = "start fewer processes on each machine, or compute with --cpu"
        raise NetspecError(
            f"process {local_rank} of this machine has no GPU of its own: there are {len(devices)}",
            None,
            hint,
        )
    torch.cuda.set_device(devices[local_rank])
    return torch.device(devices[local_rank])
