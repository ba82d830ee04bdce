"""What Caffe keeps for the whole process: mode, device, seed, and its place among processes."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass

import torch

from netspec.pycaffe.run_log import log
from netspec.pytorch.seeds import mixed_seed
from netspec.readers.reader import Shard

CPU_ONLY = "NETSPEC_PYCAFFE_CPU"  # the environment variable that --cpu sets


@dataclass(slots=True)
class _State:
    gpu: bool = False
    number: int = 0  # of the GPU
    seed: int | None = None
    drawn: int = 0  # how many seeds were drawn from it
    solver_count: int = 1
    solver_rank: int = 0
    multiprocess: bool = False


_state = _State()


def set_mode_cpu() -> None:
    """Nets compute on the CPU from now on."""
    _state.gpu = False


def set_mode_gpu() -> None:
    """Nets compute on the GPU from now on. Raises: RuntimeError where there is none."""
    if _stays_on_cpu("set_mode_gpu"):
        return
    if not torch.cuda.is_available():
        raise RuntimeError(
            "set_mode_gpu: PyTorch finds no GPU on this machine; "
            f"python -m netspec.pycaffe --cpu, or {CPU_ONLY}=1, runs the script on the CPU"
        )
    _state.gpu = True


def set_device(number: int) -> None:
    """Which GPU is meant, counted from 0. Raises: RuntimeError where there is none such."""
    if _stays_on_cpu("set_device"):
        return
    if not 0 <= number < torch.cuda.device_count():
        raise RuntimeError(
            f"set_device: there is no GPU {number}, this machine shows {torch.cuda.device_count()}"
        )
    _state.number = number


def _stays_on_cpu(function: str) -> bool:
    """Whether the user has asked to pass over what a script says of GPUs; it is logged."""
    if os.environ.get(CPU_ONLY, "0") in ("", "0"):
        return False
    log(f"{function} is passed over: {CPU_ONLY} is set")
    return True


def device() -> torch.device:
    """Where nets compute."""
    return torch.device("cuda", _state.number) if _state.gpu else torch.device("cpu")


def set_random_seed(seed: int) -> None:
    """Makes fillers, data layers and masks repeatable."""
    _state.seed, _state.drawn = int(seed), 0
    torch.manual_seed(int(seed))


def next_seed() -> int:
    """A seed of its own for each net and each of its streams; repeatable after set_random_seed."""
    if _state.seed is None:
        return secrets.randbits(62)
    _state.drawn += 1
    return mixed_seed(_state.seed, "pycaffe", _state.drawn)


def solver_count() -> int:
    """How many processes train one net."""
    return _state.solver_count


def set_solver_count(count: int) -> None:
    """Says how many processes train one net."""
    _state.solver_count = int(count)


def solver_rank() -> int:
    """The number of this process among them."""
    return _state.solver_rank


def set_solver_rank(rank: int) -> None:
    """Says which of them this process is."""
    _state.solver_rank = int(rank)


def set_multiprocess(value: bool) -> None:
    """Says that the solvers are processes of their own. They always are here."""
    _state.multiprocess = bool(value)


def shard() -> Shard:
    """Which records the data layers of a net for training read in this process."""
    return Shard(_state.solver_rank, _state.solver_count)
