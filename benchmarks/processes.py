"""Two processes of one thread each against one process, on a small convolution net.

It also measures what their agreement costs.

A process has its own batch, so two train twice the images in an iteration.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch.multiprocessing.spawn import start_processes

from benchmarks.side_by_side import report
from netspec.pytorch.processes import Processes, join
from netspec.pytorch.train import Solver

BATCH = 32
STEPS, ROUNDS = 4, 9
NET = f"""
name: "Digits"
layer {{ name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {{
  shape {{ dim: {BATCH} dim: 1 dim: 28 dim: 28 }} shape {{ dim: {BATCH} }}
  data_filler {{ type: "constant" value: 0.5 }} data_filler {{ type: "constant" value: 3 }} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 32 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param {{ kernel_size: 2 stride: 2 }} }}
layer {{ name: "norm1" type: "LRN" bottom: "pool1" top: "norm1" }}
layer {{ name: "conv2" type: "Convolution" bottom: "norm1" top: "conv2"
  convolution_param {{ num_output: 64 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }}
layer {{ name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param {{ kernel_size: 2 stride: 2 }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "pool2" top: "fc"
  inner_product_param {{ num_output: 128 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu3" type: "ReLU" bottom: "fc" top: "fc" }}
layer {{ name: "ip" type: "InnerProduct" bottom: "fc" top: "ip"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"""
SOLVER = (
    'net: "{net}" base_lr: 0.001 momentum: 0.9 lr_policy: "fixed" max_iter: 1000 random_seed: '
    '1 solver_mode: CPU snapshot_prefix: "bench"'
)
PAIR, TWO_THREADS, ONE_THREAD = (
    "2 processes × 1 thread",
    "1 process × 2 threads",
    "1 process × 1 thread",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        net, solver = Path(folder) / "net.prototxt", Path(folder) / "solver.prototxt"
        net.write_text(NET)
        solver.write_text(SOLVER.format(net=net))
        start_processes(_member, (str(solver), f"file://{folder}/meeting"), 2, start_method="spawn")


def _member(rank: int, solver: str, meeting: str) -> None:
    """One of the two; rank 0 also trains by itself, while the other waits in a collective."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", NETSPEC_MEETING=meeting)
    processes = join(torch.device("cpu"))
    pair = Solver(solver, device="cpu", processes=processes)
    alone = Solver(solver, device="cpu") if processes.is_root else None
    seconds: dict[str, list[float]] = {PAIR: [], TWO_THREADS: [], ONE_THREAD: []}
    agreement: list[float] = []
    for number in range(-1, ROUNDS):
        for name in seconds:
            lasted = _timed(
                pair if name == PAIR else alone, 2 if name == TWO_THREADS else 1, processes
            )
            if number >= 0:
                seconds[name].append(lasted)
        agreement += _agreements(processes) if number >= 0 else []
    if processes.is_root:
        report(
            f"time for {2 * BATCH} images: a convolution net, batch {BATCH} a process, CPU",
            seconds,
            PAIR,
            TWO_THREADS,
        )
        report("the same", seconds, PAIR, ONE_THREAD)
        step = median(seconds[PAIR])
        print(
            f"agreeing twice an iteration takes {median(agreement) * 1e3:.2f} ms, "
            f"{100 * median(agreement) / step:.1f} % of an iteration\n"
        )
        sys.stdout.flush()
    pair.close()
    processes.leave()
    os._exit(0)


def _timed(solver: Solver | None, threads: int, processes: Processes) -> float:
    """Seconds for two batches: an iteration of the pair, or two of one process."""
    torch.set_num_threads(threads)
    processes.all_reduce_max(0)  # begin together
    begin = time.perf_counter()
    iterations = STEPS * (1 if solver is None or solver.processes.count > 1 else 2)
    if solver is not None:
        solver.step(iterations)
    lasted = (time.perf_counter() - begin) / STEPS
    processes.all_reduce_max(0)  # the other has waited
    return lasted


def _agreements(processes: Processes) -> list[float]:
    """The seconds that an iteration's agreement takes.

    The processes agree on whether the loss is non-finite, and on what signals have asked for.
    """
    lasted = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        processes.all_reduce_max(0)
        processes.all_reduce_max(0)
        lasted.append(time.perf_counter() - begin)
    return lasted
