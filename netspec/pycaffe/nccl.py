"""caffe.NCCL: several processes that train one net, over torch.distributed.

Source: Caffe's NCCL (parallel.cpp), python/train.py.
"""

from __future__ import annotations

import socket

import torch
import torch.distributed as distributed

from netspec.pycaffe import mode
from netspec.pycaffe.solver import Solver


def has_nccl() -> bool:
    """Whether this PyTorch can train in several processes."""
    return distributed.is_available()


class NCCL:
    """Joins this process's solver to those of the others, whose number and rank are set before.

    Gradients are exchanged over NCCL on GPUs, over gloo on CPUs.

    Args:
        uid: what `NCCL.new_uid()` has given one process, handed to each.

    Raises: RuntimeError where the others can't be joined.
    """

    def __init__(self, solver: Solver, uid: str) -> None:
        self._solver = solver
        if not distributed.is_initialized():
            distributed.init_process_group(
                "nccl" if mode.device().type == "cuda" else "gloo",
                init_method=uid,
                rank=mode.solver_rank(),
                world_size=mode.solver_count(),
            )

    @staticmethod
    def new_uid() -> str:
        """Where the processes will meet: a free port of this machine."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{free.getsockname()[1]}"

    def bcast(self) -> None:
        """Makes the params those of rank 0."""
        with torch.no_grad():
            for blobs in self._solver.net.module.layer_params:
                for blob in blobs:
                    distributed.broadcast(blob.data, src=0)

    def __call__(self, layer: int) -> None:
        """Nothing: `layer_wise_reduce` asks for it, but gradients go when all are there."""

    def on_start(self) -> None:
        """Nothing."""

    def on_gradients_ready(self) -> None:
        """Makes the gradients the mean over the processes."""
        for diff in self._solver.net.param_diffs:
            values = diff.tensor((diff.param().numel(),))
            distributed.all_reduce(values)
            values /= mode.solver_count()
