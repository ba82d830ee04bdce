"""The memory that a net takes: in a forward pass, and in a whole training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netspec.graph import Blob, Layer, Memory, Net
from netspec.layers import is_source
from netspec.schema.solver_types import FUSED, HISTORIES, SCRATCH

if TYPE_CHECKING:
    from netspec.schema.caffe_pb2 import SolverParameter

PRECISIONS = {"fp32": 4, "fp16": 2, "bf16": 2}


@dataclass(frozen=True, slots=True)
class MemoryCost:
    """Bytes. Those of a training step are 0 where the net has no loss."""

    params: int
    data: int
    activations: int  # every blob but the data, those of one memory counted once
    kept: int = 0  # what the backward pass needs of the forward one
    gradients: int = 0  # of the params
    history: int = 0  # of the solver
    step: int = 0  # the largest sum at one time of a training step


def memory_cost(
    net: Net,
    value_bytes: int = 4,
    solver: SolverParameter | None = None,
    checkpoint: bool = False,
) -> MemoryCost:
    """The memory of a net.

    The data of one batch count; batches that are read ahead do not, nor what the libraries take
    for themselves.

    Args:
        value_bytes: of a value of the params, the blobs, the gradients and the history.
        solver: without one, the history is SGD's.
        checkpoint: the backward pass computes segments of layers again.
    """
    from netspec.passes.checkpoint_segments import checkpointed
    from netspec.passes.training_memory import TrainingMemory

    params = value_bytes * net.param_count
    blobs = blob_bytes(net, value_bytes)
    data = sum(size for layer, size in blobs.items() if is_source(layer))
    activations = sum(blobs.values()) - data
    if not net.loss_weights:
        return MemoryCost(params, data, activations)
    kind = solver.type if solver is not None else "SGD"
    history = params * HISTORIES.get(kind, 1)
    if solver is not None and solver.snapshot_diff:
        history += params
    constant = params + history + data
    step = TrainingMemory(net, value_bytes, constant)
    kept, peak = step.kept, step.peak
    if checkpoint:
        kept, own = checkpointed(net, value_bytes)
        peak = constant + own
    if solver is not None and solver.iter_size > 1:
        peak += step.gradients  # those of the passes before stay
    update = constant + step.gradients + update_scratch(net, value_bytes, solver)
    return MemoryCost(params, data, activations, kept, step.gradients, history, max(peak, update))


def blob_bytes(net: Net, value_bytes: int = 4) -> dict[Layer, int]:
    """The bytes of each layer's tops; a memory that several blobs share counts at the first."""
    largest: dict[Memory, int] = {}
    first: dict[Memory, Blob] = {}
    for layer in net.layers:
        for blob in layer.top_blobs:
            first.setdefault(blob.memory, blob)
            count = 0 if blob.shape is None else blob.count
            largest[blob.memory] = max(largest.get(blob.memory, 0), count)
    sizes = dict.fromkeys(net.layers, 0)
    for memory, blob in first.items():
        sizes[blob.producer] += largest[memory] * value_bytes
    return sizes


def update_scratch(net: Net, value_bytes: int, solver: SolverParameter | None) -> int:
    """What the update takes beside params, gradients and history.

    It goes through the params of equal multipliers at a time.
    """
    if solver is None:
        return 0
    groups: dict[tuple[float, float], int] = {}
    for layer in net.layers:
        for param in layer.params:
            if param.owner is None and param.learned and param.lr_mult:
                key = (param.lr_mult, param.decay_mult)
                groups[key] = groups.get(key, 0) + param.count
    return value_bytes * max(
        (_copies(solver, decay_mult) * count for (_, decay_mult), count in groups.items()),
        default=0,
    )


def _copies(solver: SolverParameter, decay_mult: float) -> int:
    """How many copies of some params the update makes at a time."""
    has_signs = bool(solver.weight_decay * decay_mult) and solver.regularization_type == "L1"
    if solver.type in FUSED and not has_signs and not solver.snapshot_diff:
        return 0
    return max(SCRATCH.get(solver.type, 0), has_signs)
